import type { WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  type Duration as TemporalDuration,
} from '@temporalio/common';
import { runningRedactor } from './current-task.ts';
import { PARKED_TYPE, type Parking } from './parking.ts';
import {
  SedanoError,
  TaskCrashedError,
  TaskFailedError,
  TaskRevokedError,
  type TaskError,
} from './errors.ts';

/** The failure type of an attempt whose task asked to be run again. */
export const RETRY_TYPE = 'RetryRequest';
/** The failure type of a call whose task no longer runs, since it killed its worker too often. */
export const CRASHED_TYPE = 'TaskCrashedError';

/** When a call of a task that a worker does not know is offered again. */
export const UNKNOWN_TASK_RETRY_MS = 2_000;

const MAX_TEXT_BYTES = 4_096;
const MAX_CAUSES = 5;

/** Marks failures that Sedano itself decided on, so that a task's own error of the same name is not taken for one. */
const OURS = { sedano: true };

/**
 * The failure that ends a call because of `error`. Only text crosses: class name, message and stack, each cut at
 * 4 kB, and the chain of causes, five deep, cycles cut. The class itself is never made again from what is received.
 */
export function finalFailure(error: unknown): ApplicationFailure {
  return textFailure(error, { nonRetryable: true });
}

/** The failure of one attempt, after which Temporal starts the next one in `delayMs`. */
export function passingFailure(type: string, error: unknown, delayMs: number): ApplicationFailure {
  return textFailure(error, { type, nextRetryDelay: Math.max(1, Math.round(delayMs)) });
}

/** The failure of a call that Sedano gives up. */
export function ownFailure(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [OURS] });
}

/** The failure of a round whose call waits in its workflow, which knows it by its type and its first detail. */
export function parkedFailure(message: string, parking: Parking): ApplicationFailure {
  const details = [OURS, parking];
  const failure = ApplicationFailure.create({
    type: PARKED_TYPE,
    message,
    nonRetryable: true,
    details,
  });
  // it is no error: nobody wants to know where it was made
  failure.stack = '';
  return failure;
}

interface FailureOptions {
  type?: string;
  nonRetryable?: boolean;
  nextRetryDelay?: TemporalDuration;
}

function textFailure(
  error: unknown,
  options: FailureOptions,
  seen: unknown[] = [],
): ApplicationFailure {
  const { name, message, stack, cause } = readError(error);
  // before anything is cut, which could leave half of a secret
  const shown = (text: string) => cut(runningRedactor()?.text(text) ?? text);
  const deeper = [...seen, error];
  const follows = cause !== undefined && !deeper.includes(cause) && deeper.length < MAX_CAUSES;
  const failure = ApplicationFailure.create({
    type: shown(name),
    ...options,
    message: shown(message),
    ...(error instanceof SedanoError && error.hint !== undefined
      ? { details: [{ hint: shown(error.hint) }] }
      : {}),
    ...(follows ? { cause: textFailure(cause, {}, deeper) } : {}),
  });
  failure.stack = shown(stack ?? '');
  return failure;
}

interface ErrorText {
  name: string;
  message: string;
  stack?: string;
  cause?: unknown;
}

/** The texts of whatever was thrown: anything can be, and a getter of it can throw in turn. */
export function readError(error: unknown): ErrorText {
  try {
    if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
    // an error's own fields may hold anything, whatever their types say
    const { name, message, stack, cause }: { [Field in keyof ErrorText]: unknown } = error;
    return {
      name: String(name),
      message: String(message),
      stack: typeof stack === 'string' ? stack : '',
      cause,
    };
  } catch {
    return { name: 'Error', message: 'an error whose text cannot be read' };
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.byteLength <= MAX_TEXT_BYTES) return text;
  // a character may be cut in two; its remains are dropped
  return `${bytes
    .subarray(0, MAX_TEXT_BYTES - 4)
    .toString()
    .replace(/\uFFFD$/, '')}…`;
}

/** What `get()` throws for a call that did not succeed. */
export function toTaskError(error: WorkflowFailedError, taskId: string): TaskError {
  const failure = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  if (failure instanceof CancelledFailure || failure instanceof TerminatedFailure) {
    const how = failure instanceof TerminatedFailure ? `: ${failure.message}` : '';
    return new TaskRevokedError(`call '${taskId}' was revoked${how}`, { taskId, cause: error });
  }
  if (failure instanceof TimeoutFailure) {
    return new TaskFailedError(failure.message, { taskId, type: 'TimeoutFailure', cause: error });
  }
  if (!(failure instanceof ApplicationFailure)) {
    const message = failure?.message ?? error.message;
    return new TaskFailedError(message, { taskId, type: failure?.name ?? 'Error', cause: error });
  }
  if (failure.type === CRASHED_TYPE && isOurs(failure)) {
    return new TaskCrashedError(failure.message, { taskId, cause: error });
  }
  return new TaskFailedError(failure.message, {
    taskId,
    type: failure.type ?? 'Error',
    ...(failure.stack === undefined ? {} : { remoteStack: failure.stack }),
    ...hintOf(failure),
    cause: failure.cause,
  });
}

/** What the task's own error gave as the next thing to try. */
function hintOf({ details }: ApplicationFailure): { hint?: string } {
  const [first] = (details ?? []) as [{ hint?: unknown }?];
  return typeof first?.hint === 'string' ? { hint: first.hint } : {};
}

function isOurs({ details }: ApplicationFailure): boolean {
  const [first] = details ?? [];
  return typeof first === 'object' && first !== null && 'sedano' in first;
}
