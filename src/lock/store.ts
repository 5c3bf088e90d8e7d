import type { Redis } from 'ioredis';
import { connectRedis, untilReady, type RedisAddress } from './redis.ts';
import type { LockPlace, ScriptRunner } from './scripts.ts';

interface StoreOptions {
  app: string;
  address: RedisAddress;
  /** How long a lock outlives a holder that died. */
  leaseMs: number;
  /** Whether nobody is granted a lock for one lease after Redis may have lost its data. */
  recoveryGuard: boolean;
}

/** What is named where no particular lock is meant. */
export const ALL_LOCKS = '*';

type Script<Args extends string[]> = (
  redis: ScriptRunner,
  lock: LockPlace,
  args: Args,
) => Promise<string[]>;

/** Where the locks of one app are kept: the connection for commands, the keys, and Redis's clock. */
export class LockStore {
  readonly address: RedisAddress;
  readonly leaseMs: number;
  /** As the scripts take it. */
  readonly guard: string;
  readonly clock = new ServerClock();
  readonly #base: string;
  #redis: Redis | undefined;
  #isClosed = false;

  constructor({ app, address, leaseMs, recoveryGuard }: StoreOptions) {
    this.address = address;
    this.leaseMs = leaseMs;
    this.guard = recoveryGuard ? '1' : '0';
    // one hash tag for all keys, so that a script stays in one slot of a cluster
    this.#base = `{sedano:${encodeURIComponent(app)}}:`;
  }

  get inboxes(): string {
    return `${this.#base}inbox:`;
  }

  /** v1 is the version of the scripts. */
  place(lockId: string): LockPlace {
    const key = `${this.#base}v1:${lockId}`;
    const keys = [`${key}:h`, `${key}:f`, `${key}:q`, `${key}:w`, `${key}:l`];
    return {
      id: lockId,
      keys: [...keys, `${this.#base}epoch`, this.usedKey, this.parkedKey],
      inboxes: this.inboxes,
    };
  }

  /** The locks that were used lately. */
  get usedKey(): string {
    return `${this.#base}v1:locks`;
  }

  /** The locks that parked calls wait for. */
  get parkedKey(): string {
    return `${this.#base}v1:parked`;
  }

  /** Opens a connection as the store's own. */
  connect(options: { autoResubscribe?: boolean } = {}): Redis {
    // a hold that outlives it must not come back to life
    if (this.#isClosed) throw new Error('the locks were closed');
    return connectRedis(this.address, { silenceMs: silenceMs(this.leaseMs), ...options });
  }

  /** The connection for commands, made when it is first needed. */
  get redis(): Redis {
    return (this.#redis ??= this.connect());
  }

  /** Resolves when commands are sent at once, and Redis's clock is known. */
  async ready(signal: AbortSignal): Promise<Redis> {
    const { redis } = this;
    // what is kept while Redis is away would be executed long after its caller has gone
    if (redis.status !== 'ready') await untilReady(redis, signal);
    if (!this.clock.known) {
      const sentAt = performance.now();
      const [seconds, micros] = await redis.time();
      this.clock.learn(Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000), sentAt);
    }
    return redis;
  }

  /** Runs a script, and learns Redis's time by its reply. */
  async run<Args extends string[]>(
    script: Script<Args>,
    lockId: string,
    args: Args,
  ): Promise<[word: string, ...rest: string[]]> {
    const sentAt = performance.now();
    const [word = '', ms, ...rest] = await script(this.redis, this.place(lockId), args);
    this.clock.learn(Number(ms), sentAt);
    return [word, ...rest];
  }

  close(): void {
    this.#isClosed = true;
    this.#redis?.disconnect();
    this.#redis = undefined;
  }
}

/** How long a connection may owe an answer: short enough that a renewal still has time for a second try. */
function silenceMs(leaseMs: number): number {
  return Math.max(500, Math.min(leaseMs / 3, 2_000));
}

/** What Redis's clock shows at the least, by our monotonic clock. */
class ServerClock {
  #offset: number | undefined;
  #learnedAt = 0;

  get known(): boolean {
    return this.#offset !== undefined;
  }

  /** Redis's clock showed `ms` between `sentAt` and now. */
  learn(ms: number, sentAt: number): void {
    const now = performance.now();
    const least = ms - now;
    // a larger one cannot be right any more: Redis's clock was set back, or it is another Redis
    const most = ms - sentAt + 1;
    const before = this.#at(now);
    this.#offset = before === undefined || before > most ? least : Math.max(before, least);
    this.#learnedAt = now;
  }

  /** Redis's time at a moment of ours, in ms; rather too early than too late. */
  timeAt(monotonic: number): number {
    return monotonic + (this.#at(performance.now()) ?? 0);
  }

  forget(): void {
    this.#offset = undefined;
  }

  // two clocks may drift apart by a thousandth
  #at(now: number): number | undefined {
    return this.#offset === undefined ? undefined : this.#offset - (now - this.#learnedAt) / 1_000;
  }
}
