import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';
import type { AppOptions } from '../../src/config.ts';

/** A name that no other test has: it isolates task queue, schedules and locks on the shared servers. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

/** An app of its own for one test. */
export function testApp(options: AppOptions = {}): Sedano {
  return new Sedano(uniqueName('test'), options);
}

/** Runs `work` while a worker of this process runs the app's tasks; closes both in every case. */
export async function withWorker<T>(app: Sedano, work: () => Promise<T>): Promise<T> {
  await using _app = app;
  await using _worker = await startWorker(app, { grace: '1s' });
  return await work();
}

/** A promise and the function that settles it. */
export function latch<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

const SEES_TIMEOUT_MS = 90_000;

/** A TypeScript program in a process of its own, ended with the scope that uses it. */
export class Program implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  output = '';
  #waiting: (() => void)[] = [];

  constructor(file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [...sourceFlags(), file, ...args], {
      env: { ...process.env, ...env },
      // a worker ends when its end of the channel does: nothing is left of tests that are killed
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        for (const wake of this.#waiting) wake();
      });
    }
    this.exited = once(this.process, 'close').then(([code]) => {
      for (const wake of this.#waiting) wake();
      return code as number | null;
    });
  }

  /** Resolves when the output matches; rejects with the output when the program ends before, or hangs. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = setTimeout(() => this.process.kill('SIGKILL'), SEES_TIMEOUT_MS);
    try {
      return await this.#match(pattern);
    } finally {
      clearTimeout(deadline);
    }
  }

  async #match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the program ended without ${pattern}:\n${this.output}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.process.kill(signal);
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
  }
}

/** What a program of this repository needs before its file: the source condition and tsx. */
export function sourceFlags(): string[] {
  return ['--conditions=sedano-source', '--import=tsx'];
}
