import { assertKeys } from '../checks.ts';
import { readNextOptions, type NextOptions } from '../crontab/next-options.ts';
import { assertTimezone } from '../crontab/zone.ts';
import { durationMs, type Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';

/** What `every()` takes beside its interval. */
export interface EveryOptions {
  /** How far its times lie after the whole intervals: whole seconds, shorter than the interval. @default '0s' */
  offset?: Duration;
}

const SECOND_MS = 1_000;

const UNITS = [
  { word: 'day', ms: 86_400_000 },
  { word: 'hour', ms: 3_600_000 },
  { word: 'minute', ms: 60_000 },
] as const;

/** A fixed interval: checked and immutable. Made by `every()`. */
export class Every {
  /** The time from one run to the next, in milliseconds. */
  readonly everyMs: number;
  /** How far its times lie after the whole intervals since 1970, in milliseconds. */
  readonly offsetMs: number;

  /**
   * As `every()`.
   *
   * @param where what an error begins with.
   * @throws {ConfigError} as `every()`.
   */
  constructor(interval: Duration, options: EveryOptions = {}, where = 'every') {
    assertKeys(options, ['offset'], where);
    this.everyMs = wholeSeconds(interval, `${where}: interval`);
    if (this.everyMs < SECOND_MS) {
      throw new ConfigError(`${where}: interval: expected at least '1s', got '${interval}'`);
    }
    const { offset = '0s' } = options;
    this.offsetMs = wholeSeconds(offset, `${where}: offset`);
    if (this.offsetMs >= this.everyMs) {
      throw new ConfigError(
        `${where}: offset: expected less than the interval '${interval}', got '${offset}'`,
      );
    }
    Object.freeze(this);
  }

  /** `every 900s`, or `every 900s offset 60s`; `parseSchedule` reads it. */
  toString(): string {
    const offset = this.offsetMs === 0 ? '' : ` offset ${this.offsetMs / SECOND_MS}s`;
    return `every ${this.everyMs / SECOND_MS}s${offset}`;
  }

  /** In words, for example `every 15 minutes` or `every 90 seconds, 30 seconds past`. */
  describe(): string {
    const { count, word } = inUnits(this.everyMs);
    const interval = count === 1 ? `every ${word}` : `every ${count} ${word}s`;
    if (this.offsetMs === 0) return interval;
    const offset = inUnits(this.offsetMs);
    return `${interval}, ${offset.count} ${offset.word}${offset.count === 1 ? '' : 's'} past`;
  }

  /**
   * The next times, ascending, as the Temporal server has them. The zone is checked and changes nothing.
   *
   * @throws {ConfigError} when an option is wrong or the time zone is unknown.
   */
  next(options: NextOptions = {}): Date[] {
    const { from, count, timezone } = readNextOptions(options, 'every.next');
    assertTimezone(timezone, 'every.next: timezone');
    const passed = Math.floor((from.getTime() - this.offsetMs) / this.everyMs);
    return Array.from(
      { length: count },
      (_, index) => new Date((passed + 1 + index) * this.everyMs + this.offsetMs),
    );
  }
}

/**
 * A run each time the interval has passed, counted from 1970-01-01 00:00 UTC: `every('15m')` runs at the quarters of
 * each hour, whenever a worker started. (Celery counts from the last run, and drifts.)
 *
 * @param interval whole seconds, at least `'1s'`.
 * @throws {ConfigError} when a duration is wrong, not of whole seconds, or the offset not shorter than the interval.
 */
export function every(interval: Duration, options: EveryOptions = {}): Every {
  return new Every(interval, options);
}

function wholeSeconds(duration: Duration, where: string): number {
  const ms = durationMs(duration, where);
  if (ms % SECOND_MS === 0) return ms;
  throw new ConfigError(`${where}: expected whole seconds, got '${duration}'`, {
    // the server takes 1.5 s and runs every second
    hint: 'Temporal knows no part of a second in an interval.',
  });
}

/** In the largest unit of which it is a multiple. */
function inUnits(ms: number): { count: number; word: string } {
  const unit = UNITS.find((one) => ms % one.ms === 0) ?? { word: 'second', ms: SECOND_MS };
  return { count: ms / unit.ms, word: unit.word };
}
