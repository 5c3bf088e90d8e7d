import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { assertBusyOptionsFit, readApplyOptions, type ApplyOptions } from './call-options.ts';
import { enterTask, holdsLock, type CurrentTask, type RetryOptions } from './current-task.ts';
import { AlreadyRunningError, ConfigError, SedanoError, SelfDeadlockError } from './errors.ts';
import { alreadyRunning } from './exclusive.ts';
import type { Hold } from './lock/hold.ts';
import type { HeldLock, LockAnswer, LockHolder, LockRequest } from './lock/lock.ts';
import { getTaskLogger, type TaskLogger } from './logger.ts';
import type { Registration } from './registry.ts';

/** The ids of inline executions begin so; they name no workflow. */
export const INLINE_PREFIX = 'inline/';

/**
 * What `run()` and `apply()` of a registered task do: the code in this process, under the task's lock when it is
 * exclusive.
 *
 * @returns what the code returns, or "<taskName> already running!" when another call holds the lock
 * @throws {AlreadyRunningError} with `onBusy: 'raise'`
 * @throws {LockWaitTimeoutError} when it has waited for the lock for `maxWait`
 * @throws {SelfDeadlockError} when it would wait for a lock that the calling task holds
 * @throws {LockUnavailableError} after 5 s when Redis cannot be reached; the code has not run then
 * @throws {LockLostError} when the lock was lost while the code ran
 */
export async function runInline(
  registration: Registration,
  args: readonly unknown[],
  options: ApplyOptions = {},
): Promise<unknown> {
  const { name, exclusive } = registration;
  const read = readApplyOptions(options, `task '${name}': apply()`);
  assertBusyOptionsFit(read, exclusive, `task '${name}': apply()`);
  const id = `${INLINE_PREFIX}${name}/${uuid()}`;
  if (!exclusive) return await runBody(registration, new InlineCall(id, registration, args));

  const lockId = exclusive.lockIdOf(args);
  const onBusy = read.onBusy ?? exclusive.onBusy;
  if (onBusy === 'join') {
    throw new ConfigError(
      `task '${name}': onBusy 'join' gives the result of another call, so run() cannot`,
      {
        hint: 'Use delay(), or apply() with another onBusy.',
      },
    );
  }
  const request = {
    lockId,
    owner: `in:${hostname()}:${process.pid}:${id}`,
    attempt: { round: 1, attempt: 1 },
    holder: { task: name, id, runId: id },
  };
  const wanted = {
    registration,
    request,
    ...read,
    maxWaitMs: read.maxWaitMs ?? exclusive.maxWaitMs,
  };
  if (onBusy === 'wait' || onBusy === 'replace') {
    return await runAfterWaiting({ ...wanted, replaces: onBusy === 'replace' }, args);
  }
  const answer = await tryLock(wanted);
  if (answer.kind === 'held') return await runHolding(wanted, args, answer.hold);
  const message = alreadyRunning(exclusive.taskName);
  const holder = answer.kind === 'busy' ? answer.holder : undefined;
  if (onBusy === 'raise') throw new AlreadyRunningError(message, { lockId, holder });
  getTaskLogger('sedano').warn({ task: name, taskId: id, holder }, message);
  return message;
}

interface Wanted {
  registration: Registration;
  request: Omit<LockRequest, 'queue'>;
  maxWaitMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Asks once; after a loss of Redis's data as often as it takes to be let in again. */
async function tryLock({ registration, request, signal }: Wanted): Promise<LockAnswer> {
  const locks = await registration.app.locks();
  for (;;) {
    const answer = await locks.acquire(request);
    if (answer.kind !== 'recovering') return answer;
    await delay(answer.leftMs, undefined, signal ? { signal } : {});
  }
}

async function runAfterWaiting(
  wanted: Wanted & { replaces: boolean },
  args: readonly unknown[],
): Promise<unknown> {
  const { registration, request, maxWaitMs, signal, replaces } = wanted;
  const { app, name } = registration;
  const { lockId } = request;
  if (holdsLock(app, lockId)) {
    throw new SelfDeadlockError(
      `task '${name}' waits for lock '${lockId}', which the task that calls it holds`,
      {
        lockId,
        hint: 'Call it after the lock was released, or give it another lockId.',
      },
    );
  }
  const locks = await app.locks();
  const hold = await locks.wait(request, {
    ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
    ...(signal ? { signal } : {}),
    ...(replaces ? { onBusy: (holder) => void stopHolder(registration, request, holder) } : {}),
  });
  return await runHolding(wanted, args, hold);
}

async function runHolding(
  { registration, request }: Wanted,
  args: readonly unknown[],
  hold: Hold,
): Promise<unknown> {
  const call = new InlineCall(request.holder.id, registration, args, hold);
  return await hold.during(() => runBody(registration, call));
}

/** Asks the call that holds the lock to stop. It may have ended by now. */
export async function stopHolder(
  { app }: Registration,
  { lockId, holder: by }: Pick<LockRequest, 'lockId' | 'holder'>,
  { id, runId }: LockHolder,
): Promise<void> {
  try {
    if (id.startsWith(INLINE_PREFIX)) {
      const locks = await app.locks();
      await locks.release(lockId, { who: `call '${by.id}', which replaces it` });
    } else {
      await app.result(id, { runId }).revoke();
    }
  } catch (err) {
    getTaskLogger('sedano').warn({ err, holder: id }, 'The call that is to be replaced goes on');
  }
}

async function runBody({ task, body }: Registration, call: InlineCall): Promise<unknown> {
  return await enterTask(task, call, () => body(...call.args));
}

class InlineCall implements CurrentTask {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly queue = undefined;
  readonly routine = undefined;
  readonly attempt = 1;
  readonly retries = 0;
  readonly resume = undefined;
  readonly lock: HeldLock | undefined;
  #signal: AbortSignal | undefined;

  constructor(id: string, { name }: Registration, args: readonly unknown[], lock?: HeldLock) {
    this.id = id;
    this.runId = id;
    this.name = name;
    this.args = args;
    this.lock = lock;
  }

  get signal(): AbortSignal {
    return (this.#signal ??= this.lock?.signal ?? new AbortController().signal);
  }

  get logger(): TaskLogger {
    return getTaskLogger(this.name);
  }

  progress(): void {}

  retry({ cause }: RetryOptions = {}): Error {
    return (
      cause ?? new SedanoError(`task '${this.name}' asked to be run again, but run() runs it once`)
    );
  }
}
