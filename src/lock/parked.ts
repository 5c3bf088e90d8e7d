import { getTaskLogger } from '../logger.ts';
import type { Inbox, InboxMessage } from './inbox.ts';
import { claimScript, leaveScript, SIGNAL_AGAIN_MS } from './scripts.ts';
import type { LockStore } from './store.ts';

/** Whose turn it is: a call that waits in its workflow, and no process does for it. */
export interface ParkedTurn {
  lockId: string;
  /** `wf:<namespace>:<workflowId>:<runId>`, as the call gave it when it asked for the lock. */
  owner: string;
}

export type HandleTurn = (turn: ParkedTurn) => Promise<boolean>;

const CLAIM_AGAIN_MS = 1_000;
const LOOKS_MAX = 1_000;

/**
 * Hears of the turns of parked calls. All workers hear of each; a script lets one of them signal. What nobody heard,
 * for there was no worker or no connection, is found when one begins to hear.
 */
export class ParkedTurns {
  readonly #store: LockStore;
  readonly #inbox: Inbox;
  readonly #handle: HandleTurn;
  /** The locks with a turn that was not taken yet. */
  readonly #looks = new Map<string, NodeJS.Timeout>();
  #closed = false;

  constructor(store: LockStore, inbox: Inbox, handle: HandleTurn) {
    this.#store = store;
    this.#inbox = inbox;
    this.#handle = handle;
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#inbox.open(
      'parked',
      {
        onMessage: (message) => this.#hear(message),
        onGap: () => void this.#lookAtAll().catch(() => {}),
      },
      signal,
    );
    await this.#lookAtAll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#looks.values()) clearTimeout(timer);
    this.#looks.clear();
    await this.#inbox.shut('parked');
  }

  #hear([word, lockId]: InboxMessage): void {
    if (word === 'go') void this.#look(lockId);
  }

  async #lookAtAll(): Promise<void> {
    const { redis, parkedKey } = this.#store;
    const lockIds = await redis.zrange(parkedKey, '0', String(LOOKS_MAX - 1));
    await Promise.all(lockIds.map((lockId) => this.#look(lockId)));
  }

  async #look(lockId: string): Promise<void> {
    clearTimeout(this.#looks.get(lockId));
    this.#looks.delete(lockId);
    const againMs = await this.#claim(lockId).catch((error: unknown) => {
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
  async #claim(lockId: string): Promise<number | undefined> {
    const store = this.#store;
    const [word, rest = ''] = await store.run(claimScript, lockId, [
      String(store.leaseMs),
      store.guard,
    ]);
    if (word === 'NONE') return undefined;
    if (word === 'LATER') return Number(rest);
    const isThere = await this.#handle({ lockId, owner: rest });
    if (!isThere) await store.run(leaveScript, lockId, [rest]);
    return SIGNAL_AGAIN_MS;
  }
}
