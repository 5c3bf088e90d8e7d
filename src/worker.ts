import { setTimeout as delay } from 'node:timers/promises';
import {
  NativeConnection,
  Runtime,
  Worker,
  type LogLevel,
  type LogMetadata,
  type Logger,
} from '@temporalio/worker';
import { createActivities } from './activities/index.ts';
import { WorkerLife } from './activities/worker-life.ts';
import type { Sedano } from './app.ts';
import { loadWorkflowBundle } from './bundle.ts';
import { assertKeys } from './config.ts';
import { durationMs, type Duration } from './duration.ts';
import { ConfigError, TemporalUnavailableError } from './errors.ts';
import { getTaskLogger } from './logger.ts';
import { createMissingRoutines } from './schedules.ts';
import { withTimeout } from './timeout.ts';

/** How a worker runs. */
export interface WorkerOptions {
  /** Calls that run at the same time, for each queue. @default 100 */
  concurrency?: number;
  /** How long a stop waits for running calls before it leaves them to other workers. @default '30s' */
  grace?: Duration;
}

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
   * and they are taken up elsewhere at once. Can be called again, also with `cold`.
   */
  stop(options?: StopOptions): Promise<void>;
}

// a worker often starts together with its server
const CONNECT_TIMEOUT_MS = 15_000;
const CONNECT_RETRY_MS = 500;

/**
 * Loads the app's task modules, creates the routines that Temporal does not have, and runs the app's tasks.
 *
 * @throws {ConfigError} when a task module, an option or a routine is wrong.
 * @throws {TemporalUnavailableError} when no server answers for 15 s.
 */
export async function startWorker(
  app: Sedano,
  options: WorkerOptions = {},
): Promise<RunningWorker> {
  assertKeys(options, ['concurrency', 'grace'], 'worker');
  const { concurrency = 100, grace = '30s' } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new ConfigError(
      `worker: concurrency: expected a whole number from 1 up, got ${String(concurrency)}`,
    );
  }
  const graceMs = durationMs(grace, 'worker: grace');
  installRuntime();
  await app.loadTasks();
  const connection = await connect(app);
  try {
    await createMissingRoutines(app);
    const life = new WorkerLife();
    const queues = [
      ...new Set([
        app.options.queue,
        ...app.tasks.map(({ task }) => task.queue ?? app.options.queue),
      ]),
    ];
    const { namespace } = app.client.target;
    const shared = {
      connection,
      namespace,
      ...workerSettings(concurrency),
      activities: createActivities(app, life),
    };
    const workflowBundle = await loadWorkflowBundle();
    const workers = await Promise.all(
      queues.map((taskQueue) => Worker.create({ ...shared, workflowBundle, taskQueue })),
    );
    return new Running({ app, workers, queues, connection, life, graceMs });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function workerSettings(concurrency: number) {
  return {
    maxConcurrentActivityTaskExecutions: concurrency,
    // progress is to be seen within two seconds
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    // after a worker was killed a result would otherwise wait ten seconds for that worker's own queue
    stickyQueueScheduleToStartTimeout: '1s',
    // a thin workflow needs one non-sticky poll for each sticky one; the default is one for four
    nonStickyToStickyPollRatio: 0.5,
    // the grace is ours: at its end the calls are handed over instead of cancelled
    shutdownGraceTime: '365 days',
  } as const;
}

async function connect(app: Sedano): Promise<NativeConnection> {
  const { target } = app.client;
  const deadline = performance.now() + CONNECT_TIMEOUT_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await NativeConnection.connect(target.connection);
    } catch (error) {
      if (performance.now() > deadline) {
        throw new TemporalUnavailableError(
          `Temporal at ${target.address} cannot be reached; tried for ${CONNECT_TIMEOUT_MS / 1_000} s`,
          {
            cause: error,
            hint: `Check that Temporal runs at ${target.address} and that TEMPORAL_ADDRESS is right, or start one with: sedano dev`,
          },
        );
      }
      if (attempt === 1)
        getTaskLogger('sedano').warn(
          `Temporal at ${target.address} cannot be reached yet; trying again`,
        );
      await delay(CONNECT_RETRY_MS);
    }
  }
}

interface Parts {
  app: Sedano;
  /** One for each queue. */
  workers: Worker[];
  queues: string[];
  connection: NativeConnection;
  life: WorkerLife;
  graceMs: number;
}

class Running implements RunningWorker {
  readonly queues: readonly string[];
  readonly done: Promise<void>;
  readonly #parts: Parts;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(parts: Parts) {
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
    const { workers, connection } = this.#parts;
    try {
      await Promise.all(workers.map((worker) => worker.run()));
      clearTimeout(this.#graceTimer);
      await recordEnds(this.#parts);
    } catch (error) {
      this.#shutdown();
      throw error;
    } finally {
      clearTimeout(this.#graceTimer);
      await connection.close();
    }
  }

  async stop({ cold = false }: StopOptions = {}): Promise<void> {
    const { life, graceMs } = this.#parts;
    life.stop();
    this.#shutdown();
    this.#graceTimer ??= setTimeout(() => life.abandon(), graceMs);
    if (cold) life.abandon();
    await this.done;
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
async function recordEnds({ app, queues, connection, life }: Parts): Promise<void> {
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

let installed = false;

function installRuntime(): void {
  if (installed) return;
  installed = true;
  // Temporal would otherwise swallow the first SIGINT; whoever runs the worker decides what a signal means
  Runtime.install({ shutdownSignals: [], logger: sdkLogger(), workerHeartbeatInterval: '5s' });
}

/** Temporal's log lines as ours; what it says of failed attempts, the wrapper has said already. */
function sdkLogger(): Logger {
  const logger = getTaskLogger('temporal');
  const levels = {
    TRACE: 'trace',
    DEBUG: 'debug',
    INFO: 'debug',
    WARN: 'warn',
    ERROR: 'error',
  } as const;
  const log = (level: LogLevel, message: string, meta: LogMetadata = {}) => {
    const quiet = message === 'Activity failed' || message === 'Workflow failed';
    logger[quiet ? 'debug' : levels[level]](meta, message);
  };
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}
