import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Environment } from '../../src/embedded/home.ts';
import { findProgram, isExecutable, runProgram } from '../../src/embedded/program.ts';
import { SedanoError } from '../../src/errors.ts';

const PACKAGE = 'postgresql';

/** Debian's folder of versions, and Homebrew's of formulas: neither need be on the PATH. */
const FOLDERS = [
  '/usr/lib/postgresql',
  '/opt/homebrew/opt',
  '/usr/local/opt',
  '/home/linuxbrew/.linuxbrew/opt',
];

export interface PostgresProgram {
  initdb: string;
  postgres: string;
}

export interface FindPostgresOptions {
  env: Environment;
  report: (line: string) => void;
  signal: AbortSignal;
}

/**
 * PostgreSQL's programs: those on the PATH, else the newest that is installed, else, as root with apt, Debian's package
 * is installed.
 *
 * @throws {SedanoError} when there are none and none can be installed; it says what to do.
 */
export async function findPostgres(options: FindPostgresOptions): Promise<PostgresProgram> {
  return findInstalled(options.env) ?? (await install(options));
}

function findInstalled(env: Environment): PostgresProgram | undefined {
  const onPath = findProgram('initdb', env);
  const folders = onPath === undefined ? [] : [dirname(onPath)];
  for (const bin of [...folders, ...FOLDERS.flatMap(binFolders)]) {
    const program = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
    if (isExecutable(program.initdb) && isExecutable(program.postgres)) return program;
  }
  return undefined;
}

/** Those below `folder`, the newest version first: `15/bin`, `postgresql@15/bin`. */
function binFolders(folder: string): string[] {
  return listFolder(folder)
    .flatMap((name) => {
      const version = /^(?:postgresql@)?([\d.]+)$/.exec(name)?.[1];
      return version === undefined ? [] : [{ bin: join(folder, name, 'bin'), version }];
    })
    .toSorted((a, b) => Number.parseFloat(b.version) - Number.parseFloat(a.version))
    .map(({ bin }) => bin);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // it is not there, or not ours to read
    return [];
  }
}

async function install({ env, report, signal }: FindPostgresOptions): Promise<PostgresProgram> {
  const apt = process.getuid?.() === 0 ? findProgram('apt-get', env) : undefined;
  if (apt === undefined) throw missingError();
  report(`PostgreSQL is not installed: installing Debian's package ${PACKAGE}`);
  // RUNLEVEL without systemd, the other with it: the package would start a server of its own
  const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', SYSTEMD_OFFLINE: '1' };
  await runApt(apt, ['update'], quiet, signal);
  // not interrupted from here on: half an installation would block the next one
  await runApt(apt, ['install', '-y', '--no-install-recommends', PACKAGE], quiet);
  const installed = findInstalled(env);
  if (installed === undefined) throw missingError();
  return installed;
}

async function runApt(
  apt: string,
  args: string[],
  env: Environment,
  signal?: AbortSignal,
): Promise<void> {
  const { ok, output } = await runProgram(apt, args, { env, signal });
  if (ok) return;
  throw new SedanoError(
    `PostgreSQL cannot be installed: apt-get ${args.join(' ')} failed:\n${output}`,
  );
}

function missingError(): SedanoError {
  return new SedanoError(
    'PostgreSQL is not installed: expected initdb and postgres on the PATH or where Debian and Homebrew put them',
    {
      hint: 'Install it, or run the command itself with DATABASE_URL set to a PostgreSQL that runs.',
    },
  );
}
