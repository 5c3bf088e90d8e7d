import { nextCalendarTime } from './calendar-times.ts';
import { CalendarZone } from './zone.ts';
import {
  FIELD_RULES,
  readField,
  shown,
  type CrontabField,
  type CrontabFieldName,
  type CrontabSets,
} from './field.ts';
import { readNextOptions, type NextOptions } from './next-options.ts';
import { describeSets } from './words.ts';
import { CrontabError } from '../errors.ts';

export type { CrontabField, CrontabFieldName, CrontabSets } from './field.ts';
export type { NextOptions } from './next-options.ts';

/**
 * The fields of a crontab. A field left out is `'*'`, as in Celery: `{ hour: 3 }` is every minute
 * from 03:00 to 03:59.
 */
export interface CrontabOptions {
  /** 0 to 59. @default '*' */
  minute?: CrontabField;
  /** 0 to 23. @default '*' */
  hour?: CrontabField;
  /** 0 to 6 from Sunday, 7 for Sunday too, `'mon'`, `'Monday'`. @default '*' */
  dayOfWeek?: CrontabField;
  /** 1 to 31. @default '*' */
  dayOfMonth?: CrontabField;
  /** 1 to 12, `'jan'`, `'January'`. @default '*' */
  monthOfYear?: CrontabField;
}

/** The text of each field: as it was given, or the numbers joined by commas. */
export type CrontabFields = Readonly<Record<CrontabFieldName, string>>;

const FIELD_NAMES = FIELD_RULES.map(({ name }) => name);
const NEXT = 'crontab.next';
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A crontab: checked, expanded and immutable. Made by `crontab()` or `crontab.parse()`. */
export class Crontab {
  /** What was written in each field. */
  readonly fields: CrontabFields;
  /** What each field selects. */
  readonly sets: CrontabSets;

  /**
   * As `crontab()`.
   *
   * @param where what an error begins with.
   * @throws {CrontabError} as `crontab()`.
   */
  constructor(options: CrontabOptions = {}, where = 'crontab') {
    checkOptions(options, where);
    const texts: [CrontabFieldName, string][] = [];
    const sets: [CrontabFieldName, readonly number[]][] = [];
    for (const rule of FIELD_RULES) {
      const { text, numbers } = readField(rule, where, options[rule.name]);
      texts.push([rule.name, text]);
      sets.push([rule.name, Object.freeze(numbers)]);
    }
    // the names are those of FIELD_RULES, which fromEntries forgets
    this.fields = Object.freeze(Object.fromEntries(texts)) as CrontabFields;
    this.sets = Object.freeze(Object.fromEntries(sets)) as CrontabSets;
    checkCanFire(this, where);
    Object.freeze(this);
  }

  /** The line of five fields, `minute hour day-of-month month day-of-week`; `crontab.parse` reads it. */
  toString(): string {
    return FIELD_NAMES.map((name) => this.fields[name].replaceAll(/\s/g, '')).join(' ');
  }

  /** In words, for example `every 15 minutes` or `at 01:00 on Sundays`. */
  describe(): string {
    return describeSets(this.sets);
  }

  /**
   * The next times, ascending: Celery's, except on the days on which the zone changes its clocks;
   * there the times at which the Temporal server will fire.
   *
   * Fewer than `count`, or none, come back where the zone's clocks skip every later time: 02:30 on
   * the last Sunday of March in Rome.
   *
   * @throws {ConfigError} when an option is wrong or the time zone is unknown.
   */
  next(options: NextOptions = {}): Date[] {
    const { from, count, timezone } = readNextOptions(options, NEXT);
    const zone = new CalendarZone(timezone, `${NEXT}: timezone`);
    const times: Date[] = [];
    let time = nextCalendarTime(this.sets, zone, from.getTime());
    while (time !== undefined && times.push(new Date(time)) < count) {
      time = nextCalendarTime(this.sets, zone, time);
    }
    return times;
  }
}

