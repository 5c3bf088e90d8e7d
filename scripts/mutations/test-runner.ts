import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { SedanoError } from '../../src/errors.ts';
import type { Mutation } from './table.ts';

const TEST_TIMEOUT_MS = 120_000;

interface TestRun {
  /** What the failed test says; undefined when it passed. */
  failed: string | undefined;
  ms: number;
}

/** Runs single tests of a copy of the tree. */
export class TestRunner {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;

  constructor(folder: string, env: NodeJS.ProcessEnv, signal: AbortSignal) {
    this.#folder = folder;
    this.#env = env;
    this.#signal = signal;
  }

  /** @throws {SedanoError} when the test has not run: that it is not found, or cannot be loaded, is no failure of it. */
  async run({ test, testFile }: Mutation): Promise<TestRun> {
    const began = performance.now();
    const args = [
      '--conditions=sedano-source',
      '--import=tsx',
      '--test-reporter=tap',
      `--test-name-pattern=${test.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`,
      testFile,
    ];
    // one that has failed may leave timers with which the process does not end
    const { output, isOver } = await this.#output(
      args,
      (soFar) => failureOf(test, soFar) !== undefined,
    );
    const ms = Math.round(performance.now() - began);
    if (isOver) return { failed: `no end within ${TEST_TIMEOUT_MS / 1_000} s`, ms };
    if (!readResults(output).some(({ name }) => name === test)) {
      throw new SedanoError(`${testFile} has not run '${test}':\n${output}`);
    }
    return { failed: failureOf(test, output), ms };
  }

  /** All that it prints until that is enough. Nothing that it has started is left. */
  async #output(
    args: string[],
    isEnough: (output: string) => boolean,
  ): Promise<{ output: string; isOver: boolean }> {
    this.#signal.throwIfAborted();
    const child = spawn(process.execPath, args, {
      cwd: this.#folder,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // in a process group of its own
      detached: true,
    });
    const over = AbortSignal.timeout(TEST_TIMEOUT_MS);
    const stop = AbortSignal.any([this.#signal, over]);
    const kill = () => killGroup(child);
    stop.addEventListener('abort', kill);
    // servers that it has left keep its output open
    child.on('exit', kill);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (isEnough(output)) kill();
      });
    }
    await once(child, 'close');
    stop.removeEventListener('abort', kill);
    this.#signal.throwIfAborted();
    return { output, isOver: over.aborted };
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // all of them have ended
  }
}

function failureOf(test: string, tap: string): string | undefined {
  return readResults(tap).find(({ name, error }) => name === test && error !== undefined)?.error;
}

/** The results of TAP; of a test that failed with the first line of its error. */
function readResults(tap: string): { name: string; error: string | undefined }[] {
  const result = /^ *(not )?ok \d+ - (.+)\n *---\n([^]*?)\n *\.\.\.$/gm;
  const error = /^ *error: (?:'(.*)'|\|-\n *(.*)|(.*))$/m;
  return [...tap.matchAll(result)].map(([, not, name = '', details = '']) => {
    const [, quoted, block, plain] = error.exec(details) ?? [];
    return { name, error: not ? (quoted ?? block ?? plain ?? 'it failed') : undefined };
  });
}
