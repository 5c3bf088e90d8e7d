import { type DurableCall, WorkerStopped } from './durable-call.ts';

/** What a worker that stops and the calls that run in it tell each other. */
export class WorkerLife {
  readonly #running = new Set<DurableCall>();
  readonly #ended = new Map<string, string>();
  #stopping = false;
  readonly #abandonment = new AbortController();

  /** From now on the worker takes no calls; the running ones may end. */
  stop(): void {
    this.#stopping = true;
  }

  /** The worker waits no longer for the code of its calls. */
  abandon(): void {
    this.#abandonment.abort(new WorkerStopped('the worker stopped'));
    for (const call of this.#running) call.interrupt();
  }

  /** Aborts when the worker waits no longer. */
  get abandoned(): AbortSignal {
    return this.#abandonment.signal;
  }

  /** Runs one attempt of a call, which is interrupted when the worker gives it up. */
  async during<T>(call: DurableCall, attempt: () => Promise<T>): Promise<T> {
    this.#running.add(call);
    if (this.abandoned.aborted) call.interrupt();
    try {
      const result = await attempt();
      if (this.#stopping) this.#ended.set(call.runId, call.id);
      return result;
    } finally {
      this.#running.delete(call);
    }
  }

  /** The calls that ended while the worker stopped, as run id and id: it no longer records the end of their workflows. */
  get endedWhileStopping(): ReadonlyMap<string, string> {
    return this.#ended;
  }
}
