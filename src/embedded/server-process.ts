import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Environment } from './home.ts';
import { pollUntil } from './poll.ts';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';
import { SedanoError } from '../errors.ts';

const TERM_GRACE_MS = 5_000;
const KILL_GRACE_MS = 4_000;
const LOG_LINES = 15;
const ATTEMPTS = 3;

export interface ServerCommand {
  /** What it is called in messages: `Temporal`. */
  name: string;
  program: string;
  args: readonly string[];
  env: Environment;
  cwd: string;
  /** The file that gets its output. The one of the run before is kept as `<log>.old`. */
  log: string;
  /** Called when the process has ended, for whatever reason. */
  ended: () => void;
}

/** A server that was started here. */
export interface ServerProcess {
  readonly identity: ProcessIdentity;
  /** Everything it has written so far. */
  output(): string;
  /** @throws {SedanoError} with the last lines of its log when it has ended. */
  throwIfEnded(): void;
  /** The error for a server that runs, but did not answer in time. */
  silentError(reason: string): SedanoError;
}

/**
 * Starts a server in a process group of its own: Ctrl-C in the terminal does not reach it.
 * `started` is called in the same turn, so that whatever happens next the process is known.
 *
 * @throws {SedanoError} when the program cannot be run.
 */
export async function spawnServer(
  command: ServerCommand,
  started: (identity: ProcessIdentity) => void,
): Promise<ServerProcess> {
  const { name, program, args, env, cwd, log } = command;
  const output = openLog(log);
  const child = spawn(program, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.once('exit', command.ended);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) started(identity);
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new SedanoError(`${name} cannot be started: ${program}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!identity) throw endedError(command);
  return {
    identity,
    output: () => readFileSync(log, 'utf8'),
    throwIfEnded() {
      if (!isAlive(identity)) throw endedError(command);
    },
    silentError: (reason) =>
      new SedanoError(`${name} was started but does not answer: ${reason}${lastLines(log)}`),
  };
}

/**
 * Ends a process: SIGTERM, and SIGKILL when it still runs after `graceMs` (default 5 s). Returns when it is gone, 4 s
 * later at the latest. A process that has ended already is left alone, and so is a later one with its number.
 */
export async function endProcess(
  identity: ProcessIdentity,
  graceMs: number = TERM_GRACE_MS,
): Promise<void> {
  const gone = () => (isAlive(identity) ? undefined : true);
  send(identity, 'SIGTERM');
  if (await pollUntil(gone, { timeoutMs: graceMs, everyMs: 20 })) return;
  send(identity, 'SIGKILL');
  await pollUntil(gone, { timeoutMs: KILL_GRACE_MS, everyMs: 20 });
}

/** `preferred` when nobody listens there, else a free port. It is only free until somebody takes it. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  try {
    server.listen({ host: '127.0.0.1', port: preferred, exclusive: true });
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address ? address.port : preferred;
  } catch (error) {
    if (preferred === 0) throw error;
    return freePort();
  } finally {
    server.close();
  }
}

/** Starts again, on other ports, when somebody took one between the look and the start. */
export async function retryLostPort<Started>(start: () => Promise<Started>): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (attempt === ATTEMPTS || !lostPort(error)) throw error;
    }
  }
}

function lostPort(error: unknown): boolean {
  return error instanceof LostPortError || PORT_TAKEN.test(messageOf(error));
}

/** A server ended because somebody else had its port. */
class LostPortError extends SedanoError {}

// Temporal 1.31 does not always say so: without its listener it panics there
const PORT_TAKEN = /address already in use|frontend\.NewHTTPAPIServer\(/i;

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function endedError({ name, log }: ServerCommand): SedanoError {
  const text = readFileSync(log, 'utf8');
  const message = `${name} ended while it was starting${lastLines(log, text)}`;
  return PORT_TAKEN.test(text) ? new LostPortError(message) : new SedanoError(message);
}

function lastLines(log: string, text = readFileSync(log, 'utf8')): string {
  const lines = text.trimEnd().split('\n').slice(-LOG_LINES);
  return `; the last lines of ${log}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function openLog(path: string): number {
  if (existsSync(path)) renameSync(path, `${path}.old`);
  return openSync(path, 'a', 0o600);
}

function send(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch {
    // it ended between the look and the signal
  }
}
