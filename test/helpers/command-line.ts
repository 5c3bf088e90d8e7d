import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programCache } from '../../src/embedded/home.ts';
import { findTemporal } from '../../src/embedded/temporal-program.ts';
import { uniqueName } from './harness.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const HANGS_AFTER_MS = 180_000;

export interface CommandOptions {
  /** The working directory. @default the repository */
  cwd?: string;
  /** Added to the environment of the tests; undefined takes a variable away. */
  env?: NodeJS.ProcessEnv;
  /** A module that is loaded before the program. */
  preload?: string;
}

/** How a command ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** `sedano …`, from source. */
export function sedano(args: string[], options: CommandOptions = {}): Command {
  return new Command(join(ROOT, 'src/cli.ts'), args, options);
}

/** A TypeScript program of the repository in a process of its own, killed with the scope that uses it. */
export class Command implements AsyncDisposable {
  readonly process: ChildProcess;
  /** Settles when the process has ended; one that hangs is killed. */
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  readonly #looks = new Set<() => void>();

  constructor(file: string, args: string[], { cwd = ROOT, env, preload }: CommandOptions) {
    this.process = spawn(process.execPath, [...nodeFlags(preload), file, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.process[name]?.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        for (const look of this.#looks) look();
      });
    }
    this.ended = this.#end();
  }

  async #end(): Promise<Ended> {
    const deadline = setTimeout(() => this.process.kill('SIGKILL'), HANGS_AFTER_MS);
    const [code] = (await once(this.process, 'close')) as [number | null];
    clearTimeout(deadline);
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /** Resolves when the output matches; rejects with the output when the program ends before. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = () => {
        const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (!match) return;
        this.#looks.delete(look);
        resolve(match);
      };
      this.#looks.add(look);
      look();
    });
    const missed = this.ended.then(({ code }) => {
      throw new Error(
        `ended with ${code} without ${pattern}:\n${this.stdout}\n--- stderr\n${this.stderr}`,
      );
    });
    return await Promise.race([found, missed]);
  }

  async signal(name: NodeJS.Signals): Promise<Ended> {
    this.process.kill(name);
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

function nodeFlags(preload?: string): string[] {
  // by its whole name: outside the repository no tsx is found
  const modules = [import.meta.resolve('tsx'), ...(preload === undefined ? [] : [preload])];
  return ['--conditions=sedano-source', ...modules.map((url) => `--import=${url}`)];
}

/** One process that runs one command line after another. An app's module is imported once, as the first found it. */
export class Shell implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    this.#process = spawn(
      process.execPath,
      [...nodeFlags(), join(ROOT, 'test/fixtures/cli/shell.ts')],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    this.#exited = once(this.#process, 'exit');
  }

  /** How `sedano …` ends. */
  async sedano(args: string[], { cwd = ROOT, env }: CommandOptions = {}): Promise<Ended> {
    const turn = this.#last.then(async () => {
      this.#process.send({ args, cwd, env: { ...process.env, ...env } });
      const [ended] = (await once(this.#process, 'message', {
        signal: AbortSignal.timeout(HANGS_AFTER_MS),
      })) as [Ended];
      return ended;
    });
    this.#last = turn.catch(() => {});
    return await turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }
}

/** Takes away what tells a program where servers and data are. */
export const SILENT = {
  TEMPORAL_ADDRESS: undefined,
  TEMPORAL_NAMESPACE: undefined,
  TEMPORAL_HTTP_URL: undefined,
  REDIS_URL: undefined,
  SEDANO_APP: undefined,
  SEDANO_HOME: undefined,
};

/** The PATH with the Temporal that the tests use: a data folder of its own has a cache of its own, which is empty. */
export async function pathWithTemporal(): Promise<string> {
  const { path } = await findTemporal({
    cache: programCache(),
    env: process.env,
    report: () => {},
  });
  return [dirname(path), process.env['PATH']].join(delimiter);
}

/** A project as a user has it: a folder with a package.json that names the app, and Sedano installed. */
export async function createProject() {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sedano-project-')));
  const name = uniqueName('cli');
  const env = { ...SILENT, CLI_APP: name, CLI_GO: join(folder, 'go') };
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/sedano'));
  await copyFile(new URL('../fixtures/cli/app.ts', import.meta.url), join(folder, 'app.ts'));
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', sedano: { app: 'app.ts' } }),
  );
  return {
    folder,
    /** The app's name. */
    name,
    env,
    sedano: (args: string[], { cwd = folder, env: more, ...options }: CommandOptions = {}) =>
      sedano(args, { cwd, env: { ...env, ...more }, ...options }),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
