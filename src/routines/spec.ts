import type {
  CalendarSpec,
  CalendarSpecDescription,
  IntervalSpecDescription,
  ScheduleSpec,
  ScheduleSpecDescription,
} from '@temporalio/client';
import {
  monthName,
  toCalendarSpec,
  toRanges,
  weekdayName,
  type NumberRange,
} from '../crontab/calendar-spec.ts';
import { Crontab, crontab } from '../crontab/crontab.ts';
import { MONTHS, WEEKDAYS, type CrontabSets } from '../crontab/field.ts';
import { crontabOfSets, sameSets } from '../crontab/from-sets.ts';
import { CalendarZone } from '../crontab/zone.ts';
import { SedanoError } from '../errors.ts';
import { At } from './at.ts';
import { Every } from './every.ts';
import { parseSchedule } from './schedule-text.ts';

/** When a schedule fires, as Temporal takes it. */
export type Times = Pick<ScheduleSpec, 'calendars' | 'intervals' | 'skip' | 'timezone'>;

/** When a routine runs, as a {@link Definition} says it. */
export interface ScheduleTexts {
  schedule: string;
  timezone: string;
}

/** What another tool has made, and no text of ours can say: this word, and its calendars and intervals as JSON. */
const OTHER = 'calendars ';

// the server's calendars end with it
const LAST_YEAR = 2100;

/** @throws {ConfigError} when `schedule` cannot be read. */
export function toTimes({ schedule, timezone }: ScheduleTexts): Times {
  if (isOther(schedule)) return { ...readOther(schedule), timezone };
  const parsed = parseSchedule(schedule);
  if (parsed instanceof Crontab) return { calendars: [toCalendarSpec(parsed)], timezone };
  if (parsed instanceof Every) {
    return { intervals: [{ every: parsed.everyMs, offset: parsed.offsetMs }], timezone: 'UTC' };
  }
  return { calendars: [momentCalendar(parsed)], timezone: 'UTC' };
}

/**
 * What a schedule's calendars and intervals mean, in one form for each meaning: ranges are read as sets, and a text of
 * `texts` or of the calendar's comment is kept where it means just that.
 */
export function readTimes(
  spec: ScheduleSpecDescription,
  texts: readonly string[] = [],
): ScheduleTexts {
  const { calendars = [], intervals = [], skip = [] } = spec;
  // an edit by Temporal's own command line leaves the zone empty, which the server reads as UTC
  const timezone = spec.timezone || 'UTC';
  const [calendar] = calendars;
  const [interval] = intervals;
  if (skip.length === 0 && calendars.length + intervals.length === 1) {
    const read = interval
      ? readInterval(interval)
      : calendar && readCalendar(calendar, timezone, texts);
    if (read) return read;
  }
  return { schedule: otherText({ calendars, intervals, skip }), timezone };
}

/** Whether a schedule's text is what no text of ours can say: another tool has made it. */
export function isOther(schedule: string): boolean {
  return schedule.startsWith(OTHER);
}

/** Whether two texts of a schedule mean the same times, however they are written. */
export function sameSchedule(one: string, other: string): boolean {
  return one === other || canonical(one) === canonical(other);
}

function canonical(text: string): string {
  const parsed = attempt(() => parseSchedule(text));
  if (!parsed) return text;
  return parsed instanceof Crontab ? crontabOfSets(parsed.sets).toString() : parsed.toString();
}

function readInterval({ every, offset }: IntervalSpecDescription): ScheduleTexts | undefined {
  const options = { offset: `${offset / 1_000}s` } as const;
  const interval = attempt(() => new Every(`${every / 1_000}s`, options));
  return interval && { schedule: interval.toString(), timezone: 'UTC' };
}

/** The numbers of each field, ascending, each once. */
interface Numbers extends CrontabSets {
  second: number[];
  year: number[];
}

function readCalendar(
  calendar: CalendarSpecDescription,
  timezone: string,
  texts: readonly string[],
): ScheduleTexts | undefined {
  const numbers = numbersOf(calendar);
  const moment = momentOf(numbers, timezone);
  if (moment) return { schedule: moment.toString(), timezone: 'UTC' };
  if (numbers.year.length > 0 || numbers.second.join() !== '0') return undefined;
  const made = attempt(() => crontabOfSets(numbers));
  if (!made) return undefined;
  for (const text of [calendar.comment ?? '', ...texts]) {
    const written = attempt(() => crontab.parse(text));
    if (written && sameSets(written.sets, numbers)) {
      return { schedule: written.toString(), timezone };
    }
  }
  return { schedule: made.toString(), timezone };
}

