import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SedanoError } from '../errors.ts';
import type { Environment } from './home.ts';
import { findProgram, runProgram } from './program.ts';
import { isAtLeast } from './version.ts';

/** Progress is told this often. */
const PROGRESS_EVERY_MS = 10_000;
/** From this version on, go can fetch the newer Go that a module asks for. */
const OLDEST_SWITCHING_GO = '1.21';
const PROGRAM = 'github.com/temporalio/cli/cmd/temporal';

export interface BuildOptions {
  version: string;
  /** Folder for the work in progress, on the same disk as `path`. */
  folder: string;
  /** Where the program belongs. */
  path: string;
  /** The folder with the pinned `go.mod` and `go.sum`. It is only read. */
  module: string;
  /** Why it is built rather than downloaded. */
  reason: string;
  env: Environment;
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Builds the Temporal CLI from the pinned module: about four minutes on two cores, with the progress told every 10 s.
 * The program appears at `path` complete, or not at all.
 *
 * @throws {SedanoError} when Go is missing, too old, or fails.
 */
export async function buildTemporal(options: BuildOptions): Promise<void> {
  const { version, folder, path, module, reason, report } = options;
  const go = await findGo(options);
  report(reason);
  report(`building Temporal ${version} with ${go} instead: about four minutes, once`);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'build-'));
  try {
    for (const file of ['go.mod', 'go.sum']) copyFileSync(join(module, file), join(work, file));
    await build(go, work, options);
    renameSync(join(work, 'temporal'), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function build(go: string, work: string, options: BuildOptions): Promise<void> {
  const { version, env, report, signal } = options;
  const progress = watchProgress(version, report);
  const result = await runProgram(go, buildArguments(version), {
    cwd: work,
    // a go.work in a folder above the cache has no say in this module
    env: { ...env, CGO_ENABLED: '0', GOWORK: 'off' },
    signal,
    onLine: (line) => progress.see(line),
  }).finally(() => progress.end());
  if (result.ok) return;
  throw new SedanoError(
    `Temporal ${version} cannot be had: ${options.reason}; and the build with ${go} failed:\n${result.output}`,
    { hint: howElse() },
  );
}

function buildArguments(version: string): string[] {
  const flags = `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${version}`;
  return [
    'build',
    '-mod=readonly',
    '-v',
    '-trimpath',
    '-ldflags',
    flags,
    '-o',
    'temporal',
    PROGRAM,
  ];
}

/** Go names each module it fetches and each package it compiles, a line each. */
function watchProgress(version: string, report: (line: string) => void) {
  const start = Date.now();
  let packages = 0;
  let last = 'go is at work';
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - start) / 1_000);
    report(`building Temporal ${version}: ${seconds} s, ${packages} packages compiled; ${last}`);
  }, PROGRESS_EVERY_MS);
  return {
    see(line: string) {
      if (!line.startsWith('go: ')) packages += 1;
      last = line.replace(/^go: /, '');
    },
    end() {
      clearInterval(timer);
    },
  };
}

/** @throws {SedanoError} when there is no Go that can build the module. */
async function findGo({
  version,
  module,
  reason,
  env,
  signal,
  folder,
}: BuildOptions): Promise<string> {
  const wanted = /^go (\S+)$/m.exec(readFileSync(join(module, 'go.mod'), 'utf8'))?.[1] ?? '';
  const refuse = (found: string) =>
    new SedanoError(
      `Temporal ${version} cannot be had: ${reason}; and building it needs Go ${wanted} or newer: ${found}`,
      { hint: howElse(`Go ${wanted}`) },
    );
  const go = findProgram('go', env);
  if (!go) throw refuse('there is no go on the PATH');
  // asked in a folder without a go.mod: in one with it, an old Go would fetch the newer before it answers
  const { ok, output } = await runProgram(go, ['env', 'GOVERSION', 'GOTOOLCHAIN'], {
    cwd: folder,
    env,
    signal,
  });
  const [found = '', toolchain = ''] = output.split('\n');
  const have = found.replace(/^go/, '');
  if (!ok || have === '') throw refuse(`${go} does not tell its version`);
  const switches = isAtLeast(have, OLDEST_SWITCHING_GO) && /auto|path/.test(toolchain);
  if (isAtLeast(have, wanted) || switches) return go;
  throw refuse(`${go} is ${have}, with GOTOOLCHAIN=${toolchain}`);
}

function howElse(go?: string): string {
  const choices = [
    'the Temporal CLI (https://docs.temporal.io/cli)',
    ...(go ? [`${go} (https://go.dev/dl)`] : []),
  ];
  return `Install ${choices.join(' or ')}, or set TEMPORAL_ADDRESS to a server that runs.`;
}
