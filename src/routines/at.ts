import { readNextOptions, type NextOptions } from '../crontab/next-options.ts';
import { shown } from '../crontab/field.ts';
import { assertTimezone } from '../crontab/zone.ts';
import { ConfigError } from '../errors.ts';

const SECOND_MS = 1_000;

// the server's calendars end with it
const LAST_YEAR = 2100;

/** One moment: checked and immutable. Made by `at()`. */
export class At {
  /** When it runs, ISO 8601 in UTC, a whole second. */
  readonly time: string;

  /**
   * As `at()`.
   *
   * @param where what an error begins with.
   * @throws {ConfigError} as `at()`.
   */
  constructor(date: Date, where = 'at') {
    if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
      throw new ConfigError(`${where}: expected a valid Date, got ${shown(date)}`);
    }
    const time = new Date(Math.ceil(date.getTime() / SECOND_MS) * SECOND_MS);
    if (time.getUTCFullYear() > LAST_YEAR) {
      throw new ConfigError(
        `${where}: expected a date up to the year ${LAST_YEAR}, got ${time.toISOString()}`,
        { hint: `The calendars of Temporal's schedules end with ${LAST_YEAR}.` },
      );
    }
    this.time = time.toISOString();
    Object.freeze(this);
  }

  /** The moment as a Date of its own. */
  get date(): Date {
    return new Date(this.time);
  }

  /** `at 2027-01-01T12:00:00.000Z`; `parseSchedule` reads it. */
  toString(): string {
    return `at ${this.time}`;
  }

  /** In words: `once, at 2027-01-01 12:00:00 UTC`. */
  describe(): string {
    return `once, at ${this.time.slice(0, 10)} ${this.time.slice(11, 19)} UTC`;
  }

  /**
   * Its time, if it is still to come; else nothing. The zone is checked and changes nothing.
   *
   * @throws {ConfigError} when an option is wrong or the time zone is unknown.
   */
  next(options: NextOptions = {}): Date[] {
    const { from, timezone } = readNextOptions(options, 'at.next');
    assertTimezone(timezone, 'at.next: timezone');
    return this.date > from ? [this.date] : [];
  }
}

/**
 * One run at `date`; part of a second counts as a whole one. A date that has passed is refused when its schedule would
 * have to be created, not here: it stays in the code after its run.
 *
 * @throws {ConfigError} when it is not a valid Date, or after the year 2100.
 */
export function at(date: Date): At {
  return new At(date);
}
