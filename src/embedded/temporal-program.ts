import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SedanoError } from '../errors.ts';
import { takeLock, type FileLock } from './file-lock.ts';
import type { Environment } from './home.ts';
import { pollUntil } from './poll.ts';
import { findProgram, isExecutable, runProgram } from './program.ts';
import { messageOf } from './server-process.ts';
import { buildTemporal } from './temporal-build.ts';
import { DOWNLOAD_URL, downloadTemporal } from './temporal-download.ts';
import { isAtLeast } from './version.ts';

/** The oldest server whose behaviour Sedano was tried on. */
const OLDEST_SERVER = '1.31';
const VERSION_TIMEOUT_MS = 15_000;
/** Longer than any build. */
const LOCK_TIMEOUT_MS = 30 * 60_000;
/** The module that pins the version; beside `src` and `dist`. */
const PINNED_MODULE = fileURLToPath(new URL('../../tools/temporal/', import.meta.url));

/** A Temporal CLI, which holds the development server. */
export interface TemporalProgram {
  path: string;
  /** Version of the server in it, `1.31.2`. */
  serverVersion: string;
}

export interface FindTemporalOptions {
  /** Folder of fetched and built programs. */
  cache: string;
  env: Environment;
  /** Where the official download is asked for, default https://temporal.download. */
  downloadUrl?: string | undefined;
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Finds a Temporal CLI: `temporal` on the PATH when its server is 1.31 or newer, else the one in the cache, else the
 * official download, else a build with Go (about four minutes, once).
 *
 * @throws {SedanoError} when there is none and none can be had; it says what to install.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<TemporalProgram> {
  const found = await findOnPath(options);
  if (found) return found;
  const version = pinnedVersion();
  const folder = join(options.cache, 'temporal', version);
  const path = join(folder, 'temporal');
  return (await inspect(path, options)) ?? (await fetchOnce({ version, folder, path }, options));
}

async function findOnPath(options: FindTemporalOptions): Promise<TemporalProgram | undefined> {
  const path = findProgram('temporal', options.env);
  if (!path) return undefined;
  const program = await inspect(path, options);
  if (program && isAtLeast(program.serverVersion, OLDEST_SERVER)) return program;
  const reason = program
    ? `its server is ${program.serverVersion}, Sedano needs ${OLDEST_SERVER} or newer`
    : 'it does not tell its version';
  options.report(`${path} is ignored: ${reason}`);
  return undefined;
}

interface Wanted {
  version: string;
  folder: string;
  path: string;
}

/** Downloads or builds; when another process is at it already, waits for that one. */
async function fetchOnce(wanted: Wanted, options: FindTemporalOptions): Promise<TemporalProgram> {
  mkdirSync(wanted.folder, { recursive: true });
  const lock = await waitForLock(wanted, options);
  try {
    const program = await inspect(wanted.path, options);
    if (program) return program;
    removeRemains(wanted.folder);
    await fetchProgram(wanted, options);
  } finally {
    lock.release();
  }
  const program = await inspect(wanted.path, options);
  if (program) return program;
  throw new SedanoError(`${wanted.path} was fetched but does not run on this machine`);
}

async function waitForLock(
  { version, folder }: Wanted,
  { report, signal }: FindTemporalOptions,
): Promise<FileLock> {
  let told = false;
  const lock = await pollUntil(
    () => {
      const taken = takeLock(join(folder, 'lock'));
      if ('lock' in taken) return taken.lock;
      const { pid } = taken.owner.process;
      if (!told) report(`waiting for process ${pid}, which is fetching Temporal ${version}`);
      told = true;
      return undefined;
    },
    { timeoutMs: LOCK_TIMEOUT_MS, signal, everyMs: 100 },
  );
  if (lock) return lock;
  throw new SedanoError(`another process has been fetching Temporal ${version} for half an hour`, {
    hint: `End it, or remove ${join(folder, 'lock')}.*`,
  });
}

/** What a killed download or build left. */
function removeRemains(folder: string): void {
  const remains = readdirSync(folder).filter((name) => /^(download|build)-/.test(name));
  for (const name of remains) rmSync(join(folder, name), { recursive: true, force: true });
}

async function fetchProgram(wanted: Wanted, options: FindTemporalOptions): Promise<void> {
  const { env, report, signal, downloadUrl = DOWNLOAD_URL } = options;
  try {
    await downloadTemporal({ ...wanted, url: downloadUrl, env, report, signal });
  } catch (error) {
    signal?.throwIfAborted();
    const reason = `the official download failed: ${messageOf(error)}`;
    await buildTemporal({ ...wanted, module: PINNED_MODULE, reason, env, report, signal });
  }
}

/** What `path` says about itself; undefined when it is no Temporal CLI that runs here. */
async function inspect(
  path: string,
  { env, signal }: FindTemporalOptions,
): Promise<TemporalProgram | undefined> {
  if (!isExecutable(path)) return undefined;
  const { ok, output } = await runProgram(path, ['--version'], {
    env,
    signal,
    timeoutMs: VERSION_TIMEOUT_MS,
  });
  const serverVersion = /\(Server (\d+\.\d+\.\d+)/.exec(output)?.[1];
  return ok && serverVersion ? { path, serverVersion } : undefined;
}

function pinnedVersion(): string {
  const file = join(PINNED_MODULE, 'go.mod');
  const version = /github\.com\/temporalio\/cli v(\S+)/.exec(readFileSync(file, 'utf8'))?.[1];
  if (version) return version;
  throw new SedanoError(`${file} does not name a version of github.com/temporalio/cli`);
}
