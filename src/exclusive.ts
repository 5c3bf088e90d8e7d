import { assertKeys, assertTexts } from './checks.ts';
import { durationMs, type Duration } from './duration.ts';
import { ConfigError } from './errors.ts';
import type { BaseTask } from './task.ts';

/**
 * What becomes of a call whose lock is held: `'message'` succeeds with "<taskName> already running!"; `'raise'` fails with
 * {@link AlreadyRunningError}; `'join'` gives the AsyncResult of the call that holds it; `'wait'` waits its turn, first in,
 * first out; `'replace'` asks the holder to stop, then waits.
 */
export type OnBusy = 'message' | 'raise' | 'join' | 'wait' | 'replace';

export const ON_BUSY: readonly OnBusy[] = ['message', 'raise', 'join', 'wait', 'replace'];

/** Makes a task exclusive: at most one call with this lock runs at a time, wherever it was started. */
export interface ExclusiveOptions<Args extends unknown[] = []> {
  /**
   * Names the lock in Redis and in the workflow id: `A-Z a-z 0-9 . _ : / -`, at most 200 characters. As a function of
   * the arguments it gives each of them a lock of its own; it must not depend on anything else.
   */
  lockId: string | ((...args: Args) => string);
  /**
   * The name in the loser's message, `"<taskName> already running!"`.
   *
   * @default the task's name
   */
  taskName?: string;
  /** What becomes of a call whose lock is held. @default 'message' */
  onBusy?: OnBusy;
  /** How long `'wait'` and `'replace'` wait before {@link LockWaitTimeoutError}. @default no limit */
  maxWait?: Duration;
}

/** The options as they were read when the task was registered. */
export interface Exclusive {
  taskName: string;
  onBusy: OnBusy;
  maxWaitMs: number | undefined;
  /**
   * The lock of a call with these arguments.
   *
   * @throws {ConfigError} when the task's function gives no lock id.
   */
  lockIdOf(args: readonly unknown[]): string;
}

const LOCK_ID = /^[A-Za-z0-9._:/-]{1,200}$/;

/**
 * Reads the options of a task.
 *
 * @throws {ConfigError} when one is wrong; the text names the task.
 */
export function readExclusive(options: ExclusiveOptions<never>, name: string): Exclusive {
  const where = `task '${name}'`;
  assertKeys(options, ['lockId', 'taskName', 'onBusy', 'maxWait'], `${where}: exclusive`);
  assertTexts(options, ['taskName'], `${where}: exclusive`);
  const { lockId, taskName = name, onBusy = 'message', maxWait } = options;
  assertOnBusy(onBusy, `${where}: exclusive`);
  if (typeof lockId !== 'function') assertLockId(lockId, where);
  return {
    taskName,
    onBusy,
    maxWaitMs:
      maxWait === undefined ? undefined : durationMs(maxWait, `${where}: exclusive: maxWait`),
    lockIdOf(args) {
      if (typeof lockId !== 'function') return lockId;
      const id = lockId(...(args as never));
      assertLockId(id, where);
      return id;
    },
  };
}

/** @throws {ConfigError} when it is none of {@link OnBusy}. */
export function assertOnBusy(onBusy: unknown, where: string): asserts onBusy is OnBusy {
  if (ON_BUSY.some((known) => known === onBusy)) return;
  const known = ON_BUSY.map((one) => `'${one}'`).join(', ');
  throw new ConfigError(
    `${where}: onBusy: expected one of ${known}, got ${JSON.stringify(onBusy)}`,
  );
}

/** @throws {ConfigError} when it has other characters than a lock id may have, or is too long. */
export function assertLockId(lockId: unknown, where: string): void {
  if (typeof lockId === 'string' && LOCK_ID.test(lockId)) return;
  throw new ConfigError(
    `${where}: lockId: expected 1 to 200 characters of A-Z a-z 0-9 . _ : / -, got ${JSON.stringify(lockId)}`,
    { hint: 'Other characters could end a Redis key early.' },
  );
}

/** What a loser is told. */
export function alreadyRunning(taskName: string): string {
  return `${taskName} already running!`;
}

/** By the method that the decorator returned: lost when something else takes its place. */
const byMethod = new WeakMap<object, ExclusiveOptions<never>>();
/** By the instance: kept whatever happens to the method. The two must agree. */
const byInstance = new WeakMap<object, ExclusiveOptions<never>>();

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
export function exclusiveTask<Args extends unknown[]>(options: ExclusiveOptions<Args>) {
  return <T extends BaseTask, Result>(
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
export function decoratedExclusive(task: BaseTask): ExclusiveOptions<never> | undefined {
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
