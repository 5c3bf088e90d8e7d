import { getTaskLogger } from '../logger.ts';
import { withTimeout } from '../timeout.ts';
import { CLAIM_WINDOW_MS, refreshScript, WAIT_TTL_MS } from './scripts.ts';
import type { LockStore } from './store.ts';

const REFRESH_EVERY_MS = WAIT_TTL_MS / 3;
const REFRESH_TIMEOUT_MS = 2_000;
const REFRESH_AGAIN_MS = 500;
// past the end of a lease or a claim window, so that it is over when we look
const AFTER_LEASE_MS = 20;
const AFTER_CLAIM_MS = CLAIM_WINDOW_MS + 100;

interface LineOptions {
  store: LockStore;
  lockId: string;
  inbox: string;
}

/**
 * The waiters of this process for one lock. One script keeps the places of all of them, every 5 s, and sooner where a
 * lease ends.
 */
export class Line {
  readonly #options: LineOptions;
  /** In their order: what wakes each of them. */
  readonly #waiters = new Map<string, () => void>();
  #timer: NodeJS.Timeout | undefined;
  #lookAt = Infinity;
  #refreshing = false;
  /** Asked to look while it was looking. */
  #again = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0;
  }

  enter(owner: string, wake: () => void): void {
    this.#waiters.set(owner, wake);
    this.lookIn(REFRESH_EVERY_MS);
  }

  leave(owner: string): void {
    this.#waiters.delete(owner);
    if (this.isEmpty) this.close();
  }

  /** Wakes a waiter whose turn it is. @returns false where it waits here no more */
  wake(owner: string): boolean {
    const wake = this.#waiters.get(owner);
    wake?.();
    return wake !== undefined;
  }

  /** The one before us may be dead. */
  standBy(): void {
    this.lookIn(AFTER_CLAIM_MS);
  }

  /** The lock is free in `leftMs` at the latest, if its holder is dead. */
  lookAfterLease(leftMs: number, isFirst: boolean): void {
    this.lookIn(leftMs + (isFirst ? AFTER_LEASE_MS : AFTER_CLAIM_MS));
  }

  /** Looks in `ms` or sooner. */
  lookIn(ms: number): void {
    const at = performance.now() + ms;
    if (this.isEmpty || at >= this.#lookAt) return;
    this.#lookAt = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.look(), ms);
  }

  /** Shows Redis who waits here, and sees to it that somebody has the turn. */
  async look(): Promise<void> {
    if (this.#refreshing) this.#again = true;
    if (this.isEmpty || this.#refreshing) return;
    clearTimeout(this.#timer);
    this.#lookAt = Infinity;
    this.#refreshing = true;
    let nextMs = REFRESH_EVERY_MS;
    try {
      nextMs = await this.#refresh();
    } catch (error) {
      nextMs = REFRESH_AGAIN_MS;
      getTaskLogger('sedano.lock').debug({ err: error, ...this.#options }, 'No look at the queue');
    } finally {
      this.#refreshing = false;
      this.lookIn(this.#again ? 0 : nextMs);
      this.#again = false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#lookAt = Infinity;
  }

  /** @returns when to look again, in ms */
  async #refresh(): Promise<number> {
    const { store, lockId, inbox } = this.#options;
    if (store.redis.status !== 'ready') return REFRESH_AGAIN_MS;
    const reply = store.run(refreshScript, lockId, [
      inbox,
      String(WAIT_TTL_MS),
      String(store.leaseMs),
      store.guard,
      ...this.#waiters.keys(),
    ]);
    const [word, leftMs, first, turn] = await withTimeout(reply, REFRESH_TIMEOUT_MS);
    if (turn !== undefined) this.wake(turn);
    const afterMs = first === '1' ? AFTER_LEASE_MS : AFTER_CLAIM_MS;
    const soonMs = word === 'FREE' ? AFTER_CLAIM_MS : Number(leftMs) + afterMs;
    return Math.min(REFRESH_EVERY_MS, soonMs);
  }
}
