import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { LockError, LockUnavailableError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { withTimeout } from '../timeout.ts';
import { Hold } from './hold.ts';
import { Inbox, type InboxMessage } from './inbox.ts';
import { Line } from './line.ts';
import { ParkedTurns, type ParkedCalls } from './parked.ts';
import { parseRedisUrl, type NamedUrl } from './redis.ts';
import {
  acquireScript,
  forceScript,
  inspectScript,
  leaveScript,
  releaseScript,
  touchScript,
  WAIT_TTL_MS,
} from './scripts.ts';
import { checkServer } from './server-check.ts';
import { readState, type LockState } from './state.ts';
import { ALL_LOCKS, LockStore } from './store.ts';
import { Wait, type WaitOptions } from './wait.ts';

export { waitTimeout } from './wait.ts';
export type { LockState } from './state.ts';

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
  /** The logical execution, the same for all attempts of one run; of a parked call `wf:<namespace>:<workflowId>:<runId>`. */
  owner: string;
  /** Orders the attempts of one owner: a later one takes over from an earlier one. */
  attempt: {
    /** How many times the run has scheduled the task's activity, from 1. */
    round: number;
    /** The attempt of that activity, from 1. */
    attempt: number;
  };
  /** What others are told of this holder. */
  holder: Pick<LockHolder, 'task' | 'id' | 'runId'>;
  /**
   * Whether it takes a place in the queue when the lock is not free. One of a process lasts 15 s, or until its turn
   * comes: {@link Locks.wait} keeps it. One of a call that is parked in its workflow lasts a week.
   *
   * @default 'no'
   */
  queue?: 'no' | 'process' | 'parked';
}

/** `rank` counts from 0, and is there where the request has a place in the queue. */
export type LockAnswer =
  | { kind: 'held'; hold: Hold }
  /** Another owner holds it. */
  | { kind: 'busy'; leftMs: number; holder: LockHolder; since: Date; rank?: number }
  /** It is free, but others wait before this owner. */
  | { kind: 'queued'; leftMs: number; rank?: number }
  /** Redis may have lost the key of a holder that lives: nobody is granted a lock before `leftMs` have passed. */
  | { kind: 'recovering'; leftMs: number; rank?: number }
  /** An earlier attempt of this owner holds it still; it has been told to let go. */
  | { kind: 'takeover'; leftMs: number }
  /** A later attempt of this owner holds it. */
  | { kind: 'stale' };

/** Why and by whom a hold is ended. */
export interface ReleaseOptions {
  /** Who asks; it goes into the log and to the holder. */
  who: string;
  /** Only the hold with this fence. @default whatever hold there is */
  fence?: string;
  /** Ends the hold at once, needs `fence`: its holder may go on for a third of its lease. @default false */
  now?: boolean;
}

const ACQUIRE_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 5_000;
/** A parked call asks again long before; a week after its last request nobody waits any more. */
const PARKED_TTL_MS = 7 * 24 * 60 * 60 * 1_000;
const QUEUED_LEFT_MS = 50;
const LIST_MAX = 1_000;

/** The locks of one app, in one Redis. Connects at the first request. */
export class Locks {
  readonly #store: LockStore;
  /** Where this process is told of its turns, and to let go. */
  readonly #inboxId = randomUUID();
  readonly #lines = new Map<string, Line>();
  readonly #holds = new Map<string, Hold>();
  readonly #inbox: Inbox;
  readonly #closing = new AbortController();
  #listening: Promise<void> | undefined;

