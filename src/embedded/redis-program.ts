import { readdirSync, readFileSync } from 'node:fs';
import { SedanoError } from '../errors.ts';
import { confirm } from './confirm.ts';
import type { Environment } from './home.ts';
import { identify, type ProcessIdentity } from './process-identity.ts';
import { findProgram, runProgram } from './program.ts';
import { endProcess } from './server-process.ts';

const NAME = 'redis-server';

export interface FindRedisOptions {
  env: Environment;
  /** Install without asking. */
  yes: boolean;
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * The path of `redis-server`: the one on the PATH, else it is installed, with apt as root or with Homebrew.
 * Before it installs it says so and asks on a terminal, unless `yes`.
 *
 * @throws {SedanoError} with the command to type when it is not installed and may not or cannot be.
 */
export async function findRedis(options: FindRedisOptions): Promise<string> {
  const found = findProgram(NAME, options.env);
  if (found) return found;
  const installer = findInstaller(options.env);
  if (!installer || !installer.usable) throw missingError(installer?.command);
  const { command } = installer;
  options.report(`there is no ${NAME} on the PATH; it can be installed with: ${command}`);
  const may = options.yes || (await confirm('Install Redis now?', options.signal));
  if (!may) throw missingError(command);
  options.report('installing Redis');
  await installer.install(options);
  const installed = findProgram(NAME, options.env);
  if (!installed) throw new SedanoError(`Redis was installed, but there is no ${NAME} on the PATH`);
  return installed;
}

function missingError(command: string | undefined): SedanoError {
  return new SedanoError(`Redis is not installed: there is no ${NAME} on the PATH`, {
    hint: command
      ? `Install it with "${command}", let Sedano do that with --yes, or set REDIS_URL to a Redis that runs.`
      : `Install it (https://redis.io/docs/latest/operate/oss_and_stack/install), or set REDIS_URL to a Redis that runs.`,
  });
}

interface Installer {
  /** What one would type. */
  command: string;
  /** Whether this process has the right to. */
  usable: boolean;
  install(options: FindRedisOptions): Promise<void>;
}

function findInstaller(env: Environment): Installer | undefined {
  const apt = process.platform === 'linux' ? findProgram('apt-get', env) : undefined;
  if (apt) {
    const root = process.getuid?.() === 0;
    const sudo = root ? '' : 'sudo ';
    return {
      command: `${sudo}apt-get update && ${sudo}apt-get install -y ${NAME}`,
      usable: root,
      install: (options) => installWithApt(apt, options),
    };
  }
  const brew = process.platform === 'darwin' ? findProgram('brew', env) : undefined;
  if (!brew) return undefined;
  return {
    command: 'brew install redis',
    usable: true,
    install: ({ env }) => runInstaller(brew, ['install', 'redis'], env),
  };
}

async function installWithApt(apt: string, { env, signal }: FindRedisOptions): Promise<void> {
  const before = redisProcesses();
  const quiet = {
    ...env,
    DEBIAN_FRONTEND: 'noninteractive',
    // both keep the package from starting a Redis of its own: the first without systemd, the second with it
    RUNLEVEL: '1',
    SYSTEMD_OFFLINE: '1',
  };
  await runInstaller(apt, ['update'], quiet, signal);
  // not interrupted from here on: half an installation would block the next one
  await runInstaller(apt, ['install', '-y', NAME], quiet);
  const strangers = redisProcesses().filter(({ pid }) => !before.some((old) => old.pid === pid));
  await Promise.all(strangers.map((stranger) => endProcess(stranger)));
}

async function runInstaller(
  program: string,
  args: string[],
  env: Environment,
  signal?: AbortSignal,
): Promise<void> {
  const { ok, output } = await runProgram(program, args, { env, signal });
  if (ok) return;
  throw new SedanoError(
    `Redis cannot be installed: ${program} ${args.join(' ')} failed:\n${output}`,
    {
      hint: 'Install it by hand, or set REDIS_URL to a Redis that runs.',
    },
  );
}

/** All processes of this machine that are called redis-server; Linux only. */
function redisProcesses(): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name) === NAME)
    .map((name) => identify(Number(name)))
    .filter((process) => process !== undefined);
}

function commandOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    // it has ended meanwhile
    return undefined;
  }
}
