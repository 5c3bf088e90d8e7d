import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createDeliverMail } from '../activities/deliver-mail.ts';
import { createActivities } from '../activities/index.ts';
import { WorkerLife } from '../activities/worker-life.ts';
import type { Sedano } from '../app.ts';
import { loadWorkflowBundle } from './bundle.ts';
import { unreachable } from '../client.ts';
import { assertKeys } from '../checks.ts';
import { durationMs, type Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { wakeParkedCalls } from './parked-calls.ts';
import { WorkerOfApp, type RunningWorker } from './running-worker.ts';
import { notifiesAdmins } from '../mail/notify-admin.ts';
import { logLint } from '../routines/lint.ts';
import { syncAtStart } from '../routines/sync-at-start.ts';
import { watchRoutines } from '../routines/watchdog.ts';
import { installRuntime } from './runtime.ts';

export type { RunningWorker, StopOptions } from './running-worker.ts';
export { runUntilSignal } from './run-until-signal.ts';

/** How a worker runs. */
export interface WorkerOptions {
  /** Calls that run at the same time, for each queue: a whole number from 1. @default 100 */
  concurrency?: number;
  /** How long a stop waits for running calls before it leaves them to other workers. @default '30s' */
  grace?: Duration;
}

// a worker often starts together with its server
const CONNECT_TIMEOUT_MS = 15_000;
const CONNECT_RETRY_MS = 500;

/**
 * Loads the app's task modules, syncs the routines as `app.syncRoutines()` does, and runs the app's tasks.
 *
 * @throws {ConfigError} when a task module, an option or a routine is wrong.
 * @throws whatever a check of `app.onWorkerStart` throws.
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
  await app.checkWorker();
  warnOfMissingAdmins(app);
  logLint(app);
  const exclusive = app.tasks.some((task) => task.exclusive);
  // a wrong address would otherwise fail accepted calls, one by one
  if (exclusive) await app.locks();
  const connection = await connect(app);
  try {
    await syncAtStart(app);
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
    const workers = await Promise.all([
      ...queues.map((taskQueue) => Worker.create({ ...shared, workflowBundle, taskQueue })),
      ...mailWorkers(app, { connection, namespace, life }),
    ]);
    const closers = [
      ...(exclusive ? [wakeParkedCalls(app, queues)] : []),
      ...(app.routineTable.size > 0 ? [watchRoutines(app)] : []),
    ];
    const close = async () => {
      await Promise.all(closers.map((end) => end()));
    };
    return new WorkerOfApp({ app, workers, queues, connection, life, graceMs, close });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

const CONCURRENT_MAILS = 5;

/** Mails have slots of their own: a mail server that hangs would take those of the tasks. */
function mailWorkers(
  app: Sedano,
  { life, ...shared }: { connection: NativeConnection; namespace: string; life: WorkerLife },
): Promise<Worker>[] {
  const { smtp } = app.options.mail;
  // another worker may know where mails go
  if (smtp === undefined) return [];
  const worker = Worker.create({
    ...shared,
    taskQueue: `${app.options.queue}/mail`,
    activities: { __mail: createDeliverMail(smtp, life) },
    maxConcurrentActivityTaskExecutions: CONCURRENT_MAILS,
    shutdownGraceTime: '365 days',
  });
  return [worker];
}

/** Once at the start, not first when a failure is to be told. */
function warnOfMissingAdmins(app: Sedano): void {
  const { smtp, admins } = app.options.mail;
  if (smtp !== undefined && admins.length > 0) return;
  const names = app.tasks.filter(({ task }) => notifiesAdmins(task)).map(({ name }) => name);
  if (names.length === 0) return;
  const missing = admins.length === 0 ? 'mail.admins' : 'mail.smtpUrl';
  getTaskLogger('sedano.mail').warn(
    `No ${missing}: failures of ${names.map((name) => `'${name}'`).join(', ')} are logged only`,
  );
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
        throw unreachable({ address: target.address, triedMs: CONNECT_TIMEOUT_MS, cause: error });
      }
      if (attempt === 1)
        getTaskLogger('sedano').warn(
          `Temporal at ${target.address} cannot be reached yet; trying again`,
        );
      await delay(CONNECT_RETRY_MS);
    }
  }
}