  /**
   * @param options.leaseMs how long a lock outlives a holder that died
   * @param options.recoveryGuard whether nobody is granted a lock for one lease after Redis has been restarted,
   *   emptied or replaced, for it may have lost the key of a holder that lives. All processes of an app should agree,
   *   and on the lease too: the longest that any of them ever had is what they wait
   * @throws {ConfigError} when the URL is not one of Redis
   */
  constructor(options: { app: string; url: NamedUrl; leaseMs: number; recoveryGuard: boolean }) {
    this.#store = new LockStore({ ...options, address: parseRedisUrl(options.url) });
    this.#inbox = new Inbox(this.#store);
    // each call that waits listens
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Asks once for the lock.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s, or refuses; nothing is held then.
   */
  async acquire(request: LockRequest): Promise<LockAnswer> {
    return await this.#ask(request, ACQUIRE_TIMEOUT_MS);
  }

  /**
   * Waits in the queue until the lock is this owner's. Once it has its place it bears that Redis goes away, and queues
   * again where the place was lost.
   *
   * @throws {LockWaitTimeoutError} after `maxWaitMs`
   * @throws {LockUnavailableError} when Redis does not answer within 5 s at first
   */
  async wait(request: Omit<LockRequest, 'queue'>, options: WaitOptions = {}): Promise<Hold> {
    const { lockId, owner } = request;
    options.signal?.throwIfAborted();
    await this.#untilListening(lockId, options.signal);
    const wait = new Wait(
      {
        lockId,
        owner,
        line: this.#line(lockId),
        ask: (timeoutMs) => this.#ask({ ...request, queue: 'process' }, timeoutMs),
        leave: () => this.leave(lockId, owner),
        inspect: () => this.inspect(lockId),
        closing: this.#closing.signal,
      },
      options,
    );
    try {
      return await wait.run();
    } finally {
      if (this.#lines.get(lockId)?.isEmpty) this.#lines.delete(lockId);
    }
  }

  /**
   * Gives up a place in the queue, and wakes the next where it was this one's turn.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async leave(lockId: string, owner: string): Promise<void> {
    await this.#command(lockId, () => this.#store.run(leaveScript, lockId, [owner]));
  }

  /**
   * Hears when it is the turn of a parked call: of all workers one is asked at a time to wake it, again after 2 s while
   * the lock is not taken. Where Redis has lost the places of parked calls, one worker is asked to wake them all.
   *
   * @returns what ends the hearing
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async onParkedTurn(calls: ParkedCalls): Promise<() => Promise<void>> {
    const turns = new ParkedTurns(this.#store, this.#inbox, calls);
    await this.#bounded(ALL_LOCKS, (signal) => turns.open(signal));
    return () => turns.close();
  }

  /**
   * What is known of a lock; undefined when that is nothing.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async inspect(lockId: string): Promise<LockState | undefined> {
    const [, ...state] = await this.#command(lockId, () =>
      this.#store.run(inspectScript, lockId, []),
    );
    return readState(lockId, state);
  }

  /**
   * The locks used within the last 7 days, the latest first, at most 1,000.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async list(): Promise<LockState[]> {
    const ids = await this.#command(ALL_LOCKS, () =>
      this.#store.redis.zrange(this.#store.usedKey, String(-LIST_MAX), '-1'),
    );
    const states = await Promise.all(ids.toReversed().map((id) => this.inspect(id)));
    return states.filter((state) => state !== undefined);
  }

  /**
   * Asks the holder to let go: it is told by message, and by its next renewal at the latest; the lock is free when it
   * has stopped, or its lease has ended. With `now` the hold ends at once, while its holder may still run.
   *
   * @returns false when nobody holds the lock, or the hold has another fence
   * @throws {LockError} with `now` but without `fence`
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async release(lockId: string, { who, fence, now = false }: ReleaseOptions): Promise<boolean> {
    if (now && fence === undefined) {
      throw new LockError(`lock '${lockId}': to end a hold now, expected its fence, got none`, {
        lockId,
        hint: 'Look up the fence first, so that no later hold is ended by mistake.',
      });
    }
    const state = await this.inspect(lockId);
    const named = fence ?? state?.fence;
    if (named === undefined) return false;
    const [word] = await this.#command(lockId, () =>
      this.#store.run(forceScript, lockId, [named, who, now ? '1' : '0']),
    );
    const done = word === 'OK';
    getTaskLogger('sedano.lock').warn(
      { lockId, who, fence: named, now, done, holder: state?.holder },
      done
        ? `Lock '${lockId}' ${now ? 'was taken from its holder' : 'is asked back'} by ${who}`
        : `Lock '${lockId}' is not held with fence ${named}: nothing released`,
    );
    return done;
  }

  /**
   * Looks for settings of Redis with which locks are not safe.
   *
   * @returns a sentence for each, with the setting that is to be changed
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async check(): Promise<string[]> {
    return await this.#command(ALL_LOCKS, () =>
      checkServer(this.#store.redis, this.#store.address),
    );
  }

  /**
   * Lets a quarantine begin now and not at the first call.
   *
   * @throws {LockUnavailableError} when Redis does not answer within 5 s
   */
  async touch(): Promise<void> {
    await this.#command(ALL_LOCKS, () =>
      this.#store.run(touchScript, ALL_LOCKS, [String(this.#store.leaseMs), this.#store.guard]),
    );
  }

  /** Closes the connections for good; locks that are still held end with their lease, and who waits here is told. */
  close(): void {
    this.#closing.abort(new Error('the locks were closed'));
    for (const line of this.#lines.values()) line.close();
    this.#lines.clear();
    this.#inbox.close();
    this.#store.close();
  }

  async #ask(request: LockRequest, timeoutMs: number): Promise<LockAnswer> {
    // timers may be a little early: what is executed at the last moment must not be granted to nobody
    const notAfter = performance.now() + timeoutMs - Math.min(20, timeoutMs / 10);
    let sent: Promise<Reply> | undefined;
    const send = async (signal: AbortSignal) => {
      for (;;) {
        await this.#store.ready(signal);
        signal.throwIfAborted();
        // taken before sending: the lease may begin at any moment after it
        const since = { monotonic: performance.now(), wall: Date.now() };
        sent = this.#send(request, notAfter);
        const reply = await sent;
        if (reply.kind !== 'late') return { reply, since };
        // not late by our clock: Redis's clock has been set, or it is another Redis
        this.#store.clock.forget();
      }
    };
    try {
      const { reply, since } = await this.#bounded(request.lockId, send, timeoutMs);
      if (reply.kind !== 'held') return reply;
      return { kind: 'held', hold: this.#hold(request.lockId, reply.fence, since) };
    } catch (error) {
      if (sent) this.#releaseLateGrant(request.lockId, sent);
      throw error;
    }
  }

  async #send(request: LockRequest, notAfter: number): Promise<Reply> {
    const { lockId, owner, attempt, holder, queue = 'no' } = request;
    const meta: LockHolder = { ...holder, host: hostname(), pid: process.pid };
    const reply = await this.#store.run(acquireScript, lockId, [
      owner,
      String(attempt.round),
      String(attempt.attempt),
      randomUUID(),
      String(this.#store.leaseMs),
      JSON.stringify(meta),
      queue,
      this.#inboxId,
      String(queue === 'parked' ? PARKED_TTL_MS : WAIT_TTL_MS),
      String(Math.floor(this.#store.clock.timeAt(notAfter))),
      this.#store.guard,
    ]);
    return parseReply(reply);
  }

  #hold(lockId: string, fence: string, since: { monotonic: number; wall: number }): Hold {
    const key = `${lockId} ${fence}`;
    const store = this.#store;
    const onEnd = () => this.#holds.delete(key);
    const hold = new Hold({ store, lockId, fence, since, onEnd });
    this.#holds.set(key, hold);
    // not waited for: until then its renewals tell it what it would hear
    this.#listen().catch((error: unknown) =>
      getTaskLogger('sedano.lock').debug({ err: error, lockId }, 'Not listening yet'),
    );
    return hold;
  }

