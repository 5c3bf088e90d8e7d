import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Environment } from './home.ts';
import { runProgram } from './program.ts';

/** Where the makers of Temporal publish their CLI. */
export const DOWNLOAD_URL = 'https://temporal.download';

/** A closed network often swallows packets rather than refusing them: do not wait for long. */
const INFO_TIMEOUT_MS = 5_000;
/** Longest silence in the middle of a download. */
const STALL_TIMEOUT_MS = 20_000;

export interface DownloadOptions {
  version: string;
  /** Folder for the work in progress, on the same disk as `path`. */
  folder: string;
  /** Where the program belongs. */
  path: string;
  /** The download service. */
  url: string;
  env: Environment;
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Fetches the official Temporal CLI as Temporal's own SDKs do: the service names an archive and the file in it.
 * The program appears at `path` complete, or not at all.
 *
 * @throws when the service does not answer within 5 s, or what it sends is not the program.
 */
export async function downloadTemporal(options: DownloadOptions): Promise<void> {
  const { version, folder, path, env, report, signal } = options;
  const { archiveUrl, fileToExtract } = await askForArchive(options);
  report(`downloading Temporal ${version} from ${archiveUrl}`);
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, 'download-'));
  try {
    const archive = join(work, 'archive.tar.gz');
    await fetchFile(archiveUrl, archive, signal);
    const args = ['-xzf', archive, '-C', work, fileToExtract];
    const unpacked = await runProgram('tar', args, { env, signal });
    if (!unpacked.ok) throw new Error(`the archive cannot be unpacked: ${unpacked.output}`);
    const program = join(work, fileToExtract);
    await chmod(program, 0o755);
    await rename(program, path);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Archive {
  archiveUrl: string;
  fileToExtract: string;
}

async function askForArchive({ version, url, signal }: DownloadOptions): Promise<Archive> {
  const query = new URLSearchParams({
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    platform: process.platform,
    format: 'tar.gz',
  });
  const response = await get(`${url}/cli/v${version}?${query.toString()}`, INFO_TIMEOUT_MS, signal);
  const info: unknown = await response.json();
  if (!isArchive(info)) throw new Error(`${url} answered ${JSON.stringify(info)}`);
  return info;
}

function isArchive(value: unknown): value is Archive {
  return (
    typeof value === 'object' &&
    value !== null &&
    'archiveUrl' in value &&
    typeof value.archiveUrl === 'string' &&
    'fileToExtract' in value &&
    typeof value.fileToExtract === 'string' &&
    // it becomes an argument of tar and part of a path
    /^[\w.][\w.-]*$/.test(value.fileToExtract)
  );
}

async function fetchFile(url: string, file: string, signal?: AbortSignal): Promise<void> {
  const stalled = new AbortController();
  const timer = setTimeout(() => {
    stalled.abort(new Error(`nothing came from ${url} for ${STALL_TIMEOUT_MS / 1_000} s`));
  }, STALL_TIMEOUT_MS);
  const watch = new Transform({
    transform(chunk, _encoding, done) {
      timer.refresh();
      done(null, chunk);
    },
  });
  const either = signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal;
  try {
    const response = await get(url, STALL_TIMEOUT_MS, either);
    if (!response.body) throw new Error(`${url} sent nothing`);
    await pipeline(Readable.fromWeb(response.body), watch, createWriteStream(file));
  } catch (error) {
    either.throwIfAborted();
    throw explain(url, error);
  } finally {
    clearTimeout(timer);
  }
}

/** GET with a deadline for the answer to begin; errors say in words what failed. */
async function get(url: string, timeoutMs: number, signal?: AbortSignal): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new Error(`${new URL(url).host} did not answer within ${timeoutMs / 1_000} s`));
  }, timeoutMs);
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
  try {
    const response = await fetch(url, { signal: either });
    if (!response.ok) throw new Error(`${url} answered ${response.status} ${response.statusText}`);
    return response;
  } catch (error) {
    either.throwIfAborted();
    throw explain(url, error);
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` says only "fetch failed"; the reason is in the cause. */
function explain(url: string, error: unknown): unknown {
  if (!(error instanceof TypeError) || !(error.cause instanceof Error)) return error;
  return new Error(`${new URL(url).host}: ${error.cause.message}`, { cause: error });
}
