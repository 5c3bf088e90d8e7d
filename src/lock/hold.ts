import { setTimeout as delay } from 'node:timers/promises';
import { LockLostError, type LockLossReason } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import type { Revocation } from './inbox.ts';
import type { HeldLock } from './lock.ts';
import { releaseScript, renewScript } from './scripts.ts';
import type { LockStore } from './store.ts';
import { withTimeout } from '../timeout.ts';

interface HoldOptions {
  store: LockStore;
  lockId: string;
  fence: string;
  /** A moment before the lease began, on both clocks. */
  since: Moment;
  /** Called once, when it is released. */
  onEnd: () => void;
}

interface Moment {
  monotonic: number;
  wall: number;
}

const RENEWALS_PER_LEASE = 3;
const RETRY_RENEWAL_MS = 100;
const DEADLINE = 'its lease ended before it could be renewed';
const GONE = 'it is no longer ours in Redis';
const RELEASE_TIMEOUT_MS = 2_000;
const REVOCATIONS = { TAKEOVER: 'takeover', ASKED: 'asked', FORCED: 'forced' } as const;
/** How long a body that has lost its lock may still take before it is left alone. */
const LOSS_GRACE_MS = 5_000;

/**
 * One grant of a lock. It renews itself until it is released, and counts itself lost by its own clock: whatever
 * happens to Redis, the holder knows before anybody else can be granted the lock.
 */
export class Hold implements HeldLock {
  readonly lockId: string;
  readonly fence: string;
  readonly #options: HoldOptions;
  readonly #lost = new AbortController();
  #deadline: Moment = { monotonic: 0, wall: 0 };
  #deadlineTimer: NodeJS.Timeout | undefined;
  #renewTimer: NodeJS.Timeout | undefined;
  #renewal: Promise<void> | undefined;
  #released = false;

  constructor(options: HoldOptions) {
    this.#options = options;
    this.lockId = options.lockId;
    this.fence = options.fence;
    this.#extend(options.since);
    this.#renewAfter(options.store.leaseMs / RENEWALS_PER_LEASE);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  isHeld(): boolean {
    // the wall clock too: the monotonic one stands still while a machine is suspended
    return (
      !this.#released &&
      !this.#lost.signal.aborted &&
      performance.now() < this.#deadline.monotonic &&
      Date.now() < this.#deadline.wall
    );
  }

  /**
   * Runs `body` and releases the lock in every case. When the lock is lost, a body that does not end within 5 s is
   * left alone.
   *
   * @throws {LockLostError} when the lock was lost meanwhile, even if the body returned or threw, or before it began.
   */
  async during<T>(body: () => Promise<T>): Promise<T> {
    const ended = new AbortController();
    try {
      // a grant whose reply came late may be over already
      if (!this.isHeld()) throw this.#lossError();
      const value = await Promise.race([body(), this.#rejectAfterLoss(ended.signal)]);
      // a value computed without the lock must not pass for a result
      if (!this.isHeld()) throw this.#lossError();
      // nor one with which the lock vanished after its last renewal: another may have been let in
      if (!(await this.#giveBack())) {
        this.#lose('gone', GONE);
        throw this.#lossError();
      }
      return value;
    } catch (error) {
      if (this.isHeld() || error instanceof LockLostError) throw error;
      throw this.#lossError(error);
    } finally {
      ended.abort();
      await this.release();
    }
  }

  /** Told by message, sooner than by its renewal, that it must let go. */
  revoke(why: Revocation, who: string): void {
    if (this.#over()) return;
    switch (why) {
      case 'takeover':
        return this.#lose('revoked', 'a later attempt of the same call takes over');
      case 'asked':
        return this.#lose('revoked', `${who} has asked for its release`);
      case 'forced':
        return this.#lose('forced', `${who} has released it`);
    }
  }

  /** Gives the lock back. Never rejects: where Redis is away, the lease ends by itself. */
  async release(): Promise<void> {
    await this.#giveBack();
  }

  /** @returns false when Redis says that it was no longer ours */
  async #giveBack(): Promise<boolean> {
    if (this.#released) return true;
    this.#released = true;
    clearTimeout(this.#deadlineTimer);
    clearTimeout(this.#renewTimer);
    // a renewal under way must not bring the key back to life after its release
    await this.#renewal;
    const { store, lockId, fence, onEnd } = this.#options;
    onEnd();
    try {
      const reply = store.run(releaseScript, lockId, [fence]);
      const [word] = await withTimeout(reply, RELEASE_TIMEOUT_MS);
      return word !== 'GONE';
    } catch (error) {
      getTaskLogger('sedano.lock').warn(
        { err: error, lockId: this.lockId },
        `Lock '${this.lockId}' could not be released; it ends with its lease`,
      );
      return true;
    }
  }

  #extend(since: Moment): void {
    const { leaseMs } = this.#options.store;
    // Redis's clock may run a little faster than ours
    const usableMs = leaseMs - (leaseMs * 0.02 + 5);
    this.#deadline = { monotonic: since.monotonic + usableMs, wall: since.wall + usableMs };
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = setTimeout(
      () => this.#lose('deadline', DEADLINE),
      Math.max(0, this.#deadline.monotonic - performance.now()),
    );
  }

  #renewAfter(ms: number): void {
    this.#renewTimer = setTimeout(() => {
      this.#renewal = this.#renew();
    }, ms);
  }

  async #renew(): Promise<void> {
    const { store, lockId, fence } = this.#options;
    const since = { monotonic: performance.now(), wall: Date.now() };
    const everyMs = store.leaseMs / RENEWALS_PER_LEASE;
    try {
      const reply = store.run(renewScript, lockId, [fence, String(store.leaseMs), store.guard]);
      const [word, who] = await withTimeout(reply, everyMs);
      if (word === 'GONE') return this.#lose('gone', GONE);
      if (word === 'TAKEOVER' || word === 'ASKED' || word === 'FORCED') {
        return this.revoke(REVOCATIONS[word], who ?? '');
      }
    } catch (error) {
      // tried again until the deadline, which alone decides that the lock is lost
      getTaskLogger('sedano.lock').debug({ err: error, lockId: this.lockId }, 'Renewal failed');
      if (!this.#over()) this.#renewAfter(RETRY_RENEWAL_MS);
      return;
    }
    if (this.#over()) return;
    this.#extend(since);
    this.#renewAfter(everyMs);
  }

  #over(): boolean {
    return this.#released || this.#lost.signal.aborted;
  }

  #lose(reason: LockLossReason, why: string): void {
    clearTimeout(this.#deadlineTimer);
    clearTimeout(this.#renewTimer);
    this.#lost.abort(this.#error(reason, `lock '${this.lockId}' was lost: ${why}`));
  }

  #lossError(cause?: unknown): LockLostError {
    // after a stall of the event loop the deadline may have passed before its timer could say so
    if (!this.#lost.signal.aborted) this.#lose('deadline', DEADLINE);
    const { message, reason } = this.#lost.signal.reason as LockLostError;
    return this.#error(reason, message, cause);
  }

  #error(reason: LockLossReason, message: string, cause?: unknown): LockLostError {
    const { lockId, fence } = this.#options;
    return new LockLostError(message, { lockId, reason, fence, cause });
  }

  async #rejectAfterLoss(ended: AbortSignal): Promise<never> {
    await aborted(AbortSignal.any([this.signal, ended]));
    ended.throwIfAborted();
    await delay(LOSS_GRACE_MS, undefined, { signal: ended });
    throw this.#lossError();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