  // a request that timed out here may still have been granted, with nobody to hold it
  #releaseLateGrant(lockId: string, sent: Promise<Reply>): void {
    sent
      .then(async (late) => {
        if (late.kind === 'held') await this.#store.run(releaseScript, lockId, [late.fence]);
      })
      .catch((error: unknown) =>
        getTaskLogger('sedano.lock').debug({ err: error, lockId }, 'No late grant to release'),
      );
  }

  #line(lockId: string): Line {
    const known = this.#lines.get(lockId);
    if (known) return known;
    const line = new Line({ store: this.#store, lockId, inbox: this.#inboxId });
    this.#lines.set(lockId, line);
    return line;
  }

  async #untilListening(lockId: string, stop: AbortSignal | undefined): Promise<void> {
    const listening = this.#listen();
    // waited for by everybody here, each for his own time
    listening.catch(() => {});
    await this.#bounded(lockId, () => listening);
    stop?.throwIfAborted();
  }

  /** Opens this process's inbox, once. */
  async #listen(): Promise<void> {
    this.#listening ??= this.#inbox
      .open(
        this.#inboxId,
        {
          onMessage: (message) => this.#hear(message),
          onGap: () => {
            for (const line of this.#lines.values()) void line.look();
          },
        },
        this.#closing.signal,
      )
      .catch((error: unknown) => {
        this.#listening = undefined;
        throw error;
      });
    await this.#listening;
  }

  #hear(message: InboxMessage): void {
    switch (message[0]) {
      case 'go': {
        const [, lockId, owner] = message;
        if (this.#lines.get(lockId)?.wake(owner)) return;
        // it waits no more, so the next need not wait for it
        void this.leave(lockId, owner).catch(() => {});
        return;
      }
      case 'standby':
        return this.#lines.get(message[1])?.standBy();
      case 'revoked': {
        const [, lockId, fence, why, who] = message;
        return this.#holds.get(`${lockId} ${fence}`)?.revoke(why, who);
      }
    }
  }

  async #command<T>(lockId: string, run: () => Promise<T>): Promise<T> {
    return await this.#bounded(lockId, async (signal) => {
      await this.#store.ready(signal);
      signal.throwIfAborted();
      return await run();
    });
  }

  /** Redis's answer, or what is wrong with it. */
  async #bounded<T>(
    lockId: string,
    work: (signal: AbortSignal) => Promise<T>,
    timeoutMs = COMMAND_TIMEOUT_MS,
  ): Promise<T> {
    const giveUp = new AbortController();
    try {
      return await withTimeout(work(giveUp.signal), timeoutMs);
    } catch (error) {
      giveUp.abort(error);
      const { address } = this.#store;
      throw new LockUnavailableError(
        `lock '${lockId}': Redis at ${address.shown} cannot be used: ${reason(error)}`,
        {
          lockId,
          cause: error,
          hint: `Check that Redis runs at ${address.shown} and that ${address.where} is right.`,
        },
      );
    }
  }
}

type Reply =
  | Exclude<LockAnswer, { kind: 'held' }>
  | { kind: 'held'; fence: string }
  /** Redis got it too late. */
  | { kind: 'late' };

function parseReply([word, first = '', second, ...rest]: string[]): Reply {
  switch (word) {
    case 'HELD':
      return { kind: 'held', fence: first };
    case 'BUSY': {
      const holder = JSON.parse(String(rest[0])) as LockHolder;
      const since = new Date(Number(rest[1]));
      return { kind: 'busy', leftMs: Number(first), holder, since, ...readRank(second) };
    }
    case 'QUEUED':
      return { kind: 'queued', leftMs: QUEUED_LEFT_MS, ...readRank(first) };
    case 'RECOVERING':
      return { kind: 'recovering', leftMs: Number(first), ...readRank(second) };
    case 'TAKEOVER':
      return { kind: 'takeover', leftMs: Number(first) };
    case 'LATE':
      return { kind: 'late' };
    default:
      return { kind: 'stale' };
  }
}

function readRank(rank: string | undefined): { rank?: number } {
  return rank === undefined || rank === '-1' ? {} : { rank: Number(rank) };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
