import type { AsyncResult } from './async-result.ts';
import type { ApplyOptions, CallOptions } from './call-options.ts';
import { currentTask } from './current-task.ts';
import type { Duration } from './duration.ts';
import type { ExclusiveOptions } from './exclusive.ts';
import { runInline } from './inline.ts';
import type { Jsonable } from './json.ts';
import type { RedactOption } from './redactor.ts';
import { registrationOf } from './registry.ts';

/** The arguments of a task's `run`, as a tuple. */
export type ArgsOf<T extends { run(...args: never[]): unknown }> = Parameters<T['run']>;

/** What a task's `run` returns, without the promise. */
export type ResultOf<T extends { run(...args: never[]): unknown }> = Awaited<ReturnType<T['run']>>;

/** A class whose instances can be thrown. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** One call, as hooks see it. */
export interface TaskCall {
  /** The call's id, `<task>/<uuid>` unless it was chosen otherwise. */
  id: string;
  /** Temporal's id of this run. */
  runId: string;
  /** The arguments of the call. */
  args: readonly unknown[];
}

/** How a call ended, in Celery's words. */
export type FinalState = 'SUCCESS' | 'FAILURE' | 'REVOKED';

/** What a task can be told beside its code. */
export interface TaskOptions<Args extends unknown[] = []> {
  /** Unique in the app: printable, at most 200 bytes. Also the workflow type, so `temporal workflow start --type` takes it. */
  name: string;
  /** One sentence for people. @default '' */
  description?: string;
  /** The task queue of its calls. @default the app's queue */
  queue?: string;
  /** At most one call runs at a time. @default not exclusive */
  exclusive?: ExclusiveOptions<Args>;
  /** Errors that run the task again by themselves, compared with `instanceof`, as Celery's `autoretry_for`. @default [] */
  autoretryFor?: readonly ErrorClass[];
  /** Further executions after the first, from 0, as in Celery: 3 is four executions; null is no limit. @default 3 */
  maxRetries?: number | null;
  /** The pause before a retry. @default '180s', Celery's `default_retry_delay` */
  retryDelay?: Duration;
  /** How many times the task may kill its worker before the call fails with a {@link TaskCrashedError}, from 1. @default 3 */
  maxCrashes?: number;
  /**
   * What must not be shown: members of the arguments by name, at any depth, and arguments by position from 0. Their
   * values are taken out of mails, of the log lines of the task and of the texts of its errors. The arguments in
   * Temporal's history are as they were sent. @default []
   */
  redact?: RedactOption;
}

/** The keys of {@link TaskOptions}. */
export const TASK_OPTIONS = [
  'name',
  'description',
  'queue',
  'exclusive',
  'autoretryFor',
  'maxRetries',
  'retryDelay',
  'maxCrashes',
  'redact',
] as const satisfies readonly (keyof TaskOptions)[];

/**
 * A task: its code is `run`, its options are its fields. Extend it for a class task, or let `app.task()` make one of
 * a function. Hooks do nothing unless overridden; call `super` in an override, so that mixins stack.
 */
export abstract class BaseTask implements TaskOptions {
  abstract readonly name: string;
  readonly description: string = '';
  readonly queue: string | undefined = undefined;
  readonly autoretryFor: readonly ErrorClass[] = [];
  readonly maxRetries: number | null = 3;
  readonly retryDelay: Duration = '180s';
  readonly maxCrashes: number = 3;
  readonly redact: RedactOption = [];

  /**
   * The task's code. On a registered task it runs inline: in this process, under the task's lock when it is
   * exclusive, with `currentTask()`, without hooks, retries and JSON conversion.
   *
   * @returns what the code returns; `"<taskName> already running!"` when an exclusive task is busy
   * @throws {LockUnavailableError} when Redis does not answer within 5 s; the code has not run then.
   * @throws {LockLostError} when the lock was lost while the code ran.
   */
  // a subclass narrows the arguments, also to a type parameter, which TypeScript grants to no other type than any
  // oxlint-disable-next-line typescript/no-explicit-any
  abstract run(...args: any[]): Promise<unknown>;

