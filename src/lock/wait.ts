import { LockError, LockWaitTimeoutError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { withTimeout } from '../timeout.ts';
import type { Hold } from './hold.ts';
import type { Line } from './line.ts';
import type { LockAnswer, LockHolder } from './lock.ts';
import type { LockState } from './state.ts';

/** How long to wait for a lock. */
export interface WaitOptions {
  /** @default no limit */
  maxWaitMs?: number | undefined;
  /** Ends the waiting; its reason is thrown. */
  signal?: AbortSignal | undefined;
  /** Told who holds the lock, at first and again when it is another. */
  onBusy?: ((holder: LockHolder) => void) | undefined;
}

interface WaitDependencies {
  lockId: string;
  owner: string;
  line: Line;
  /** Asks for the lock once. */
  ask: (timeoutMs: number) => Promise<LockAnswer>;
  leave: () => Promise<void>;
  inspect: () => Promise<LockState | undefined>;
  /** Aborts when the connection is closed for good. */
  closing: AbortSignal;
}

const ASK_TIMEOUT_MS = 5_000;
const INSPECT_TIMEOUT_MS = 500;
const BACK_OFF_MS = 200;
const BACK_OFF_MAX_MS = 2_000;

/** One call of this process that waits for its turn. */
export class Wait {
  readonly #uses: WaitDependencies;
  readonly #options: WaitOptions;
  readonly #startedAt = performance.now();
  readonly #bell = new Bell();
  #asking: Promise<LockAnswer> | undefined;
  #isQueued = false;
  #holder: LockHolder | undefined;
  #since: Date | undefined;

  constructor(uses: WaitDependencies, options: WaitOptions) {
    this.#uses = uses;
    this.#options = options;
  }

  /** @throws what `Locks.wait()` throws */
  async run(): Promise<Hold> {
    const { line, owner, closing } = this.#uses;
    const { maxWaitMs, signal } = this.#options;
    using limit = new Limit(maxWaitMs, [closing, ...(signal ? [signal] : [])]);
    // before it asks: the message of its turn may be faster than the answer
    line.enter(owner, () => this.#bell.ring());
    try {
      return await this.#ask(limit);
    } catch (error) {
      void this.#giveUp();
      throw error instanceof TimeUp ? await this.#timeoutError() : error;
    } finally {
      line.leave(owner);
    }
  }

  async #ask(limit: Limit): Promise<Hold> {
    let backOffMs = BACK_OFF_MS;
    for (;;) {
      const answer = await this.#askOnce(limit);
      if (answer?.kind === 'held') return answer.hold;
      if (answer) {
        backOffMs = BACK_OFF_MS;
        this.#take(answer);
        await limit.race(this.#bell.rung());
      } else {
        await limit.race(this.#bell.rung(backOffMs));
        backOffMs = Math.min(backOffMs * 2, BACK_OFF_MAX_MS);
      }
    }
  }

  /** @returns undefined when Redis is away, and this has a place in the queue already */
  async #askOnce(limit: Limit): Promise<LockAnswer | undefined> {
    const { maxWaitMs = Infinity } = this.#options;
    const leftMs = maxWaitMs - (performance.now() - this.#startedAt);
    this.#asking = this.#uses.ask(Math.max(1, Math.min(leftMs, ASK_TIMEOUT_MS)));
    try {
      return await limit.race(this.#asking);
    } catch (error) {
      if (limit.isOver || !this.#isQueued) throw error;
      return undefined;
    }
  }

  #take(answer: Exclude<LockAnswer, { kind: 'held' }>): void {
    const { line, lockId } = this.#uses;
    if (answer.kind === 'stale') {
      throw new LockError(`lock '${lockId}': a later attempt of the same call holds it`, {
        lockId,
      });
    }
    this.#isQueued = true;
    const isFirst = answer.kind === 'takeover' || answer.rank === 0;
    if (answer.kind === 'queued') line.standBy();
    else line.lookAfterLease(answer.leftMs, isFirst);
    if (answer.kind === 'busy') this.#tellHolder(answer.holder, answer.since);
  }

  #tellHolder(holder: LockHolder, since: Date): void {
    const isNew = holder.id !== this.#holder?.id || holder.runId !== this.#holder.runId;
    this.#holder = holder;
    this.#since = since;
    if (isNew) this.#options.onBusy?.(holder);
  }

  // a grant may be under way: it is given back before the place is
  async #giveUp(): Promise<void> {
    const answer = await this.#asking?.catch(() => undefined);
    if (answer?.kind === 'held') await answer.hold.release();
    await this.#uses.leave().catch((error: unknown) => {
      // the place ends by itself, 15 s after its last sign of life
      getTaskLogger('sedano.lock').debug({ err: error, ...this.#names() }, 'No leave of the queue');
    });
  }

  async #timeoutError(): Promise<LockWaitTimeoutError> {
    const { lockId } = this.#uses;
    // who held it when we asked may have gone long ago
    const state = await withTimeout(this.#uses.inspect(), INSPECT_TIMEOUT_MS).catch(
      () => undefined,
    );
    const holder = state ? state.holder : this.#holder;
    const since = state ? state.since : this.#since;
    return waitTimeout({ lockId, maxWaitMs: this.#options.maxWaitMs ?? 0, holder, since });
  }

  #names(): { lockId: string; owner: string } {
    return { lockId: this.#uses.lockId, owner: this.#uses.owner };
  }
}

/** What a call is told that has waited in vain. */
export function waitTimeout({
  lockId,
  maxWaitMs,
  holder,
  since,
}: {
  lockId: string;
  maxWaitMs: number;
  holder?: LockHolder | undefined;
  since?: Date | undefined;
}): LockWaitTimeoutError {
  const from = since ? ` since ${since.toISOString()}` : '';
  const heldBy = holder
    ? `held by '${holder.id}' (${holder.task}) on ${holder.host}:${holder.pid}${from}`
    : 'others wait before it';
  return new LockWaitTimeoutError(
    `lock '${lockId}': not free within ${maxWaitMs / 1_000} s; ${heldBy}`,
    {
      lockId,
      holder,
      hint: 'Let it wait longer (maxWait), or look why the holder takes so long.',
    },
  );
}

/** Rings once for each wait, also when it was rung before. */
class Bell {
  #isRinging = false;
  #hear: (() => void) | undefined;

  ring(): void {
    this.#isRinging = true;
    this.#hear?.();
  }

  /** Resolves when it rings, or after `ms`. */
  async rung(ms?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    if (!this.#isRinging) {
      await new Promise<void>((resolve) => {
        this.#hear = resolve;
        if (ms !== undefined) timer = setTimeout(resolve, ms);
      });
    }
    clearTimeout(timer);
    this.#hear = undefined;
    this.#isRinging = false;
  }
}

class TimeUp extends Error {}

/** When to stop waiting: after a time, or when one of the signals aborts. */
class Limit implements Disposable {
  readonly #over: Promise<never>;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #unlisten = new AbortController();
  #isOver = false;

  constructor(ms: number | undefined, signals: AbortSignal[]) {
    let stop: (reason: unknown) => void = () => {};
    this.#over = new Promise<never>((_resolve, reject) => {
      stop = (reason) => {
        this.#isOver = true;
        reject(reason);
      };
    });
    // where nothing is waited for when it ends, nobody misses it
    this.#over.catch(() => {});
    if (ms !== undefined) this.#timer = setTimeout(() => stop(new TimeUp()), ms);
    for (const signal of signals) {
      if (signal.aborted) stop(signal.reason);
      else {
        signal.addEventListener('abort', () => stop(signal.reason), {
          signal: this.#unlisten.signal,
        });
      }
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async race<T>(promise: Promise<T>): Promise<T> {
    return await Promise.race([promise, this.#over]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#unlisten.abort();
  }
}
