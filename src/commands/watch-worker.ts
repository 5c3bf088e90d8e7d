import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { dirname, relative } from 'node:path';
import type { Duration } from '../duration.ts';
import { print } from './output.ts';
import { SourceWatcher } from './source-watcher.ts';

export interface WatchWorkerOptions {
  /** Path of the app's module. */
  module: string;
  concurrency: number;
  grace: Duration;
  /** Ends the worker and the watching. */
  signal: AbortSignal;
}

/** A worker in a process of its own, another one whenever a source file in the app's folder changes. */
export async function watchWorker(options: WatchWorkerOptions): Promise<void> {
  const { module, signal } = options;
  using sources = new SourceWatcher(dirname(module));
  while (!signal.aborted) {
    const changed = nextChange(sources, signal);
    await using _worker = new WorkerProcess(options);
    // also when the worker breaks: it would only break again
    const file = await changed;
    if (file !== undefined)
      print(`${relative(process.cwd(), file)} changed: the worker starts again`);
  }
}

async function nextChange(
  sources: SourceWatcher,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const [file] = (await once(sources, 'change', { signal })) as [string];
    return file;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

// beyond the grace; a worker whose event loop is blocked hears no signal
const KILL_AFTER_MS = 7_000;

class WorkerProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #told = false;
  readonly #onSignal = () => this.#stop();

  constructor({ module, concurrency, grace }: WatchWorkerOptions) {
    const [, cli = ''] = process.argv;
    const options = ['--app', module, '--grace', grace, '--concurrency', String(concurrency)];
    this.#process = spawn(process.execPath, [...process.execArgv, cli, 'worker', ...options], {
      // the channel ends with this process, and the worker with the channel
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // a group of its own: Ctrl-C reaches it through us, once
      detached: true,
    });
    this.#exited = once(this.#process, 'exit').then(() => this.#tellEnd());
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
  }

  #tellEnd(): void {
    if (!this.#told) print('The worker has ended; another one starts when a file changes.');
  }

  #stop(): void {
    this.#told = true;
    this.#process.kill('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#told) this.#stop();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), KILL_AFTER_MS);
    await this.#exited;
    clearTimeout(timer);
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }
}
