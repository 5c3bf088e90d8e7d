import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { pollUntil } from '../../src/embedded/poll.ts';
import { identify, isAlive, type ProcessIdentity } from '../../src/embedded/process-identity.ts';
import { runProgram } from '../../src/embedded/program.ts';
import {
  endProcess,
  freePort,
  messageOf,
  retryLostPort,
} from '../../src/embedded/server-process.ts';
import { SedanoError } from '../../src/errors.ts';
import type { PostgresProgram } from './program.ts';

const USER = 'postgres';
const READY_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 10_000;
const LOG_LINES = 15;

/** A private PostgreSQL, which ends with the scope that uses it, and its data with it. */
export interface PostgresServer extends AsyncDisposable {
  /** For its superuser, with the password. */
  url: string;
  /** Host and port, `127.0.0.1:5432`. */
  address: string;
  version: string;
}

/**
 * Starts a PostgreSQL with new data in a temporary folder, on a free port of the loopback address only. It answers
 * when this returns.
 *
 * @throws {SedanoError} when it cannot be made, ends, or does not answer in 60 s.
 * @throws the signal's reason when it aborts.
 */
export async function startPostgres(
  program: PostgresProgram,
  signal: AbortSignal,
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sedano-postgres-'));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    const account = await chooseAccount();
    if (account) await chown(folder, account.uid, account.gid);
    const place: Place = { folder, account, log: join(folder, 'postgres.log') };
    const password = randomBytes(16).toString('hex');
    await createData(program, place, password);
    signal.throwIfAborted();
    const { stop, ...server } = await retryLostPort(() =>
      startOnce(program, place, password, signal),
    );
    return {
      ...server,
      async [Symbol.asyncDispose]() {
        await stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface Account {
  uid: number;
  gid: number;
}

interface Place {
  folder: string;
  /** Who the programs run as; undefined is the user of this process. */
  account: Account | undefined;
  log: string;
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package has made. */
async function chooseAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([askId('-u'), askId('-g')]);
  return { uid, gid };
}

async function askId(flag: '-u' | '-g'): Promise<number> {
  const { ok, output } = await runProgram('id', [flag, USER], { env: process.env });
  if (ok) return Number(output);
  throw new SedanoError(
    `PostgreSQL does not run as root, and there is no user ${USER}: ${output}`,
    {
      hint: 'Run this as another user, or install PostgreSQL with its package, which makes that user.',
    },
  );
}

async function createData(
  { initdb }: PostgresProgram,
  place: Place,
  password: string,
): Promise<void> {
  const passwordFile = join(place.folder, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (place.account) await chown(passwordFile, place.account.uid, place.account.gid);
  const child = launch(initdb, place, [
    `--pgdata=${join(place.folder, 'data')}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    // everybody on the machine can reach a port
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ]);
  const [code] = (await once(child, 'close')) as [number | null];
  await rm(passwordFile);
  if (code !== 0) throw new SedanoError(`initdb ended with ${code}${lastLines(place.log)}`);
}

interface Started extends Omit<PostgresServer, keyof AsyncDisposable> {
  stop: () => Promise<void>;
}

async function startOnce(
  { postgres }: PostgresProgram,
  place: Place,
  password: string,
  signal: AbortSignal,
): Promise<Started> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const url = `postgres://${USER}:${password}@${address}/postgres`;
  const child = launch(postgres, place, serverArguments(place.folder, port));
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  // rejects when there is no such program
  await once(child, 'spawn');
  if (!identity) throw endedError(place);
  const stop = () => stopServer(child, identity);
  try {
    return { url, address, version: await waitUntilReady(url, identity, place, signal), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverArguments(folder: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    // its data end with it
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', join(folder, 'data'), ...flags];
}

/** Resolves to its version. Only this very server knows the password, so another on its port does not count. */
async function waitUntilReady(
  url: string,
  identity: ProcessIdentity,
  place: Place,
  signal: AbortSignal,
): Promise<string> {
  let reason = '';
  const version = await pollUntil(
    async () => {
      if (!isAlive(identity)) throw endedError(place);
      try {
        return await askVersion(url);
      } catch (error) {
        reason = messageOf(error);
        return undefined;
      }
    },
    { timeoutMs: READY_TIMEOUT_MS, signal, everyMs: 100 },
  );
  if (version !== undefined) return version;
  throw new SedanoError(
    `PostgreSQL was started but does not answer: ${reason}${lastLines(place.log)}`,
  );
}

async function askVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // what is lost after the answer does not matter
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return String(rows[0]?.server_version);
  } finally {
    await client.end();
  }
}

async function stopServer(child: ChildProcess, identity: ProcessIdentity): Promise<void> {
  // SIGTERM alone would wait for clients to leave; after SIGINT it has nothing to add
  child.kill('SIGINT');
  await endProcess(identity, STOP_GRACE_MS);
}

/** In a process group of its own: Ctrl-C in the terminal does not reach it. */
function launch(program: string, { folder, account, log }: Place, args: string[]): ChildProcess {
  const output = openSync(log, 'a', 0o600);
  try {
    return spawn(program, args, {
      ...account,
      cwd: folder,
      // its messages are in English, so that a lost port is recognised
      env: { ...process.env, LC_ALL: 'C' },
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

function endedError({ log }: Place): SedanoError {
  return new SedanoError(`PostgreSQL ended while it was starting${lastLines(log)}`);
}

function lastLines(log: string): string {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES);
  return `; the last lines it wrote:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