  /**
   * Starts a durable call and returns at once.
   *
   * @throws {InvalidArgumentsError} when the arguments are not JSON.
   * @throws {TemporalUnavailableError} when no server answers within 5 s; one that got the request may have started it.
   * @throws {ConfigError} when the task is not registered.
   */
  delay<T extends BaseTask>(this: T, ...args: ArgsOf<T>): Promise<AsyncResult<ResultOf<T>>> {
    return this.applyAsync(args);
  }

  /**
   * Starts a durable call with options, and returns at once.
   *
   * @throws {InvalidArgumentsError} when the arguments are not JSON.
   * @throws {TemporalUnavailableError} when no server answers within 5 s; one that got the request may have started it.
   * @throws {ConfigError} when an option is wrong, or the task is not registered.
   */
  applyAsync<T extends BaseTask>(
    this: T,
    args: ArgsOf<T>,
    options: CallOptions = {},
  ): Promise<AsyncResult<ResultOf<T>>> {
    const { app, name } = registrationOf(this);
    return app.sendTask<ResultOf<T>>(name, args, options);
  }

  /**
   * `run()` with options, as Celery's `apply()` is the inline form of `apply_async()`.
   *
   * @returns what the code returns, or the loser's message
   * @throws {ConfigError} when an option is wrong, or the task is not registered.
   */
  async apply<T extends BaseTask>(
    this: T,
    args: ArgsOf<T>,
    options: ApplyOptions = {},
  ): Promise<ResultOf<T>> {
    return (await runInline(registrationOf(this), args, options)) as ResultOf<T>;
  }

  /**
   * Logs the request of the call that runs (id, name, attempt, queue, size of the arguments in bytes) at debug level.
   *
   * @throws {SedanoError} outside of a task.
   */
  debugTask(): void {
    const { id, name, attempt, retries, queue, args, logger } = currentTask();
    const argumentBytes = Buffer.byteLength(JSON.stringify(args));
    logger.debug({ id, task: name, attempt, retries, queue, argumentBytes }, 'Request');
  }

  /** Runs in the worker before the code, in each execution. An error it throws is the task's. */
  beforeStart(_call: TaskCall): void | Promise<void> {}

  /** Runs in the worker after the code has returned. */
  onSuccess(_value: unknown, _call: TaskCall): void | Promise<void> {}

  /** Runs once when the call has finally failed, in any worker of the queue. */
  onFailure(_error: Error, _call: TaskCall): void | Promise<void> {}

  /** Runs in the worker when the task is to be run again. */
  onRetry(_error: Error, _call: TaskCall): void | Promise<void> {}

  /** Runs once when the call has ended, after onSuccess or onFailure. `outcome` is the value or the error. */
  afterReturn(_state: FinalState, _outcome: unknown, _call: TaskCall): void | Promise<void> {}
}

/** The task that `app.task()` makes of a function. */
export class FunctionTask<Args extends unknown[], Result> extends BaseTask {
  override readonly name: string;
  override readonly description: string;
  override readonly queue: string | undefined;
  override readonly autoretryFor: readonly ErrorClass[];
  override readonly maxRetries: number | null;
  override readonly retryDelay: Duration;
  override readonly maxCrashes: number;
  override readonly redact: RedactOption;
  // assigned at registration to the inline form, as every task's run is
  readonly #code: (...args: Args) => Result;

  constructor(options: TaskOptions<Args>, code: (...args: Args) => Result) {
    super();
    this.name = options.name;
    this.description = options.description ?? '';
    this.queue = options.queue;
    this.autoretryFor = options.autoretryFor ?? [];
    this.maxRetries = options.maxRetries === undefined ? 3 : options.maxRetries;
    this.retryDelay = options.retryDelay ?? '180s';
    this.maxCrashes = options.maxCrashes ?? 3;
    this.redact = options.redact ?? [];
    this.#code = code;
  }

  /** The function, with the types of its arguments and its result. */
  override async run(...args: Args): Promise<Awaited<Result>> {
    return await this.#code(...args);
  }
}

/** Nothing when a task takes and returns JSON; else a text that the compiler shows. */
export type JsonTask<Args extends readonly unknown[], Result> =
  Args extends Jsonable<Args>
    ? Awaited<Result> extends void | Jsonable<Awaited<Result>>
      ? unknown
      : 'the result of a task must be JSON'
    : 'the arguments of a task must be JSON';
