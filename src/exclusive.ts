import { assertKeys, assertTexts } from './checks.ts';
import { ConfigError } from './errors.ts';
import type { BaseTask } from './task.ts';

/** Makes a task exclusive: at most one call with this lock runs at a time, wherever it was started. */
export interface ExclusiveOptions {
  /** Names the lock in Redis and in the workflow id. Characters `A-Z a-z 0-9 . _ : / -`, at most 200 bytes. */
  lockId: string;
  /**
   * The name in the loser's message, `"<taskName> already running!"`.
   *
   * @default the task's name
   */
  taskName?: string;
  /**
   * What a loser is told: its call succeeds with the message. The only way so far.
   *
   * @default 'message'
   */
  onBusy?: 'message';
}

const LOCK_ID = /^[A-Za-z0-9._:/-]{1,200}$/;

/**
 * @param where names the task in the error.
 * @throws {ConfigError} when the lock id has other characters, or is longer than 200 bytes.
 */
export function assertExclusiveOptions(options: ExclusiveOptions, where: string): void {
  assertKeys(options, ['lockId', 'taskName', 'onBusy'], `${where}: exclusive`);
  assertTexts(options, ['taskName'], `${where}: exclusive`);
  if (options.onBusy !== undefined && (options.onBusy as unknown) !== 'message') {
    throw new ConfigError(
      `${where}: exclusive: onBusy: expected 'message', got ${JSON.stringify(options.onBusy)}`,
    );
  }
  if (typeof options.lockId !== 'string' || !LOCK_ID.test(options.lockId)) {
    throw new ConfigError(
      `${where}: lockId: expected 1 to 200 characters of A-Z a-z 0-9 . _ : / -, got ${JSON.stringify(options.lockId)}`,
      { hint: 'Other characters could end a Redis key early.' },
    );
  }
}

/** What a loser is told. */
export function alreadyRunning(taskName: string): string {
  return `${taskName} already running!`;
}

/** By the method that the decorator returned: lost when something else takes its place. */
const byMethod = new WeakMap<object, ExclusiveOptions>();
/** By the instance: kept whatever happens to the method. The two must agree. */
const byInstance = new WeakMap<object, ExclusiveOptions>();

/** Whether a call of this very task has been let in by its lock. */
let mayEnter: (task: object) => boolean = () => false;

/** Told by `current-task.ts`, which knows what runs now. */
export function bindExclusiveGuard(guard: (task: object) => boolean): void {
  mayEnter = guard;
}

/**
 * Method decorator (TC39) for `run` of a class task: see {@link ExclusiveOptions}. It takes effect when the task is
 * registered; `run()` of an unregistered exclusive task is a {@link ConfigError}, since nothing guards it.
 *
 * InjectTool's `exclusive_task` (common/tasks.py) is where the message comes from: a loser succeeds.
 *
 * @throws {ConfigError} when it decorates another method than `run`.
 */
export function exclusiveTask(options: ExclusiveOptions) {
  return <T extends BaseTask, Args extends unknown[], Result>(
    method: (this: T, ...args: Args) => Result,
    context: ClassMethodDecoratorContext<T, (this: T, ...args: Args) => Result>,
  ): ((this: T, ...args: Args) => Result) => {
    if (typeof (context as unknown) !== 'object') {
      throw new ConfigError(
        '@exclusiveTask: expected to be called as a standard decorator, got the call of an experimental one',
        { hint: 'Take experimentalDecorators out of tsconfig.json.' },
      );
    }
    if (context.name !== 'run') {
      throw new ConfigError(
        `@exclusiveTask: expected on the method run, got ${String(context.name)}`,
      );
    }
    context.addInitializer(function remember(this: T) {
      byInstance.set(this, options);
    });
    function guarded(this: T, ...args: Args): Result {
      if (!mayEnter(this)) {
        throw new ConfigError(
          `task '${this.name}' is exclusive but not registered, so its lock does not guard it`,
          {
            hint: 'Register it with app.register(…) and call run() of what that returns.',
          },
        );
      }
      return method.apply(this, args);
    }
    byMethod.set(guarded, options);
    return guarded;
  };
}

/**
 * What `@exclusiveTask` said of this task, or undefined.
 *
 * @throws {ConfigError} when the decorated `run` is no longer the one that would be called.
 */
export function decoratedExclusive(task: BaseTask): ExclusiveOptions | undefined {
  // looked up, not called
  const run = Reflect.get(task, 'run') as object;
  const ofMethod = byMethod.get(run);
  if (ofMethod === undefined && byInstance.has(task)) {
    throw new ConfigError(
      `task '${task.name}': its run is not the one that @exclusiveTask decorates: a subclass overrides it, or another decorator replaces it`,
      { hint: 'Put @exclusiveTask on the run that is called, as its topmost decorator.' },
    );
  }
  return ofMethod;
}
