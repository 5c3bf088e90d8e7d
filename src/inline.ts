import { hostname } from 'node:os';
import { v7 as uuid } from 'uuid';
import { enterTask, type CurrentTask, type RetryOptions } from './current-task.ts';
import { SedanoError } from './errors.ts';
import { alreadyRunning } from './exclusive.ts';
import type { HeldLock } from './lock/lock.ts';
import { getTaskLogger, type TaskLogger } from './logger.ts';
import type { Registration } from './registry.ts';

/**
 * What `run()` of a registered task does: the code in this process, under the task's lock when it is exclusive.
 *
 * @returns what the code returns, or "<taskName> already running!" when another call holds the lock
 * @throws {LockUnavailableError} after 5 s when Redis cannot be reached; the code has not run then
 * @throws {LockLostError} when the lock was lost while the code ran
 */
export async function runInline(registration: Registration, args: unknown[]): Promise<unknown> {
  const { app, name, exclusive } = registration;
  const id = `inline/${name}/${uuid()}`;
  if (!exclusive) return runBody(registration, new InlineCall(id, registration, args));

  const locks = await app.locks();
  const answer = await locks.acquire({
    lockId: exclusive.lockId,
    owner: `in:${hostname()}:${process.pid}:${id}`,
    attempt: 1,
    holder: { task: name, id, runId: id },
  });
  if (answer.kind !== 'held') {
    const message = alreadyRunning(exclusive.taskName);
    const holder = answer.kind === 'busy' ? answer.holder : undefined;
    getTaskLogger('sedano').warn({ task: name, taskId: id, holder }, message);
    return message;
  }
  const call = new InlineCall(id, registration, args, answer.hold);
  return answer.hold.during(() => runBody(registration, call));
}

async function runBody({ task, body }: Registration, call: InlineCall): Promise<unknown> {
  return await enterTask(task, call, () => body(...call.args));
}

class InlineCall implements CurrentTask {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  readonly args: unknown[];
  readonly queue = undefined;
  readonly routine = undefined;
  readonly attempt = 1;
  readonly retries = 0;
  readonly resume = undefined;
  readonly lock: HeldLock | undefined;
  #signal: AbortSignal | undefined;

  constructor(id: string, { name }: Registration, args: unknown[], lock?: HeldLock) {
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
