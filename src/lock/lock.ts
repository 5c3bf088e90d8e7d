import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { LockUnavailableError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { Hold } from './hold.ts';
import {
  connectRedis,
  parseRedisUrl,
  untilReady,
  type NamedUrl,
  type RedisAddress,
} from './redis.ts';
import { acquireScript, releaseScript } from './scripts.ts';
import { withTimeout } from '../timeout.ts';

/** A lock as the task that holds it sees it. */
export interface HeldLock {
  /** The `lockId` of the exclusive task. */
  readonly lockId: string;
  /** Grows with every grant of this lock: give it to what you write to (`WHERE fence <= $1`). A decimal number. */
  readonly fence: string;
  /** Aborts with a LockLostError when the lock is lost; after a stall of the event loop only at its next turn. */
  readonly signal: AbortSignal;
  /** Whether it is held at this moment; exact, also after a stall. */
  isHeld(): boolean;
}

/** Who holds a lock. */
export interface LockHolder {
  /** The task's name. */
  task: string;
  /** The call's id; inline it begins with `inline/`. */
  id: string;
  runId: string;
  host: string;
  pid: number;
}

/** Who wants a lock. */
export interface LockRequest {
  lockId: string;
  /** The logical execution: the same for all attempts of one run. */
  owner: string;
  /** Orders the attempts of one owner, from 1; a later one takes over from an earlier one. */
  attempt: number;
  /** What others are told of this holder. */
  holder: Pick<LockHolder, 'task' | 'id' | 'runId'>;
}

export type LockAnswer =
  | { kind: 'held'; hold: Hold }
  /** Another owner holds it. */
  | { kind: 'busy'; leftMs: number; holder: LockHolder; since: Date }
  /** An earlier attempt of this owner holds it still; it has been told to let go. */
  | { kind: 'takeover'; leftMs: number }
  /** A later attempt of this owner holds it. */
  | { kind: 'stale' };

const ACQUIRE_TIMEOUT_MS = 5_000;

/** The locks of one app, in one Redis. Connects at the first request. */
export class Locks {
  readonly #address: RedisAddress;
  readonly #prefix: string;
  readonly #leaseMs: number;
  #redis: Redis | undefined;

  /**
   * @param options.leaseMs how long a lock outlives a holder that died
   * @throws {ConfigError} when the URL is not one of Redis
   */
  constructor(options: { app: string; url: NamedUrl; leaseMs: number }) {
    this.#address = parseRedisUrl(options.url);
    // one hash tag for all keys, so that a script stays in one slot of a cluster; v1 is the version of the scripts
    this.#prefix = `{sedano:${encodeURIComponent(options.app)}}:v1:`;
    this.#leaseMs = options.leaseMs;
  }

  /**
   * Tries once to take the lock.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s, or refuses; nothing is held then.
   */
  async acquire(request: LockRequest): Promise<LockAnswer> {
    const redis = (this.#redis ??= connectRedis(this.#address));
    const key = `${this.#prefix}${request.lockId}`;
    const keys = { holder: `${key}:h`, fence: `${key}:f`, last: `${key}:l` };
    const meta: LockHolder = { ...request.holder, host: hostname(), pid: process.pid };
    const giveUp = new AbortController();
    let reply: Promise<unknown> | undefined;
    let since = { monotonic: 0, wall: 0 };
    const send = async () => {
      // what is kept while Redis is away would be granted long after its caller has gone
      await untilReady(redis, giveUp.signal);
      // taken before sending: the lease may begin at any moment after it
      since = { monotonic: performance.now(), wall: Date.now() };
      reply = acquireScript(
        redis,
        [keys.holder, keys.fence],
        [
          request.owner,
          String(request.attempt),
          randomUUID(),
          String(this.#leaseMs),
          JSON.stringify(meta),
        ],
      );
      return await reply;
    };
    try {
      const answer = parseReply(await withTimeout(send(), ACQUIRE_TIMEOUT_MS));
      if (answer.kind !== 'held') return answer;
      const hold = new Hold({
        redis,
        keys,
        lockId: request.lockId,
        fence: answer.fence,
        leaseMs: this.#leaseMs,
        since,
      });
      return { kind: 'held', hold };
    } catch (error) {
      giveUp.abort(error);
      if (reply) this.#releaseLateGrant(redis, keys, reply);
      throw new LockUnavailableError(
        `lock '${request.lockId}': Redis at ${this.#address.shown} cannot be used: ${reason(error)}`,
        {
          lockId: request.lockId,
          cause: error,
          hint: `Check that Redis runs at ${this.#address.shown} and that ${this.#address.where} is right.`,
        },
      );
    }
  }

  /** Closes the connection; locks that are still held end with their lease. */
  close(): void {
    this.#redis?.disconnect();
    this.#redis = undefined;
  }

  // a request that timed out here may still be granted when Redis is back, with nobody to hold it
  #releaseLateGrant(
    redis: Redis,
    keys: { holder: string; last: string },
    reply: Promise<unknown>,
  ): void {
    reply
      .then(async (late) => {
        const answer = parseReply(late);
        if (answer.kind === 'held')
          await releaseScript(redis, [keys.holder, keys.last], [answer.fence]);
      })
      .catch((error: unknown) =>
        getTaskLogger('sedano.lock').debug({ err: error }, 'No late grant to release'),
      );
  }
}

type Reply = Exclude<LockAnswer, { kind: 'held' }> | { kind: 'held'; fence: string };

function parseReply(reply: unknown): Reply {
  const [word, ...rest] = reply as [string, ...string[]];
  switch (word) {
    case 'HELD':
      return { kind: 'held', fence: String(rest[0]) };
    case 'BUSY': {
      const holder = JSON.parse(String(rest[1])) as LockHolder;
      return { kind: 'busy', leftMs: Number(rest[0]), holder, since: new Date(Number(rest[2])) };
    }
    case 'TAKEOVER':
      return { kind: 'takeover', leftMs: Number(rest[0]) };
    default:
      return { kind: 'stale' };
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
