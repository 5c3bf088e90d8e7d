import type { CalendarSpec, DayOfWeek, Month } from '@temporalio/client';
import type { Crontab } from './crontab.ts';
import { MONTHS, WEEKDAYS } from './field.ts';

// the server's limit on a comment, in bytes of UTF-8
const MAX_COMMENT_BYTES = 200;

/** The numbers from `start` to `end`, both included, `step` apart. */
export interface NumberRange {
  start: number;
  end: number;
  step: number;
}

/**
 * The calendar of a Temporal schedule that fires when `crontab` does, at second 0.
 *
 * Every field is written out, because Temporal reads a missing minute or hour as 0, and every
 * range has `start`, `end` and `step`, because the SDK sends one without `end` as `end: 1`. One
 * calendar wants all its fields to match, as a crontab does; two would fire when either matches.
 *
 * @param comment what the Web UI shows, cut at the 200 bytes that the server allows.
 *   @default the five-field line
 */
export function toCalendarSpec(crontab: Crontab, comment = crontab.toString()): CalendarSpec {
  const { minute, hour, dayOfMonth, monthOfYear, dayOfWeek } = crontab.sets;
  return {
    second: toRanges([0]),
    minute: toRanges(minute),
    hour: toRanges(hour),
    dayOfMonth: toRanges(dayOfMonth),
    month: toRanges(monthOfYear).map((range) => named(range, monthName)),
    dayOfWeek: toRanges(dayOfWeek).map((range) => named(range, weekdayName)),
    comment: cut(comment),
  };
}

/** Few ranges that hold exactly `numbers`, which are ascending: `0-45/15` for 0, 15, 30, 45. */
export function toRanges(numbers: readonly number[]): NumberRange[] {
  const ranges: NumberRange[] = [];
  let rest = numbers;
  for (let [start] = rest; start !== undefined; [start] = rest) {
    const step = (rest[1] ?? start + 1) - start;
    const length = regularLength(rest, step);
    // a pair inside a set may cost the second a longer run: 0,30,33,36 is 0 and 30-36/3
    const taken = length > 2 || step === 1 || length === rest.length ? length : 1;
    const end = rest[taken - 1] ?? start;
    ranges.push({ start, end, step: taken === 1 ? 1 : step });
    rest = rest.slice(taken);
  }
  return ranges;
}

/** How many numbers from the first on lie `step` apart. */
function regularLength(numbers: readonly number[], step: number): number {
  const end = numbers.findIndex((number, index) => number !== (numbers[0] ?? 0) + index * step);
  return end === -1 ? numbers.length : end;
}

function named<Name>({ start, end, step }: NumberRange, toName: (number: number) => Name) {
  return { start: toName(start), end: toName(end), step };
}

// the SDK's names are the upper-case ones; the sets hold only numbers that have one

export function monthName(month: number): Month {
  return MONTHS[month - 1]?.toUpperCase() as Month;
}

export function weekdayName(day: number): DayOfWeek {
  return WEEKDAYS[day]?.toUpperCase() as DayOfWeek;
}

function cut(comment: string): string {
  const bytes = new TextEncoder().encode(comment);
  if (bytes.length <= MAX_COMMENT_BYTES) return comment;
  // a character cut in two decodes to a replacement character, which goes as well
  const kept = new TextDecoder().decode(bytes.subarray(0, MAX_COMMENT_BYTES - '…'.length * 3));
  return `${kept.replace(/\uFFFD$/, '')}…`;
}
