import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Environment } from './home.ts';

/** Enough to show why a program failed. */
const KEPT_LINES = 40;

/** The path of an executable file called `name` in one of the folders of `PATH`. */
export function findProgram(name: string, env: Environment): string | undefined {
  return (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => resolve(folder, name))
    .find(isExecutable);
}

/** Whether `path` is a file that may be run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export interface RunOptions {
  env: Environment;
  cwd?: string;
  /** Kills the program, with all that it started. */
  signal?: AbortSignal | undefined;
  /** Kills it likewise, and makes it count as failed. */
  timeoutMs?: number;
  /** Called with each line it writes. */
  onLine?: (line: string) => void;
}

export interface RunResult {
  /** Its exit code was 0. */
  ok: boolean;
  /** The last lines it wrote. */
  output: string;
}

/**
 * Runs a program to its end. One that cannot be started counts as failed.
 *
 * @throws the signal's reason when it aborts.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  { env, cwd, signal, timeoutMs, onLine }: RunOptions,
): Promise<RunResult> {
  signal?.throwIfAborted();
  const child = spawn(file, args, {
    cwd,
    env,
    // a group of its own: what it started can be ended with it, and Ctrl-C does not reach it
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => killGroup(child);
  const timer = timeoutMs === undefined ? undefined : setTimeout(kill, timeoutMs);
  signal?.addEventListener('abort', kill);
  const lines: string[] = [];
  const keep = (line: string) => {
    if (lines.push(line) > KEPT_LINES) lines.shift();
    onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', keep);
  try {
    const [code] = await once(child, 'close');
    signal?.throwIfAborted();
    return { ok: code === 0, output: lines.join('\n') };
  } catch (error) {
    signal?.throwIfAborted();
    return { ok: false, output: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // it has just ended by itself
  }
}
