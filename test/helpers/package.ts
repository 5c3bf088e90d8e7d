import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LEFT_OUT = ['.git', '.sedano', 'dist', 'node_modules'];
const HANGS_AFTER_MS = 180_000;

/** Runs a program to its end; rejects with its output when it fails. */
export async function run(
  program: string,
  args: string[],
  { cwd, env }: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<{ stdout: string; stderr: string }> {
  return await promisify(execFile)(program, args, {
    cwd,
    env: { ...userEnvironment(), ...env },
    timeout: HANGS_AFTER_MS,
    killSignal: 'SIGKILL',
  });
}

/** Without what npm tells the scripts of this repository: a user's npm is told nothing. */
function userEnvironment(): NodeJS.ProcessEnv {
  const told = /^(npm_(?!config_)|npm_config_local_prefix$|INIT_CWD$|NODE_OPTIONS$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !told.test(name)));
}

/** A folder that goes with the scope that uses it. */
export async function temporaryFolder(prefix: string) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), prefix)));
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The repository in a folder of its own, for a build that disturbs no other one, nor a program that runs from `dist`. */
export async function copyRepository() {
  const copy = await temporaryFolder('sedano-build-');
  await cp(ROOT, copy.folder, {
    recursive: true,
    filter: (path) => !LEFT_OUT.includes(basename(path)),
  });
  await symlink(join(ROOT, 'node_modules'), join(copy.folder, 'node_modules'));
  return copy;
}

/** The package as it would be published, the paths in it, and those of its modules in `src`. */
export async function packInto(
  folder: string,
): Promise<{ tarball: string; paths: string[]; modules: string[] }> {
  await using copy = await copyRepository();
  await mkdir(folder, { recursive: true });
  const args = ['pack', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', args, { cwd: copy.folder });
  const [packed] = Object.values(JSON.parse(stdout) as Packed[]);
  if (!packed) throw new Error(`npm pack has packed nothing: ${stdout}`);
  const sources = await readdir(join(copy.folder, 'src'), { recursive: true });
  return {
    tarball: join(folder, packed.filename),
    paths: packed.files.map(({ path }) => path).toSorted(),
    modules: sources
      .filter((path) => path.endsWith('.ts'))
      .map((path) => path.slice(0, -'.ts'.length)),
  };
}

interface Packed {
  filename: string;
  files: { path: string }[];
}

/** A program and what it starts, as a terminal has them: in one process group. Killed with the scope that uses it. */
export class Foreground implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #looks = new Set<() => void>();
  #over = false;
  stdout = '';
  stderr = '';

  constructor(
    program: string,
    args: string[],
    { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
  ) {
    this.#process = spawn(program, args, {
      cwd,
      env: { ...userEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#process[name]?.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        for (const look of this.#looks) look();
      });
    }
    this.#ended = once(this.#process, 'close').then(() => {
      this.#over = true;
    });
  }

  /** Resolves when the output matches; rejects with the output when the program ends before, or hangs. */
  async sees(pattern: RegExp): Promise<void> {
    const found = new Promise<void>((resolve) => {
      const look = () => {
        if (pattern.test(this.stdout) || pattern.test(this.stderr)) resolve();
      };
      this.#looks.add(look);
      look();
    });
    const missed = this.#ended.then(() => {
      throw new Error(`ended without ${pattern}:\n${this.stdout}\n--- stderr\n${this.stderr}`);
    });
    await this.#orKilled(Promise.race([found, missed]));
  }

  async #orKilled(awaited: Promise<unknown>): Promise<void> {
    const deadline = setTimeout(() => this.#kill('SIGKILL'), HANGS_AFTER_MS);
    try {
      await awaited;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** What Ctrl-C does; resolves when all have ended. */
  async interrupt(): Promise<void> {
    this.#kill('SIGINT');
    await this.#orKilled(this.#ended);
  }

  #kill(signal: NodeJS.Signals): void {
    // afterwards its number may be another's
    if (!this.#over && this.#process.pid !== undefined) process.kill(-this.#process.pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill('SIGKILL');
    await this.#ended;
  }
}
