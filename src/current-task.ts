import { AsyncLocalStorage } from 'node:async_hooks';
import type { Sedano } from './app.ts';
import type { Duration } from './duration.ts';
import { SedanoError } from './errors.ts';
import { bindExclusiveGuard } from './exclusive.ts';
import type { HeldLock } from './lock/lock.ts';
import { bindLoggerContext, type TaskLogger } from './logger.ts';
import { Redactor } from './redactor.ts';
import { registrationOf } from './registry.ts';
import type { BaseTask } from './task.ts';

/** How a task asks to be run again, as with Celery's `Task.retry`. */
export interface RetryOptions {
  /** The pause before the next execution. @default the task's retryDelay */
  countdown?: Duration;
  /** Further executions after the first, for this call; null is no limit. @default the task's maxRetries */
  maxRetries?: number | null;
  /** The error that is the reason; the call fails with it once no retry is left. @default a SedanoError that says so */
  cause?: Error;
}

/** The call that runs. */
export interface CurrentTask {
  /** The call's id: `<task>/<uuid>` unless chosen otherwise; inline it begins with `inline/`. */
  readonly id: string;
  /** Temporal's id of this run; inline the id again. */
  readonly runId: string;
  /** The task's name. */
  readonly name: string;
  /** The arguments; those of a durable call are what JSON has carried. */
  readonly args: readonly unknown[];
  /** The task queue, or undefined inline. */
  readonly queue: string | undefined;
  /** The routine whose schedule started the call, if one did. */
  readonly routine: string | undefined;
  /** From 1: executions so far with this one, crashed and interrupted ones and waits included. */
  readonly attempt: number;
  /** How many times the task asked to be run again so far. */
  readonly retries: number;
  /** Aborts when the call is revoked, its lock is lost, or its worker stops; the reason is the error. */
  readonly signal: AbortSignal;
  /** What the attempt before this one gave to `progress()` last, or undefined. */
  readonly resume: unknown;
  /** The lock that this call holds; undefined when the task is not exclusive. */
  readonly lock: HeldLock | undefined;
  /** The task's logger. Its lines carry the task's name and the call's id. */
  readonly logger: TaskLogger;
  /**
   * Shows `info` (JSON) in `result.info()`, and gives it to the next attempt as `resume`. Inline it does nothing.
   *
   * @throws {InvalidArgumentsError} when `info` is not JSON.
   */
  progress(info: unknown): void;
  /**
   * The error to throw so that the task is run again: `throw currentTask().retry({ countdown: '10s' })`.
   * Inline it is the cause itself, as Celery raises the original error when a task is called directly.
   *
   * @throws {ConfigError} when an option is wrong.
   */
  retry(options?: RetryOptions): Error;
}

/** What `retry()` makes in a worker. */
export class RetryRequest extends SedanoError {
  override name = 'RetryRequest';
  readonly options: RetryOptions;

  constructor(options: RetryOptions) {
    super(
      'The task asked to be run again',
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.options = options;
  }
}

interface Entered {
  task: BaseTask;
  current: CurrentTask;
  redactor: Redactor | undefined;
  /** What it was called in, if in a task. */
  within: Entered | undefined;
}

const storage = new AsyncLocalStorage<Entered>();

/**
 * The call that runs, in a worker or inline.
 *
 * @throws {SedanoError} outside of a task.
 */
export function currentTask(): CurrentTask {
  const entered = storage.getStore();
  if (entered === undefined) {
    throw new SedanoError('currentTask() was called outside of a task', {
      hint: 'Call it in the code of a task, or in what that code calls.',
    });
  }
  return entered.current;
}

/** Runs `code` as the body of this call of this task. */
export function enterTask<T>(task: BaseTask, current: CurrentTask, code: () => T): T {
  const { redact } = task;
  const redactor = redact.length === 0 ? undefined : new Redactor(redact, current.args);
  return storage.run({ task, current, redactor, within: storage.getStore() }, code);
}

/** Whether the call that runs, or one that it was called in, holds this lock of the app. */
export function holdsLock(app: Sedano, lockId: string): boolean {
  for (let entered = storage.getStore(); entered; entered = entered.within) {
    const { lock } = entered.current;
    const ours = lock?.lockId === lockId && registrationOf(entered.task).app === app;
    if (ours && lock.isHeld()) return true;
  }
  return false;
}

/** The call that runs; undefined outside of a task. */
export function runningCall(): CurrentTask | undefined {
  return storage.getStore()?.current;
}

/** What takes the secrets of the call that runs out of a text; undefined when it has none. */
export function runningRedactor(): Redactor | undefined {
  return storage.getStore()?.redactor;
}

bindExclusiveGuard((task) => {
  const entered = storage.getStore();
  return entered?.task === task && entered.current.lock !== undefined;
});
bindLoggerContext(() => {
  const entered = storage.getStore();
  if (entered === undefined) return { fields: {} };
  const { current, redactor } = entered;
  return { fields: { task: current.name, taskId: current.id }, redactor };
});