function numbersOf(calendar: CalendarSpecDescription): Numbers {
  const { month, dayOfWeek } = calendar;
  return {
    second: expand(calendar.second),
    minute: expand(calendar.minute),
    hour: expand(calendar.hour),
    dayOfMonth: expand(calendar.dayOfMonth),
    monthOfYear: expand(month.map((range) => numbered(range, MONTHS, 1))),
    dayOfWeek: expand(dayOfWeek.map((range) => numbered(range, WEEKDAYS, 0))),
    year: expand(calendar.year),
  };
}

function numbered(
  { start, end, step }: { start: string; end: string; step: number },
  names: readonly string[],
  first: number,
): NumberRange {
  const numberOf = (name: string) => names.findIndex((one) => one.toUpperCase() === name) + first;
  return { start: numberOf(start), end: numberOf(end), step };
}

function expand(ranges: readonly NumberRange[]): number[] {
  const numbers = ranges.flatMap(({ start, end, step }) => {
    const last = Math.min(end, LAST_YEAR);
    return Array.from(
      { length: Math.max(0, Math.floor((last - start) / step) + 1) },
      (_, index) => start + index * step,
    );
  });
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/** The one moment that a calendar with a year selects; undefined for every other. */
function momentOf(numbers: Numbers, timezone: string): At | undefined {
  const fields = [
    numbers.year,
    numbers.monthOfYear,
    numbers.dayOfMonth,
    numbers.hour,
    numbers.minute,
    numbers.second,
  ];
  if (fields.some(({ length }) => length !== 1) || numbers.dayOfWeek.length !== 7) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields.flat();
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  // a day that does not exist never comes
  if (new Date(wall).getUTCDate() !== day) return undefined;
  return attempt(() => {
    const zone = new CalendarZone(timezone, 'timezone');
    const instant = zone.instantAt(wall);
    return zone.wallClockAt(instant).getTime() === wall ? new At(new Date(instant)) : undefined;
  });
}

function momentCalendar(moment: At): CalendarSpec {
  const { date } = moment;
  return {
    second: one(date.getUTCSeconds()),
    minute: one(date.getUTCMinutes()),
    hour: one(date.getUTCHours()),
    dayOfMonth: one(date.getUTCDate()),
    month: one(monthName(date.getUTCMonth() + 1)),
    year: one(date.getUTCFullYear()),
    comment: moment.toString(),
  };
}

// the SDK would send a range without an end as one that ends with 1
function one<Unit>(value: Unit) {
  return [{ start: value, end: value, step: 1 }];
}

function otherText(times: {
  calendars: CalendarSpecDescription[];
  intervals: IntervalSpecDescription[];
  skip: CalendarSpecDescription[];
}): string {
  const form = {
    calendars: times.calendars.map(plainCalendar),
    intervals: times.intervals,
    skip: times.skip.map(plainCalendar),
  };
  const filled = Object.entries(form).filter(([, list]) => list.length > 0);
  return `${OTHER}${JSON.stringify(Object.fromEntries(filled))}`;
}

/** Equal calendars in equal words, which the SDK takes back. */
function plainCalendar(calendar: CalendarSpecDescription): CalendarSpec {
  const numbers = numbersOf(calendar);
  const ranges = (list: readonly number[]) => toRanges(list);
  const names = <Name>(list: readonly number[], toName: (number: number) => Name) =>
    toRanges(list).map(({ start, end, step }) => ({
      start: toName(start),
      end: toName(end),
      step,
    }));
  return {
    second: ranges(numbers.second),
    minute: ranges(numbers.minute),
    hour: ranges(numbers.hour),
    dayOfMonth: ranges(numbers.dayOfMonth),
    month: names(numbers.monthOfYear, monthName),
    dayOfWeek: names(numbers.dayOfWeek, weekdayName),
    ...(numbers.year.length === 0 ? {} : { year: ranges(numbers.year) }),
  };
}

function readOther(text: string): Times {
  try {
    return JSON.parse(text.slice(OTHER.length)) as Times;
  } catch (error) {
    throw new SedanoError(`schedule '${text}': expected JSON after '${OTHER}'`, { cause: error });
  }
}

/** Undefined where ours cannot say it: another tool may have written anything. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof SedanoError) return undefined;
    throw error;
  }
}
