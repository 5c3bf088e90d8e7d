import { alreadyRunning, type ExclusiveOptions } from '../exclusive.ts';
import { SedanoError } from '../errors.ts';
import type { Registration } from '../registry.ts';
import type { DurableCall } from './durable-call.ts';

const WAIT_MAX_MS = 2_000;
// past the end of a lease, so that the next attempt finds it over
const AFTER_LEASE_MS = 50;

/** The lock is not free, and this call waits for it: Temporal starts the next attempt in `delayMs`. */
export class Wait extends SedanoError {
  override name = 'LockBusy';
  readonly delayMs: number;

  constructor(message: string, leftMs: number) {
    super(message);
    this.delayMs = Math.min(leftMs + AFTER_LEASE_MS, WAIT_MAX_MS);
  }
}

interface Exclusive {
  registration: Registration;
  exclusive: Required<ExclusiveOptions>;
  call: DurableCall;
}

/**
 * Runs `section` under the task's lock, or answers "<taskName> already running!".
 *
 * A call whose code may have been entered before never gets that answer: it was accepted, so it waits, for its own
 * dead attempt as well as for another call that came between.
 */
export async function runExclusively(
  { registration, exclusive, call }: Exclusive,
  section: () => Promise<unknown>,
): Promise<unknown> {
  const { app, name } = registration;
  const { lockId } = exclusive;
  const locks = await app.locks();
  const answer = await locks.acquire({
    lockId,
    // with the run id: a call that follows a terminated one under the same workflow id is another owner
    owner: `wf:${app.client.target.namespace}:${call.id}:${call.runId}`,
    attempt: call.attempt,
    holder: { task: name, id: call.id, runId: call.runId },
  });
  switch (answer.kind) {
    case 'held':
      call.lock = answer.hold;
      return await answer.hold.during(section);
    case 'busy': {
      if (call.beat.begun || call.crashes > 0) {
        throw new Wait(`lock '${lockId}' is held by call '${answer.holder.id}'`, answer.leftMs);
      }
      const message = alreadyRunning(exclusive.taskName);
      call.logger.warn({ holder: answer.holder }, message);
      return message;
    }
    case 'takeover':
      throw new Wait(
        `lock '${lockId}' is still held by an earlier attempt of this call`,
        answer.leftMs,
      );
    case 'stale':
      throw new Wait(`lock '${lockId}' is held by a later attempt of this call`, WAIT_MAX_MS);
  }
}
