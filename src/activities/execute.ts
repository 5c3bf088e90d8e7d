import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { enterTask, RetryRequest, type RetryOptions } from '../current-task.ts';
import { durationMs } from '../duration.ts';
import { LockError, LockLostError, LockUnavailableError, SedanoError } from '../errors.ts';
import {
  CRASHED_TYPE,
  finalFailure,
  ownFailure,
  parkedFailure,
  passingFailure,
  readError,
  RETRY_TYPE,
} from '../failure.ts';
import { toJson, toJsonArguments } from '../json.ts';
import { EXPIRED_TYPE, type ToldCall } from '../parking.ts';
import type { Registration } from '../registry.ts';
import type { BaseTask } from '../task.ts';
import { DurableCall, Expired, WorkerStopped } from './durable-call.ts';
import { Parked, runExclusively, Wait } from './exclusive.ts';
import { runHook } from './hooks.ts';
import type { WorkerLife } from './worker-life.ts';

/** A quarter of the time after which Temporal counts an activity as lost. */
export const HEARTBEAT_MS = 5_000;
const REDIS_BACKOFF_MAX_MS = 30_000;

/**
 * Runs one attempt of a call. The result is the task's; whatever the task throws is turned into a failure that either
 * ends the call or lets Temporal start the next attempt.
 *
 * @param life of the worker that runs it
 */
export async function execute(
  registration: Registration,
  told: Omit<ToldCall, 'task'>,
  life: WorkerLife,
): Promise<unknown> {
  const call = new DurableCall(registration, { context: Context.current(), ...told });
  assertCrashBudget(registration, call);
  const attempt = async () => {
    try {
      return await life.during(call, () => run(registration, call));
    } catch (error) {
      throw await failureOf(error, registration, call);
    }
  };
  const timer = setInterval(() => call.heartbeat(), HEARTBEAT_MS);
  try {
    // the whole attempt, so that every line of the log carries the call's id
    return await enterTask(registration.task, call, attempt);
  } finally {
    clearInterval(timer);
  }
}

function assertCrashBudget({ name, task }: Registration, { crashes }: DurableCall): void {
  if (crashes < task.maxCrashes) return;
  throw ownFailure(
    CRASHED_TYPE,
    `task '${name}' took its worker down, or kept it from answering, ${crashes === 1 ? 'once' : `${crashes} times`}; it is not run again`,
  );
}

async function run(registration: Registration, call: DurableCall): Promise<unknown> {
  const { task, body, exclusive, name } = registration;
  call.assertInTime();
  toJsonArguments(call.args, `task '${name}'`);
  const section = async () => {
    // revoked or interrupted while it waited for its lock
    call.signal.throwIfAborted();
    call.assertInTime();
    call.beat.begun = true;
    call.beat.waits = 0;
    call.heartbeat();
    await task.beforeStart(call);
    return await body(...call.args);
  };
  const interruptible = () => Promise.race([section(), call.interrupted]);
  const value = exclusive
    ? await runExclusively(registration, call, interruptible)
    : await interruptible();
  const result = toJson(value, `result of task '${name}'`);
  if (!call.terminated) await runEndHooks(task, result, call);
  return result;
}

/** The hooks of a call that has its value. A worker that stops does not wait for them, and runs nothing again. */
async function runEndHooks(task: BaseTask, result: unknown, call: DurableCall): Promise<void> {
  const hooks = async () => {
    await runHook(task, 'onSuccess', () => task.onSuccess(result, call));
    await runHook(task, 'afterReturn', () => task.afterReturn('SUCCESS', result, call));
  };
  const stopped = call.interrupted.catch(() => {});
  await Promise.race([hooks(), stopped]);
}

/** The failure that `error` becomes. It never throws: whatever went wrong, the attempt ends with a failure of ours. */
async function failureOf(
  error: unknown,
  registration: Registration,
  call: DurableCall,
): Promise<Error> {
  try {
    if (error instanceof Parked) return parkedFailure(error.message, error.parking);
    if (error instanceof Expired) return ownFailure(EXPIRED_TYPE, error.message);
    const delayMs = waitMs(error, call);
    // what is not the task's own error costs it no retry, even where autoretryFor names every Error
    const retry = delayMs === undefined ? retryOptions(error, registration) : undefined;
    // a revoked call is not run again, whatever its code has thrown
    if (call.cancellation && (retry || delayMs !== undefined || isAbort(error))) {
      return call.cancellation;
    }
    if (retry) return await retryFailure(retry, registration, call);
    if (delayMs === undefined) return finalFailure(error);
    call.end();
    return passingFailure((error as Error).name, error, delayMs);
  } catch (broken) {
    return finalFailure(broken);
  }
}

function isAbort(error: unknown): boolean {
  return (
    error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError')
  );
}

/** How long until the next attempt, for an error that is not the task's own; undefined for one that is. */
function waitMs(error: unknown, { beat, lockId }: DurableCall): number | undefined {
  if (error instanceof Wait) return error.delayMs;
  if (error instanceof WorkerStopped) return 1;
  // of this task's own lock: the code may have called another exclusive task
  if (!(error instanceof LockError) || error.lockId !== lockId) return undefined;
  if (error instanceof LockLostError) return 1;
  if (!(error instanceof LockUnavailableError)) return undefined;
  beat.waits += 1;
  return Math.min(1_000 * 2 ** (beat.waits - 1), REDIS_BACKOFF_MAX_MS);
}

function retryOptions(
  error: unknown,
  { task }: Registration,
): (RetryOptions & { reason: unknown }) | undefined {
  if (error instanceof RetryRequest) return { ...error.options, reason: error.cause ?? error };
  return task.autoretryFor.some((type) => error instanceof type) ? { reason: error } : undefined;
}

async function retryFailure(
  { reason, countdown, maxRetries }: RetryOptions & { reason: unknown },
  { name, task }: Registration,
  call: DurableCall,
): Promise<Error> {
  const delayMs = durationMs(countdown ?? task.retryDelay, `task '${name}': retry(): countdown`);
  const limit = maxRetries === undefined ? task.maxRetries : maxRetries;
  if (limit !== null && call.beat.retries >= limit)
    return finalFailure(outOfRetries(reason, name, limit));
  call.logger.warn(
    { err: reason, retries: call.beat.retries },
    `Task '${name}' runs again in ${delayMs / 1_000} s`,
  );
  const error = reason instanceof Error ? reason : new Error(readError(reason).message);
  await runHook(task, 'onRetry', () => task.onRetry(error, call));
  call.beat.retries += 1;
  call.end();
  return passingFailure(RETRY_TYPE, reason, delayMs);
}

function outOfRetries(reason: unknown, name: string, limit: number): unknown {
  if (!(reason instanceof RetryRequest)) return reason;
  return new SedanoError(`task '${name}' asked to be run again, but maxRetries is ${limit}`);
}
