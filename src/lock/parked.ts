import { randomUUID } from 'node:crypto';
import { getTaskLogger } from '../logger.ts';
import { withTimeout } from '../timeout.ts';
import type { Inbox, InboxMessage } from './inbox.ts';
import { claimScript, leaveScript, musterScript, SIGNAL_AGAIN_MS } from './scripts.ts';
import { ALL_LOCKS, type LockStore } from './store.ts';

/** Whose turn it is: a call that waits in its workflow, and no process does for it. */
export interface ParkedTurn {
  lockId: string;
  /** `wf:<namespace>:<workflowId>:<runId>`, as the call gave it when it asked for the lock. */
  owner: string;
}

/** What a worker does for parked calls. */
export interface ParkedCalls {
  /** Signals the workflow of this call. @returns whether it still runs */
  wake: (turn: ParkedTurn) => Promise<boolean>;
  /** Signals all that are parked: Redis may have lost their places. */
  wakeAll: () => Promise<void>;
}

const CLAIM_AGAIN_MS = 1_000;
const LOOKS_MAX = 1_000;
const CLOSE_TIMEOUT_MS = 1_000;
const MUSTER_TIMEOUT_MS = 5_000;
/** How soon it is noticed that Redis was emptied. */
const MUSTER_EVERY_MS = 5_000;

/**
 * Hears of the turns of parked calls. All workers hear of each; a script lets one of them signal. What nobody heard,
 * for there was no worker or no connection, is found when one begins to hear.
 */
export class ParkedTurns {
  readonly #store: LockStore;
  readonly #inbox: Inbox;
  readonly #calls: ParkedCalls;
  /** The locks with a turn that was not taken yet. */
  readonly #looks = new Map<string, NodeJS.Timeout>();
  #musters: NodeJS.Timeout | undefined;
  #mustering: Promise<void> | undefined;
  #closed = false;

  constructor(store: LockStore, inbox: Inbox, calls: ParkedCalls) {
    this.#store = store;
    this.#inbox = inbox;
    this.#calls = calls;
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#inbox.open(
      'parked',
      {
        onMessage: (message) => this.#hear(message),
        onGap: () => this.#lookAround(),
      },
      signal,
    );
    // who has given up by now opens another one
    signal.throwIfAborted();
    this.#lookAround();
    this.#musters = setInterval(() => void this.#muster(), MUSTER_EVERY_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#looks.values()) clearTimeout(timer);
    this.#looks.clear();
    clearInterval(this.#musters);
    // a Redis that is away would answer when it is back
    await withTimeout(this.#inbox.shut('parked'), CLOSE_TIMEOUT_MS).catch(() => {});
  }

  #hear([word, lockId]: InboxMessage): void {
    if (word === 'go') void this.#look(lockId);
  }

  /** Not waited for: a Temporal that is away would keep the worker from hearing. */
  #lookAround(): void {
    // a connection that breaks comes here again when it is back
    void this.#lookAtAll().catch(() => {});
    void this.#muster();
  }

  async #lookAtAll(): Promise<void> {
    const { redis, parkedKey } = this.#store;
    const lockIds = await redis.zrange(parkedKey, '0', String(LOOKS_MAX - 1));
    await Promise.all(lockIds.map((lockId) => this.#look(lockId, true)));
  }

  /** Where Redis has lost their places, the parked calls are to queue again. */
  async #muster(): Promise<void> {
    if (this.#closed || this.#mustering || this.#store.redis.status !== 'ready') return;
    this.#mustering = this.#musterOnce().catch((error: unknown) => {
      // the next look finds it still to be done, at the latest when this one's time is over
      getTaskLogger('sedano.lock').debug({ err: error }, 'Parked calls were not called anew yet');
    });
    await this.#mustering;
    this.#mustering = undefined;
  }

  async #musterOnce(): Promise<void> {
    const sweep = randomUUID();
    const [word] = await this.#runMuster(sweep, '0');
    if (word !== 'CALL') return;
    await this.#calls.wakeAll();
    await this.#runMuster(sweep, '1');
  }

  async #runMuster(sweep: string, done: '0' | '1'): Promise<string[]> {
    return await withTimeout(
      this.#store.run(musterScript, ALL_LOCKS, [sweep, done]),
      MUSTER_TIMEOUT_MS,
    );
  }

  async #look(lockId: string, begins = false): Promise<void> {
    clearTimeout(this.#looks.get(lockId));
    this.#looks.delete(lockId);
    const againMs = await this.#claim(lockId, begins).catch((error: unknown) => {
      getTaskLogger('sedano.lock').warn(
        { err: error, lockId },
        'A waiting call was not told of its turn yet',
      );
      return CLAIM_AGAIN_MS;
    });
    if (this.#closed || againMs === undefined || this.#looks.has(lockId)) return;
    this.#looks.set(
      lockId,
      setTimeout(() => void this.#look(lockId), againMs),
    );
  }

  /** @returns when to look again, in ms; undefined when the turn was taken or is no parked call's */
  async #claim(lockId: string, begins: boolean): Promise<number | undefined> {
    const store = this.#store;
    const [word, rest = ''] = await store.run(claimScript, lockId, [
      String(store.leaseMs),
      store.guard,
      begins ? '1' : '0',
    ]);
    if (word === 'NONE') return undefined;
    if (word === 'LATER') return Number(rest);
    const isThere = await this.#calls.wake({ lockId, owner: rest });
    if (!isThere) await store.run(leaveScript, lockId, [rest]);
    return SIGNAL_AGAIN_MS;
  }
}
