import type { Context } from '@temporalio/activity';
import type { CancelledFailure } from '@temporalio/common';
import { readBeat, type Beat } from '../beat.ts';
import type { CarriedOptions } from '../call-options.ts';
import { assertCount, assertKeys } from '../checks.ts';
import { RetryRequest, type CurrentTask, type RetryOptions } from '../current-task.ts';
import { durationMs } from '../duration.ts';
import { SedanoError } from '../errors.ts';
import { toJson } from '../json.ts';
import type { HeldLock } from '../lock/lock.ts';
import { getTaskLogger, type TaskLogger } from '../logger.ts';
import type { BeginBy, Carry } from '../parking.ts';
import type { Registration } from '../registry.ts';

/** Why an attempt ended without its code having ended. */
export class WorkerStopped extends SedanoError {
  override name = 'WorkerStopped';
}

/** A routine's run that was too late to begin. */
export class Expired extends SedanoError {
  override name = 'Expired';
}

/** What an attempt is made of beside its task. */
export interface DurableCallOptions {
  context: Context;
  args: readonly unknown[];
  options?: CarriedOptions | undefined;
  carry?: Carry | undefined;
  beginBy?: BeginBy | undefined;
}

/** One attempt of a durable call, as its task sees it. */
export class DurableCall implements CurrentTask {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly queue: string;
  readonly routine: string | undefined;
  readonly attempt: number;
  readonly resume: unknown;
  /** From 1: how many times the call's workflow has scheduled its activity; more than once where it waits for a lock. */
  readonly round: number;
  /** From 1, in this round. */
  readonly attemptOfRound: number;
  /** The run id of its first round. */
  readonly firstRunId: string;
  readonly options: CarriedOptions;
  /** What earlier rounds have left; undefined in the first. */
  readonly carry: Carry | undefined;
  /** Attempts that ended without a word: their worker died, or did not answer. */
  readonly crashes: number;
  readonly beat: Beat;
  /** The lock that it wants; set before it asks for it. */
  lockId: string | undefined;
  /** Set when the lock is granted. */
  lock: HeldLock | undefined;
  readonly #context: Context;
  readonly #beginBy: BeginBy | undefined;
  readonly #interruption = new AbortController();
  #signal: AbortSignal | undefined;

  constructor(
    { app, name }: Registration,
    { context, args, options = {}, carry, beginBy }: DurableCallOptions,
  ) {
    const { info } = context;
    const beat = readBeat(info.heartbeatDetails ?? carry?.beat);
    const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
    this.id = workflowId;
    this.runId = runId;
    this.name = name;
    this.args = args;
    this.options = options;
    this.carry = carry;
    this.queue = info.taskQueue;
    this.routine = routineOf(workflowId, app.name);
    this.round = (carry?.rounds ?? 0) + 1;
    this.attemptOfRound = info.attempt;
    this.attempt = beat.earlier + info.attempt;
    this.firstRunId = carry?.firstRunId ?? runId;
    this.beat = beat;
    this.resume = beat.progress;
    this.crashes = beat.crashed + info.attempt - 1 - beat.ended;
    this.#context = context;
    this.#beginBy = beginBy;
  }

  get retries(): number {
    return this.beat.retries;
  }

  get signal(): AbortSignal {
    const lock = this.lock ? [this.lock.signal] : [];
    return (this.#signal ??= AbortSignal.any([
      this.#context.cancellationSignal,
      this.#interruption.signal,
      ...lock,
    ]));
  }

  get logger(): TaskLogger {
    return getTaskLogger(this.name);
  }

  progress(info: unknown): void {
    this.beat.progress = toJson(info, `progress of task '${this.name}'`);
    this.heartbeat();
  }

  retry(options: RetryOptions = {}): Error {
    assertRetryOptions(options, `task '${this.name}': retry()`);
    return new RetryRequest(options);
  }

  heartbeat(): void {
    this.#context.heartbeat(this.beat);
  }

  /** @throws {Expired} when it is too late to begin; what has begun once may be begun again. */
  assertInTime(): void {
    if (this.#beginBy === undefined || this.beat.begun || Date.now() < this.#beginBy.ms) return;
    throw new Expired(this.#beginBy.reason);
  }

  /** Why Temporal wants the call to end; undefined while it does not. */
  get cancellation(): CancelledFailure | undefined {
    const { cancellationSignal } = this.#context;
    return cancellationSignal.aborted ? (cancellationSignal.reason as CancelledFailure) : undefined;
  }

  /** Whether its workflow is gone: nothing of this attempt counts any more. */
  get terminated(): boolean {
    return this.cancellation?.message === 'NOT_FOUND';
  }

  /** The worker stops and waits no longer for the code of this call. */
  interrupt(): void {
    this.#interruption.abort(new WorkerStopped('the worker stopped before the task had ended'));
  }

  /** Rejects with WorkerStopped when the call is interrupted; never settles otherwise. */
  get interrupted(): Promise<never> {
    const { signal } = this.#interruption;
    return new Promise((_resolve, reject) => {
      const stop = () => reject(signal.reason as WorkerStopped);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop);
    });
  }

  /** Tells the next attempt that this one ended by itself. Temporal sends the last details with the failure. */
  end(): void {
    this.beat.ended += 1;
    this.heartbeat();
  }
}

function assertRetryOptions(options: RetryOptions, where: string): void {
  assertKeys(options, ['countdown', 'maxRetries', 'cause'], where);
  if (options.countdown !== undefined) durationMs(options.countdown, `${where}: countdown`);
  if (options.maxRetries !== undefined && options.maxRetries !== null) {
    assertCount(options.maxRetries, 0, `${where}: maxRetries`);
  }
}

/** A schedule's run has the id `<app>/<routine>-<time>`, the time added by the server. */
function routineOf(workflowId: string, app: string): string | undefined {
  const [, name] = /^(.+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.exec(workflowId) ?? [];
  return name?.startsWith(`${app}/`) ? name.slice(app.length + 1) : undefined;
}
