import type { Redis } from 'ioredis';
import { getTaskLogger } from '../logger.ts';
import type { LockStore } from './store.ts';
import { untilReady } from './redis.ts';

/** Why a holder must let go: a later attempt wants the lock, somebody asks for it, somebody has taken it away. */
export type Revocation = 'takeover' | 'asked' | 'forced';

/** What the scripts tell an inbox. */
export type InboxMessage =
  | ['go', lockId: string, owner: string]
  | ['standby', lockId: string]
  | ['revoked', lockId: string, fence: string, why: Revocation, who: string];

interface Channel {
  onMessage: (message: InboxMessage) => void;
  /** Messages may have been missed. */
  onGap: () => void;
}

// a subscription says nothing of its own: only a question shows that it is dead
const PING_EVERY_MS = 5_000;

/** The channels on which this process is told of turns and revocations, on a connection of their own. */
export class Inbox {
  readonly #store: LockStore;
  readonly #channels = new Map<string, Channel>();
  #redis: Redis | undefined;
  #pings: NodeJS.Timeout | undefined;

  constructor(store: LockStore) {
    this.#store = store;
  }

  /** Listens to an inbox. Resolves when nothing that is told from now on is missed. */
  async open(inbox: string, channel: Channel, signal: AbortSignal): Promise<void> {
    const name = `${this.#store.inboxes}${inbox}`;
    this.#channels.set(name, channel);
    const redis = (this.#redis ??= this.#connect());
    await untilReady(redis, signal);
    await redis.subscribe(name);
  }

  async shut(inbox: string): Promise<void> {
    const name = `${this.#store.inboxes}${inbox}`;
    this.#channels.delete(name);
    if (this.#redis?.status === 'ready') await this.#redis.unsubscribe(name);
  }

  close(): void {
    clearInterval(this.#pings);
    this.#redis?.disconnect();
    this.#redis = undefined;
    this.#channels.clear();
  }

  #connect(): Redis {
    // subscribed anew by ourselves, to know when a gap has ended
    const redis = this.#store.connect({ autoResubscribe: false });
    redis.on('message', (name: string, text: string) => {
      const message = parse(text);
      if (message) this.#channels.get(name)?.onMessage(message);
    });
    let before = false;
    redis.on('ready', () => {
      if (before) void this.#resubscribe(redis);
      before = true;
    });
    this.#pings = setInterval(() => {
      if (redis.status === 'ready') redis.ping().catch(() => {});
    }, PING_EVERY_MS);
    return redis;
  }

  async #resubscribe(redis: Redis): Promise<void> {
    const names = [...this.#channels.keys()];
    if (names.length === 0) return;
    try {
      await redis.subscribe(...names);
      for (const channel of this.#channels.values()) channel.onGap();
    } catch (error) {
      // it broke again: the next connection comes here again
      getTaskLogger('sedano.lock').debug({ err: error }, 'The inbox is not subscribed yet');
    }
  }
}

function parse(text: string): InboxMessage | undefined {
  try {
    const message = JSON.parse(text) as unknown;
    const isOurs = Array.isArray(message) && message.every((part) => typeof part === 'string');
    return isOurs ? (message as InboxMessage) : undefined;
  } catch {
    return undefined;
  }
}