/**
 * Celery's crontab: a time fires when its minute, hour, weekday, day of the month *and* month are
 * all selected. (Unix cron fires when either day field matches; Celery and this one want both.)
 *
 * A text is a `*`, a number or a range `8-17`, with a step after `*` or a range (`8-17/2`), or
 * several of these with commas. Ranges wrap (`22-2`, `fri-mon`); steps count from the start of the
 * range. Weekdays and months may be named in their own field, in full or by three letters, in any
 * case. 7 is Sunday, and a range may end in it.
 *
 * Refused, though Celery's regular expressions let them pass: tails (`1-5-9`, `mon#1`), names in
 * another field, other spellings (`monkey`, `tues`, `sept`), signs and underscores (`+5`, `1_0`),
 * and blanks anywhere but around a single number: `1, 2` is right, `mon - fri` and a blank after
 * a range, a name or a step are not (nor, as in Celery, one before: `1, 2-4`). Refused as never
 * firing: an empty list, and a crontab of which no selected month has a selected day (February
 * has 29).
 *
 * @throws {CrontabError} naming the field, its text, the position, what was expected and what was found.
 */
export function crontab(options: CrontabOptions = {}): Crontab {
  return new Crontab(options);
}

/**
 * Reads a line of five fields in cron's order: minute, hour, day of the month, month, day of the
 * week. Blanks separate them; each is as in `crontab()`, without blanks inside.
 *
 * @throws {CrontabError} as `crontab()`, and when there are not five fields.
 */
crontab.parse = function parse(line: string): Crontab {
  if (typeof line !== 'string') {
    throw new CrontabError(`crontab: expected a line of five fields, got ${shown(line)}`);
  }
  const texts = line.split(/\s+/).filter((text) => text !== '');
  const where = `crontab '${line.trim()}'`;
  if (texts.length !== FIELD_NAMES.length) throw wrongFieldCount(texts, where);
  const fields = Object.fromEntries(FIELD_NAMES.map((name, index) => [name, texts[index]]));
  return new Crontab(fields, where);
};

function wrongFieldCount(texts: string[], where: string): CrontabError {
  const missing = FIELD_NAMES[texts.length];
  const fault = missing ? `${missing} is missing` : `'${texts[5]}' is too much`;
  return new CrontabError(
    `${where}: expected five fields (${FIELD_NAMES.join(', ')}), got ${texts.length}: ${fault}`,
    { field: missing, hint: texts[0]?.startsWith('@') ? 'Write the five fields out.' : undefined },
  );
}

function checkOptions(options: unknown, where: string): void {
  // a list or a set has no unknown keys, and would pass for every minute
  if (typeof options !== 'object' || options === null || Symbol.iterator in options) {
    throw new CrontabError(`${where}: expected an object of fields, got ${shown(options)}`, {
      hint: 'crontab.parse() reads a line of five fields.',
    });
  }
  const unknown = unknownKey(options, FIELD_NAMES);
  if (unknown === undefined) return;
  const camel = unknown.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  throw new CrontabError(
    `${where}: unknown option '${unknown}', expected ${FIELD_NAMES.join(', ')}`,
    { hint: FIELD_NAMES.some((name) => name === camel) ? `Write '${camel}'.` : undefined },
  );
}

function unknownKey(options: object, known: readonly string[]): string | undefined {
  return Object.keys(options).find((key) => !known.includes(key));
}

function checkCanFire({ fields, sets }: Crontab, where: string): void {
  const longest = Math.max(...sets.monthOfYear.map((month) => MONTH_DAYS[month - 1] ?? 0));
  if (sets.dayOfMonth.some((day) => day <= longest)) return;
  throw new CrontabError(
    `${where}: never fires: dayOfMonth '${fields.dayOfMonth}' does not occur in monthOfYear '${fields.monthOfYear}'`,
    { field: 'dayOfMonth' },
  );
}
