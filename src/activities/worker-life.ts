import type { DurableCall } from './durable-call.ts';

/** What a worker that stops and the calls that run in it tell each other. */
export class WorkerLife {
  readonly #abandoned = new AbortController();
  readonly #ended = new Map<string, string>();
  #stopping = false;

  /** From now on the worker takes no calls; the running ones may end. */
  stop(): void {
    this.#stopping = true;
  }

  /** The worker waits no longer for the code of its calls. */
  abandon(): void {
    this.#abandoned.abort();
  }

  /** Aborts when the worker gives up what still runs. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** Notes that a call has returned its value to Temporal. */
  noteEnd({ id, runId }: DurableCall): void {
    if (this.#stopping) this.#ended.set(runId, id);
  }

  /** The calls that ended while the worker stopped, as run id and id: it no longer records the end of their workflows. */
  get endedWhileStopping(): ReadonlyMap<string, string> {
    return this.#ended;
  }
}
