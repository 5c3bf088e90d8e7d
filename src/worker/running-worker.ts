import { Worker, type NativeConnection } from '@temporalio/worker';
import type { WorkerLife } from '../activities/worker-life.ts';
import type { Sedano } from '../app.ts';
import { loadWorkflowBundle } from './bundle.ts';
import { MAX_TIMER_MS } from '../duration.ts';
import { getTaskLogger } from '../logger.ts';
import { withTimeout } from '../timeout.ts';

/** How a worker is stopped. */
export interface StopOptions {
  /** Leave what runs to other workers now, without waiting for the grace. @default false */
  cold?: boolean;
}

/** A worker that runs in this process. */
export interface RunningWorker extends AsyncDisposable {
  /** The task queues it polls. */
  readonly queues: readonly string[];
  /** Settles when the worker has stopped; rejects when it broke. */
  readonly done: Promise<void>;
  /**
   * Takes no new calls, lets the running ones finish within the grace, then gives them up: their locks are released
   * and they are taken up elsewhere at once. Resolves when the worker has stopped; can be called again, also with `cold`.
   *
   * @throws what `done` rejects with.
   */
  stop(options?: StopOptions): Promise<void>;
}

/** What a running worker is made of. */
export interface WorkerParts {
  app: Sedano;
  /** One for each queue. */
  workers: Worker[];
  queues: string[];
  connection: NativeConnection;
  life: WorkerLife;
  graceMs: number;
  /** Ends what runs beside the workers. */
  close: () => Promise<void>;
}

/** The worker that `startWorker` returns. */
export class WorkerOfApp implements RunningWorker {
  readonly queues: readonly string[];
  readonly done: Promise<void>;
  readonly #parts: WorkerParts;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.queues = parts.queues;
    this.done = this.#run();
    // whoever awaits `done` gets the error; nobody has to
    this.done.catch(() => {});
    getTaskLogger('sedano').info(
      { queues: this.queues, tasks: parts.app.tasks.map(({ name }) => name) },
      'Worker ready',
    );
  }

  async #run(): Promise<void> {
    const { workers, connection, close } = this.#parts;
    try {
      await Promise.all(workers.map((worker) => worker.run()));
      await recordEnds(this.#parts);
    } catch (error) {
      this.#shutdown();
      throw error;
    } finally {
      await close();
      await connection.close();
    }
  }

  async stop({ cold = false }: StopOptions = {}): Promise<void> {
    const { life, graceMs } = this.#parts;
    life.stop();
    this.#shutdown();
    this.#graceTimer ??= setTimeout(() => life.abandon(), Math.min(graceMs, MAX_TIMER_MS));
    if (cold) life.abandon();
    try {
      await this.done;
    } finally {
      clearTimeout(this.#graceTimer);
    }
  }

  #shutdown(): void {
    for (const worker of this.#parts.workers) {
      if (['RUNNING', 'INITIALIZED'].includes(worker.getState())) worker.shutdown();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const RECORD_TIMEOUT_MS = 5_000;

/**
 * A worker that shuts down polls no workflow tasks, so the result of a call that ended meanwhile would wait for the
 * next worker. Workers without activities, which take no calls, record it now.
 */
async function recordEnds({ app, queues, connection, life }: WorkerParts): Promise<void> {
  const ended = life.endedWhileStopping;
  if (ended.size === 0) return;
  const { temporal } = app.client;
  const workflowBundle = await loadWorkflowBundle();
  const recorders = await Promise.all(
    queues.map((taskQueue) =>
      Worker.create({
        connection,
        namespace: app.client.target.namespace,
        workflowBundle,
        taskQueue,
      }),
    ),
  );
  const closed = [...ended].map(([runId, id]) => temporal.workflow.getHandle(id, runId).result());
  const recorded = withTimeout(Promise.allSettled(closed), RECORD_TIMEOUT_MS).catch(() => {
    getTaskLogger('sedano').warn(
      { calls: [...ended.values()] },
      'The next worker records the results of these calls',
    );
  });
  await Promise.all(recorders.map((recorder) => recorder.runUntil(recorded)));
}
