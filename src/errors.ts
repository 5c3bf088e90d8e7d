import type { LockHolder } from './lock/lock.ts';

/** What every error of Sedano can carry beside its message. */
export interface SedanoErrorOptions {
  /** The next thing to try, as one sentence. The command line prints it under the message. */
  hint?: string;
  /** The error that led to this one. */
  cause?: unknown;
}

/** The base of all errors that Sedano throws. Messages say what, where, expected and got. */
export class SedanoError extends Error {
  override name = 'SedanoError';
  /** The next thing to try, as one sentence; absent where there is none. */
  declare readonly hint?: string;

  constructor(message: string, { hint, cause }: SedanoErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    if (hint !== undefined) this.hint = hint;
  }
}

/** A setting, an option, an environment variable or a definition is wrong. */
export class ConfigError extends SedanoError {
  override name = 'ConfigError';
}

/** A crontab does not parse, or can never fire. */
export class CrontabError extends SedanoError {
  override name = 'CrontabError';
  /** The field at fault, in Sedano's spelling, for example `dayOfWeek`; undefined when the whole is at fault. */
  readonly field: string | undefined;

  constructor(
    message: string,
    { field, ...options }: SedanoErrorOptions & { field?: string } = {},
  ) {
    super(message, options);
    this.field = field;
  }
}

/**
 * Arguments or a result are not JSON, larger than 2 MB or deeper than 64 levels. Arguments are refused before anything
 * is sent.
 */
export class InvalidArgumentsError extends SedanoError {
  override name = 'InvalidArgumentsError';
}

/**
 * No task of this name is registered here. `sedano call` refuses it; a call that a worker does not know is offered
 * again every 2 s, until a worker does.
 */
export class TaskNotRegisteredError extends SedanoError {
  override name = 'TaskNotRegisteredError';
  /** The name that was asked for. */
  readonly taskName: string;

  constructor(
    message: string,
    { taskName, ...options }: SedanoErrorOptions & { taskName: string },
  ) {
    super(message, options);
    this.taskName = taskName;
  }
}

/** The Temporal server cannot be reached, or does not answer in time: 5 s for a request, 15 s for a worker's start. */
export class TemporalUnavailableError extends SedanoError {
  override name = 'TemporalUnavailableError';
}

/** Which call an error belongs to. */
export interface TaskErrorOptions extends SedanoErrorOptions {
  /** The call's id, `<task>/<uuid>` unless it was chosen otherwise. */
  taskId: string;
}

/** The base of the errors of a call: of how it ended, and of asking for it. */
export class TaskError extends SedanoError {
  override name = 'TaskError';
  /** The call's id. */
  readonly taskId: string;

  constructor(message: string, { taskId, ...options }: TaskErrorOptions) {
    super(message, options);
    this.taskId = taskId;
  }
}

/**
 * The task threw. `type`, `message` and `remoteStack` are those of the error it threw, each cut at 4 kB. Celery raises
 * the task's own exception again; here its class stays in the worker.
 */
export class TaskFailedError extends TaskError {
  override name = 'TaskFailedError';
  /** The class name of the error the task threw, for example `'TypeError'`. */
  readonly type: string;
  /** The stack of that error in the process that ran the task. */
  readonly remoteStack: string | undefined;

  constructor(
    message: string,
    { type, remoteStack, ...options }: TaskErrorOptions & { type: string; remoteStack?: string },
  ) {
    super(message, options);
    this.type = type;
    this.remoteStack = remoteStack;
  }
}

/** The task's worker died under it `maxCrashes` times; it is not run again. */
export class TaskCrashedError extends TaskError {
  override name = 'TaskCrashedError';
}

/** The call was revoked, or its workflow terminated. */
export class TaskRevokedError extends TaskError {
  override name = 'TaskRevokedError';
}

/** `get()` waited as long as it was told to; the call goes on. */
export class ResultTimeoutError extends TaskError {
  override name = 'ResultTimeoutError';
}

