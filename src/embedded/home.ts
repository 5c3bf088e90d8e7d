import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The environment that is looked at; `process.env` unless a caller passes its own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder of a project's development data (databases, logs, `dev.json`): `SEDANO_HOME` if set, else `.sedano` beside
 * the nearest package.json upward from the working directory, else `.sedano` in the working directory itself.
 * It is not created.
 *
 * @param from the folder where the search begins, the working directory by default.
 */
export function projectHome(env: Environment = process.env, from: string = process.cwd()): string {
  if (env.SEDANO_HOME) return resolve(from, env.SEDANO_HOME);
  return join(nearestPackage(resolve(from)) ?? resolve(from), '.sedano');
}

/**
 * The folder of fetched and built programs, shared by all projects: `$SEDANO_HOME/cache` if `SEDANO_HOME` is set,
 * else `$XDG_CACHE_HOME/sedano`, else `~/.cache/sedano`. It is not created.
 */
export function programCache(env: Environment = process.env): string {
  if (env.SEDANO_HOME) return join(resolve(env.SEDANO_HOME), 'cache');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sedano');
}

function nearestPackage(folder: string): string | undefined {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestPackage(parent);
}
