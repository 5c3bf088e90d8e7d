import { assertKeys, assertTexts } from './checks.ts';
import { durationMs, type Duration } from './duration.ts';
import { ConfigError } from './errors.ts';
import { assertOnBusy, type OnBusy } from './exclusive.ts';

/** What becomes of a call whose lock is held; overrides what the task says. */
export interface BusyOptions {
  /** What becomes of the call. @default the task's `exclusive.onBusy` */
  onBusy?: OnBusy;
  /** How long `'wait'` and `'replace'` wait. @default the task's `exclusive.maxWait` */
  maxWait?: Duration;
}

/** The options of one inline execution. */
export interface ApplyOptions extends BusyOptions {
  /** Ends the waiting for the lock with the signal's reason; once the code runs it has no effect. */
  signal?: AbortSignal;
}

/** The options of one durable call. */
export interface CallOptions extends BusyOptions {
  /**
   * The call's id. A second call of the same id is not started: it gives the first one's result. Not for an exclusive
   * task that does not wait, whose id is its lock's. @default `<task>/<uuid>`
   */
  id?: string;
  /** How long the call is held back. Not beside `eta`. @default not at all */
  countdown?: Duration;
  /** When the call may begin; in the past means now. @default now */
  eta?: Date;
}

/** What a worker has to know of a call beside its arguments; travels in the memo. */
export interface CarriedOptions {
  onBusy?: OnBusy;
  maxWaitMs?: number;
}

/** @throws {ConfigError} when an option is unknown or wrong. */
export function readCallOptions(options: CallOptions, where: string) {
  assertKeys(options, ['id', 'countdown', 'eta', 'onBusy', 'maxWait'], where);
  const { id, countdown, eta } = options;
  assertTexts(options, ['id'], where);
  if (id !== undefined && (/\p{C}/u.test(id) || Buffer.byteLength(id) > MAX_ID_BYTES)) {
    throw new ConfigError(
      `${where}: id: expected at most ${MAX_ID_BYTES} printable bytes, got ${JSON.stringify(id)}`,
    );
  }
  return { id, delayMs: delayOf({ countdown, eta }, where), carried: readBusy(options, where) };
}

/** @throws {ConfigError} when an option is unknown or wrong. */
export function readApplyOptions(options: ApplyOptions, where: string) {
  assertKeys(options, ['onBusy', 'maxWait', 'signal'], where);
  return { ...readBusy(options, where), signal: options.signal };
}

/** Temporal's limit is 1,000; an id is also shown. */
const MAX_ID_BYTES = 500;

function readBusy({ onBusy, maxWait }: BusyOptions, where: string): CarriedOptions {
  if (onBusy !== undefined) assertOnBusy(onBusy, where);
  const maxWaitMs = maxWait === undefined ? undefined : durationMs(maxWait, `${where}: maxWait`);
  return {
    ...(onBusy === undefined ? {} : { onBusy }),
    ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
  };
}

/**
 * Options of a lock that would be for nothing are a mistake.
 *
 * @throws {ConfigError} when the task has no lock, or the call does not wait for it.
 */
export function assertBusyOptionsFit(
  { onBusy, maxWaitMs }: CarriedOptions,
  exclusive: { onBusy: OnBusy } | undefined,
  where: string,
): void {
  if (!exclusive) {
    const given = onBusy === undefined ? maxWaitMs !== undefined && 'maxWait' : 'onBusy';
    if (!given) return;
    throw new ConfigError(`${where}: ${given}: expected none for a task that is not exclusive`, {
      hint: 'Give the task exclusive: { lockId } first.',
    });
  }
  const does = onBusy ?? exclusive.onBusy;
  if (maxWaitMs === undefined || does === 'wait' || does === 'replace') return;
  throw new ConfigError(
    `${where}: maxWait: expected none for a call that does not wait, got onBusy '${does}'`,
    {
      hint: "With onBusy 'wait' or 'replace' it waits.",
    },
  );
}

function delayOf(
  { countdown, eta }: Pick<CallOptions, 'countdown' | 'eta'>,
  where: string,
): number {
  if (countdown !== undefined && eta !== undefined) {
    throw new ConfigError(`${where}: expected countdown or eta, got both`);
  }
  if (countdown !== undefined) return durationMs(countdown, `${where}: countdown`);
  if (eta === undefined) return 0;
  if (!(eta instanceof Date) || Number.isNaN(eta.getTime())) {
    throw new ConfigError(`${where}: eta: expected a Date, got ${JSON.stringify(eta)}`);
  }
  return Math.max(0, eta.getTime() - Date.now());
}
