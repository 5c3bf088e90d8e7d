import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { SedanoError } from '../errors.ts';
import { print } from './output.ts';

interface InstallOptions {
  folder: string;
  /** The packages it is for. */
  missing: readonly string[];
  /** What to type where it fails. */
  again: string;
}

/** What a user types to install a project's packages: `npm install`. */
export function installCommand(): string {
  return `${packageManager().name} install`;
}

/**
 * Runs the install of the package manager that runs this command, else of npm, and shows its output.
 *
 * @throws {SedanoError} when it cannot be started or fails.
 */
export async function installPackages({ folder, missing, again }: InstallOptions): Promise<void> {
  const { program, args } = packageManager();
  const command = installCommand();
  print(`\nInstalling ${missing.join(', ')}: ${command}`);
  const failed = (how: string, cause?: unknown) =>
    new SedanoError(`${command} ${how}`, {
      cause,
      hint: `What was written stays. When the cause is mended: ${again}`,
    });
  const child = spawn(program, [...args, 'install'], { cwd: folder, stdio: 'inherit' });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const [code, signal] = await ended.catch((error: unknown) => {
    throw failed(`cannot be started: ${String(error)}`, error);
  });
  if (code !== 0) throw failed(`ended with ${signal ?? `exit code ${code}`}`);
}

/** npm, pnpm and yarn leave in the environment where they are. */
function packageManager(): { name: string; program: string; args: string[] } {
  const { npm_execpath: path } = process.env;
  if (!path) return { name: 'npm', program: 'npm', args: [] };
  const name = /^[a-z]+/.exec(basename(path))?.[0] ?? 'npm';
  return /\.[cm]?js$/.test(path)
    ? { name, program: process.execPath, args: [path] }
    : { name, program: path, args: [] };
}
