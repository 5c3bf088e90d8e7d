import { constants } from 'node:os';
import { Exit } from './exit.ts';

// SIGHUP: its terminal was closed
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborts at the first Ctrl-C, SIGTERM or SIGHUP, with the exit code as its reason. Until it is disposed of no signal ends the
 * process by itself: what was started has to be stopped first.
 */
export class StopSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #onSignal = (name: (typeof SIGNALS)[number]) =>
    this.#controller.abort(new Exit(128 + constants.signals[name]));

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The value of `promise`, or the reason of the abort as soon as there is one. The promise itself goes on. */
  async race<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this;
    const done = new AbortController();
    const stopped = new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener('abort', () => reject(signal.reason as Error), {
        signal: done.signal,
      });
    });
    try {
      return await Promise.race([stopped, promise]);
    } finally {
      done.abort();
    }
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}
