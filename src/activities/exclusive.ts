import { alreadyRunning, type OnBusy } from '../exclusive.ts';
import { AlreadyRunningError, SedanoError } from '../errors.ts';
import { stopHolder } from '../inline.ts';
import type { LockAnswer, Locks } from '../lock/lock.ts';
import { waitTimeout } from '../lock/wait.ts';
import { parkedOwner, type ParkedPlace, type Parking } from '../parking.ts';
import type { Registration } from '../registry.ts';
import type { DurableCall } from './durable-call.ts';

const WAIT_MAX_MS = 2_000;
// past the end of a lease, so that the next attempt finds it over
const AFTER_LEASE_MS = 50;

/** The lock cannot be had now, for a short time: Temporal starts the next attempt in `delayMs`. */
export class Wait extends SedanoError {
  override name = 'LockBusy';
  readonly delayMs: number;

  constructor(message: string, delayMs: number) {
    super(message);
    this.delayMs = delayMs;
  }
}

/** The lock is not free, and this call waits for its turn in its workflow. */
export class Parked extends SedanoError {
  override name = 'LockBusy';
  readonly parking: Parking;

  constructor(message: string, parking: Parking) {
    super(message);
    this.parking = parking;
  }
}

/** The owner of a call's place in a queue. */
export function ownerOf({ app }: Registration, call: ParkedPlace): string {
  return parkedOwner(app.client.target.namespace, call);
}

/**
 * Runs `section` under the task's lock. A loser is told what its `onBusy` says.
 *
 * A call whose code may have been entered before never loses: it was accepted, so it waits, for its own dead attempt
 * as well as for another call that came between. So does a run that was reset.
 */
export async function runExclusively(
  registration: Registration,
  call: DurableCall,
  section: () => Promise<unknown>,
): Promise<unknown> {
  const locks = await registration.app.locks();
  const turn = new Turn(registration, call, locks);
  const answer = await turn.ask();
  if (answer.kind !== 'held') return await turn.lose(answer);
  call.lock = answer.hold;
  return await answer.hold.during(section);
}

type Refusal = Exclude<LockAnswer, { kind: 'held' }>;

/** One attempt of a call to get its lock. */
class Turn {
  readonly #registration: Registration;
  readonly #call: DurableCall;
  readonly #locks: Locks;
  readonly #lockId: string;
  readonly #onBusy: OnBusy;
  readonly #taskName: string;
  readonly #maxWaitMs: number | undefined;

  constructor(registration: Registration, call: DurableCall, locks: Locks) {
    const { exclusive } = registration;
    if (!exclusive) throw new Error(`task '${registration.name}' is not exclusive`);
    this.#registration = registration;
    this.#call = call;
    this.#locks = locks;
    this.#lockId = exclusive.lockIdOf(call.args);
    this.#taskName = exclusive.taskName;
    this.#onBusy = call.options.onBusy ?? exclusive.onBusy;
    this.#maxWaitMs = call.options.maxWaitMs ?? exclusive.maxWaitMs;
    call.lockId = this.#lockId;
  }

  async ask(): Promise<LockAnswer> {
    const waits = this.#waitsFromTheStart();
    const answer = await this.#acquire(waits);
    const loses = answer.kind === 'busy' || answer.kind === 'queued';
    // asked only when it matters: a run that was reset waits, whatever its task says
    if (!waits && loses && (await this.#wasReset())) return await this.#acquire(true);
    return answer;
  }

  #waitsFromTheStart(): boolean {
    const { beat, crashes, carry } = this.#call;
    const asked = this.#onBusy === 'wait' || this.#onBusy === 'replace';
    return asked || beat.begun || crashes > 0 || carry !== undefined;
  }

  async #acquire(waits: boolean): Promise<LockAnswer> {
    return await this.#locks.acquire({ ...this.#request, queue: waits ? 'parked' : 'no' });
  }

