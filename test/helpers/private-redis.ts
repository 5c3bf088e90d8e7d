import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A Redis for one test, that may be frozen and killed. */
export class PrivateRedis implements AsyncDisposable {
  readonly address: string;
  readonly url: string;
  readonly #port: number;
  #process: ChildProcess;

  private constructor(port: number, process: ChildProcess) {
    this.address = `127.0.0.1:${port}`;
    this.url = `redis://${this.address}`;
    this.#port = port;
    this.#process = process;
  }

  /** @param flags more of redis-server's options */
  static async start(flags: string[] = []): Promise<PrivateRedis> {
    const port = await freePort();
    return new PrivateRedis(port, await spawnRedis(port, flags));
  }

  freeze(): void {
    this.#process.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended();
  }

  /** Resolves when the server has ended. */
  async ended(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    await once(this.#process, 'exit');
  }

  /** Starts it again on its port, empty unless the options say where its data is. */
  async restart(flags: string[] = []): Promise<void> {
    await this.kill();
    this.#process = await spawnRedis(this.#port, flags);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

async function spawnRedis(port: number, flags: string[] = []): Promise<ChildProcess> {
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    ...flags,
  ];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (output.includes('Ready to accept connections')) break;
  }
  if (!output.includes('Ready to accept connections'))
    throw new Error(`redis-server did not start:\n${output}`);
  return child;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
