import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCache } from '../../src/embedded/home.ts';
import { findTemporal, type TemporalProgram } from '../../src/embedded/temporal-program.ts';
import { startTemporal } from '../../src/embedded/temporal-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A Temporal for one test, that may be killed and started again with its data. */
export class PrivateTemporal implements AsyncDisposable {
  /** Host and port; the same before and after a restart. */
  readonly address: string;
  readonly #home: string;
  readonly #program: TemporalProgram;
  readonly #proxy: TcpProxy;
  #server: RunningServer;

  private constructor(parts: {
    home: string;
    program: TemporalProgram;
    proxy: TcpProxy;
    server: RunningServer;
  }) {
    this.address = new URL(parts.proxy.url).host;
    this.#home = parts.home;
    this.#program = parts.program;
    this.#proxy = parts.proxy;
    this.#server = parts.server;
  }

  static async start(): Promise<PrivateTemporal> {
    const report = () => {};
    const program = await findTemporal({ cache: programCache(), env: process.env, report });
    const home = await mkdtemp(join(tmpdir(), 'sedano-temporal-'));
    const server = await spawnTemporal(program, home);
    const proxy = await TcpProxy.start(`tcp://${server.address}`);
    return new PrivateTemporal({ home, program, proxy, server });
  }

  async kill(): Promise<void> {
    const { pid, ended } = this.#server;
    process.kill(pid, 'SIGKILL');
    await ended;
  }

  /** Starts it again, with what it had written, after `kill()`; returns when it answers. */
  async restart(): Promise<void> {
    this.#server = await spawnTemporal(this.#program, this.#home);
    this.#proxy.target = `tcp://${this.#server.address}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.isRunning) await this.kill();
    await this.#proxy[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface RunningServer {
  address: string;
  pid: number;
  isRunning: boolean;
  ended: Promise<void>;
}

async function spawnTemporal(program: TemporalProgram, home: string): Promise<RunningServer> {
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const options = { program, home, env: process.env, started: () => {} };
  const server = { isRunning: true };
  const { address, process: identity } = await startTemporal({
    ...options,
    ended: () => {
      server.isRunning = false;
      end();
    },
  });
  if (!identity) throw new Error('expected a process');
  return Object.assign(server, { address, pid: identity.pid, ended });
}