  get #request() {
    const { id, runId, round, attemptOfRound } = this.#call;
    return {
      lockId: this.#lockId,
      owner: ownerOf(this.#registration, this.#call),
      attempt: { round, attempt: attemptOfRound },
      holder: { task: this.#registration.name, id, runId },
    };
  }

  /** @returns what a loser's call succeeds with */
  async lose(answer: Refusal): Promise<string> {
    switch (answer.kind) {
      case 'busy':
      case 'queued':
        if (answer.rank === undefined) return this.#tellLoser(answer);
        if (this.#call.signal.aborted) await this.#giveUp();
        await this.#checkPatience(answer);
        if (answer.kind === 'busy' && this.#onBusy === 'replace') {
          await stopHolder(this.#registration, this.#request, answer.holder);
        }
        throw this.#parked(answer, answer.rank);
      case 'recovering':
        throw new Wait(
          `lock '${this.#lockId}': Redis has lost its data, so nobody is let in for a while`,
          answer.leftMs + AFTER_LEASE_MS,
        );
      case 'takeover':
        throw new Wait(
          `lock '${this.#lockId}' is still held by an earlier attempt of this call`,
          Math.min(answer.leftMs + AFTER_LEASE_MS, WAIT_MAX_MS),
        );
      case 'stale':
        throw new Wait(
          `lock '${this.#lockId}' is held by a later attempt of this call`,
          WAIT_MAX_MS,
        );
    }
  }

  #tellLoser(answer: Refusal): string {
    const message = alreadyRunning(this.#taskName);
    const holder = answer.kind === 'busy' ? answer.holder : undefined;
    if (this.#onBusy === 'raise') {
      throw new AlreadyRunningError(message, { lockId: this.#lockId, holder });
    }
    this.#call.logger.warn({ holder }, message);
    return message;
  }

  async #giveUp(): Promise<never> {
    await this.#locks.leave(this.#lockId, ownerOf(this.#registration, this.#call));
    throw this.#call.signal.reason;
  }

  get #waitedMs(): number {
    return Date.now() - (this.#call.carry?.sinceMs ?? Date.now());
  }

  /** @throws {LockWaitTimeoutError} when the call has waited as long as it may. */
  async #checkPatience(answer: Refusal): Promise<void> {
    if (this.#maxWaitMs === undefined || this.#waitedMs < this.#maxWaitMs) return;
    await this.#locks.leave(this.#lockId, ownerOf(this.#registration, this.#call));
    const holder = answer.kind === 'busy' ? answer.holder : undefined;
    throw waitTimeout({ lockId: this.#lockId, maxWaitMs: this.#maxWaitMs, holder });
  }

  #parked(answer: Refusal & { leftMs: number }, rank: number): Parked {
    const { beat, round, firstRunId, attempt, crashes, carry } = this.#call;
    const againMs = parkingTime(answer, rank);
    const patienceMs =
      this.#maxWaitMs === undefined ? againMs : Math.max(1, this.#maxWaitMs - this.#waitedMs);
    const held = answer.kind === 'busy' ? ` is held by call '${answer.holder.id}'` : ' has waiters';
    return new Parked(`lock '${this.#lockId}'${held}`, {
      lockId: this.#lockId,
      carry: {
        rounds: round,
        firstRunId,
        beat: { ...beat, earlier: attempt, crashed: crashes, ended: 0, waits: 0 },
        sinceMs: carry?.sinceMs ?? Date.now(),
        againMs: Math.min(againMs, patienceMs),
      },
    });
  }

  async #wasReset(): Promise<boolean> {
    const { client } = this.#registration.app;
    const { raw } = await client.request(({ workflow }) =>
      workflow.getHandle(this.#call.id, this.#call.runId).describe(),
    );
    const { firstRunId } = raw.workflowExecutionInfo ?? {};
    return firstRunId !== undefined && firstRunId !== this.#call.runId;
  }
}

/** The head asks when the lease ends; the others are woken in turn, and ask only in case nobody was there to wake them. */
function parkingTime({ leftMs }: { leftMs: number }, rank: number): number {
  return rank === 0 ? leftMs + AFTER_LEASE_MS : Math.min((rank + 1) * 30_000, 600_000);
}