/** Temporal has no call of this id: it never was, or its result is no longer kept. */
export class ResultNotFoundError extends TaskError {
  override name = 'ResultNotFoundError';
}

/** The routine an error is about. */
export interface RoutineErrorOptions extends SedanoErrorOptions {
  /** Its name in the app. */
  routine: string;
}

/** The base of the errors of one routine's schedule. */
export class RoutineError extends SedanoError {
  override name = 'RoutineError';
  /** Its name in the app. */
  readonly routine: string;

  constructor(message: string, { routine, ...options }: RoutineErrorOptions) {
    super(message, options);
    this.routine = routine;
  }
}

/** The server has no schedule for this routine. */
export class RoutineNotFoundError extends RoutineError {
  override name = 'RoutineNotFoundError';
}

/** Somebody else has changed the same field meanwhile; nothing was written. The text has both versions. */
export class RoutineConflictError extends RoutineError {
  override name = 'RoutineConflictError';
  /** The fields that both have changed. */
  readonly fields: readonly string[];

  constructor(
    message: string,
    { fields, ...options }: RoutineErrorOptions & { fields: readonly string[] },
  ) {
    super(message, options);
    this.fields = fields;
  }
}

/** The lock an error is about. */
export interface LockErrorOptions extends SedanoErrorOptions {
  /** The `lockId` of the exclusive task. */
  lockId: string;
}

/** The base of the errors of exclusive tasks. */
export class LockError extends SedanoError {
  override name = 'LockError';
  /** The `lockId` of the exclusive task. */
  readonly lockId: string;

  constructor(message: string, { lockId, ...options }: LockErrorOptions) {
    super(message, options);
    this.lockId = lockId;
  }
}

/** Redis does not answer within 5 s, so `run()` of an exclusive task has not run it. A durable call waits for Redis. */
export class LockUnavailableError extends LockError {
  override name = 'LockUnavailableError';
}

/** Why a lock was lost. */
export type LockLossReason =
  /** Its lease ended before it could be renewed. */
  | 'deadline'
  /** A later attempt of the same call takes over, or somebody has asked for it. */
  | 'revoked'
  /** Somebody ended the hold by hand. */
  | 'forced'
  /** Redis no longer has it. */
  | 'gone';

/**
 * The lock was lost while the task ran: its lease ended, or a retry of the same call took over. `run()` throws it; a
 * durable call is run again.
 */
export class LockLostError extends LockError {
  override name = 'LockLostError';
  /** Why. */
  readonly reason: LockLossReason;
  /** The fence of the grant that was lost. */
  readonly fence: string;

  constructor(
    message: string,
    { reason, fence, ...options }: LockErrorOptions & { reason: LockLossReason; fence: string },
  ) {
    super(message, options);
    this.reason = reason;
    this.fence = fence;
  }
}

/** Whoever holds the lock, for the errors of those who do not. */
export interface LockHolderErrorOptions extends LockErrorOptions {
  /** Who holds the lock; undefined where nobody does for a moment. */
  holder?: LockHolder | undefined;
}

/** The base of the errors of those who do not get a lock, since others have it. */
export class LockBusyError extends LockError {
  override name = 'LockBusyError';
  /** Who holds it, as far as it is known. */
  readonly holder: LockHolder | undefined;

  constructor(message: string, { holder, ...options }: LockHolderErrorOptions) {
    super(message, options);
    this.holder = holder;
  }
}

/** An exclusive task with `onBusy: 'raise'` is running already. */
export class AlreadyRunningError extends LockBusyError {
  override name = 'AlreadyRunningError';
}

/** The lock was not free within `maxWait`. */
export class LockWaitTimeoutError extends LockBusyError {
  override name = 'LockWaitTimeoutError';
}

/** A task waits for a lock that it holds itself: it would wait for ever. */
export class SelfDeadlockError extends LockError {
  override name = 'SelfDeadlockError';
}
