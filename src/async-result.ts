import { setMaxListeners } from 'node:events';
import {
  WorkflowFailedError,
  WorkflowNotFoundError,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import type { TaskClient } from './client.ts';
import { durationMs, MAX_TIMER_MS, type Duration } from './duration.ts';
import { ResultNotFoundError, ResultTimeoutError } from './errors.ts';
import { toTaskError } from './failure.ts';
import { describePending } from './pending-call.ts';

/**
 * Celery's states, and `UNKNOWN` where Celery would say PENDING of a call that never was.
 * `PENDING`: accepted, and no worker runs it; `STARTED`: a worker runs it; `RETRY`: waiting for its next execution.
 */
export type TaskState =
  'PENDING' | 'STARTED' | 'RETRY' | 'SUCCESS' | 'FAILURE' | 'REVOKED' | 'UNKNOWN';

/** How long `get()` waits. */
export interface GetOptions {
  /** How long at most; the call goes on after it. @default no limit */
  timeout?: Duration;
  /** Ends the waiting with the signal's reason; the call goes on. */
  signal?: AbortSignal;
}

/** How `revoke()` ends a call. */
export interface RevokeOptions {
  /** End it at once, without the task's code and hooks having a say; its code keeps its lock until it ends. @default false */
  terminate?: boolean;
}

/** A call, by its id: its state, its value, and the way to end it. Nothing is asked until a method is called. */
export class AsyncResult<Result = unknown> {
  /**
   * `<task>/<uuid>` unless it was chosen otherwise; `exclusive/<app>/<lockId>` of an exclusive task, `refused/…` of a
   * call that was refused.
   */
  readonly id: string;
  /** The run that was started; undefined means the latest of the id. */
  readonly runId: string | undefined;
  protected readonly client: TaskClient;

  /** Made by `delay()`, `sendTask()` and `app.result()`. @internal */
  constructor(client: TaskClient, id: string, runId: string | undefined) {
    this.client = client;
    this.id = id;
    this.runId = runId;
  }

  /** Whether the call was started; false when an exclusive task was busy. */
  get accepted(): boolean {
    return true;
  }

  /** The call that held the lock when this one was refused; undefined for a call that was started. It may be its successor. */
  holder(): AsyncResult<Result> | undefined {
    return undefined;
  }

  /**
   * Where the call is now.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async state(): Promise<TaskState> {
    const description = await this.#describe();
    return description === undefined ? 'UNKNOWN' : stateOf(description);
  }

  /**
   * Whether the call has ended.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async ready(): Promise<boolean> {
    return isFinal(await this.state());
  }

  /**
   * Whether it has ended with a value.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async successful(): Promise<boolean> {
    return (await this.state()) === 'SUCCESS';
  }

  /**
   * Whether it has ended with an error.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async failed(): Promise<boolean> {
    return (await this.state()) === 'FAILURE';
  }

  /**
   * The value of a call that has succeeded, the error of one that has failed or was revoked, else what the task last
   * gave to `progress()`; undefined when there is nothing of these.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async info(): Promise<unknown> {
    const description = await this.#describe();
    if (description === undefined) return undefined;
    const state = stateOf(description);
    if (state === 'SUCCESS') return await this.get();
    if (isFinal(state)) {
      return await this.get().catch((error: unknown) => error);
    }
    return describePending(description).progress;
  }

  /**
   * Waits for the value.
   *
   * @throws {TaskFailedError} when the task threw.
   * @throws {TaskCrashedError} when it took its worker down `maxCrashes` times.
   * @throws {TaskRevokedError} when the call was revoked.
   * @throws {ResultTimeoutError} after `timeout`; the call goes on.
   * @throws {ResultNotFoundError} when there is no such call.
   * @throws {TemporalUnavailableError} when the server cannot be reached.
   * @throws {ConfigError} when `timeout` is not a duration.
   * @throws {SedanoError} when the app is closed meanwhile; the call goes on.
   * @throws the signal's reason when it aborts.
   */
  async get({ timeout, signal }: GetOptions = {}): Promise<Result> {
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, 'get(): timeout');
    signal?.throwIfAborted();
    const { temporal, closed } = this.client;
    const stop = new AbortController();
    // the SDK listens anew with each long poll
    setMaxListeners(0, stop.signal);
    const wait = temporal.withAbortSignal(stop.signal, () => this.#handle().result());
    // composed signals leave no listener on the caller's
    const ended = AbortSignal.any([closed, stop.signal, ...(signal ? [signal] : [])]);
    try {
      return (await Promise.race([
        wait,
        rejectAtAbort(ended),
        this.#rejectAfter(timeoutMs, stop.signal),
      ])) as Result;
    } catch (error) {
      throw this.#explain(error);
    } finally {
      // an abandoned long poll would otherwise be sent again for ever
      stop.abort();
      wait.catch(() => {});
    }
  }

  #rejectAfter(timeoutMs: number | undefined, stop: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      // a longer time than a timer can wait is as good as no limit
      if (timeoutMs === undefined || timeoutMs > MAX_TIMER_MS) return;
      const timer = setTimeout(() => {
        const message = `call '${this.id}' has not ended within ${timeoutMs / 1_000} s; it goes on`;
        reject(new ResultTimeoutError(message, { taskId: this.id }));
      }, timeoutMs);
      stop.addEventListener('abort', () => clearTimeout(timer));
    });
  }

  /**
   * Asks the call to end. One that no worker has begun ends at once; a running one sees `currentTask().signal` abort
   * within 5 s and ends when its code does. A call that has ended stays as it is.
   *
   * @throws {ResultNotFoundError} when there is no such call.
   * @throws {SedanoError} when the call was refused, since an exclusive task was busy; the text names the one that runs.
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async revoke({ terminate = false }: RevokeOptions = {}): Promise<void> {
    const description = await this.#describe();
    if (description === undefined) throw this.#notFound();
    if (description.status.name !== 'RUNNING') return;
    // a cancel request alone would wait for a worker
    const atOnce = terminate || !describePending(description).begun;
    await this.client.request((client) => {
      const handle = client.workflow.getHandle(this.id, description.runId);
      return atOnce ? handle.terminate('revoked') : handle.cancel();
    });
  }

  #handle(): WorkflowHandle {
    return this.client.temporal.workflow.getHandle(this.id, this.runId);
  }

  async #describe(): Promise<WorkflowExecutionDescription | undefined> {
    try {
      const run = await this.client.request(() => this.#handle().describe());
      if (run.status.name !== 'CONTINUED_AS_NEW') return run;
      // a call that waits for long goes on in other runs of its id
      return await this.client.request(({ workflow }) => workflow.getHandle(this.id).describe());
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  #explain(error: unknown): unknown {
    if (error instanceof WorkflowNotFoundError) return this.#notFound();
    if (error instanceof WorkflowFailedError) return toTaskError(error, this.id);
    return this.client.explain(error);
  }

  #notFound(): ResultNotFoundError {
    return new ResultNotFoundError(
      `call '${this.id}' was never seen, or its result is no longer kept`,
      {
        taskId: this.id,
        hint: 'Temporal keeps results for the retention of its namespace (7 days under sedano dev).',
      },
    );
  }
}

function stateOf(description: WorkflowExecutionDescription): TaskState {
  switch (description.status.name) {
    case 'COMPLETED':
      return 'SUCCESS';
    case 'CANCELLED':
    case 'TERMINATED':
      return 'REVOKED';
    case 'RUNNING':
    case 'PAUSED':
    case 'CONTINUED_AS_NEW':
      return describePending(description).state;
    default:
      return 'FAILURE';
  }
}

function isFinal(state: TaskState): boolean {
  return state === 'SUCCESS' || state === 'FAILURE' || state === 'REVOKED';
}

function rejectAtAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}
