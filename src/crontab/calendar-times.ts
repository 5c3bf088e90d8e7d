import type { CalendarZone } from './zone.ts';
import type { CrontabSets } from './field.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

// The calendar repeats after 400 years, weekdays included: what has not come by then never comes.
const HORIZON_YEARS = 400;

// The last whole year that a Date can hold.
const LAST_YEAR = 275_759;

/** A wall clock that walks forward. Months count from 1. */
interface Walk {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  /** The hour is being walked a second time, or lies in the second copy of a repeated hour. */
  again: boolean;
}

/**
 * The first time after `after` that matches `sets` on the wall clock of `zone`, both in
 * milliseconds since 1970; undefined when none ever comes: a crontab whose only time is always
 * skipped, such as 02:30 on the last Sunday of March in Rome.
 *
 * It follows `compiledCalendar.next` in Temporal's service/worker/scheduler/calendar.go, which
 * decides when a schedule fires. Where no clock changes that is Celery's time. Where one does:
 * a time that is skipped does not fire, and *west* of Greenwich a repeated time fires twice. At
 * or east of it the hour before the repeated one fires twice, an hour apart, and the repeated
 * one once, in its second copy. The server stops after the year 2100; this goes on.
 */
export function nextCalendarTime(
  sets: CrontabSets,
  zone: CalendarZone,
  after: number,
): number | undefined {
  const walk = startWalk(zone, after);
  const lastYear = Math.min(walk.year + HORIZON_YEARS, LAST_YEAR);
  for (;;) {
    carry(walk, zone);
    if (walk.year > lastYear) return undefined;
    if (!seekMonth(walk, sets) || !seekDay(walk, sets, zone)) continue;
    if (!seekHour(walk, sets) || !seekMinute(walk, sets)) continue;
    const instant = instantOf(walk, zone);
    if (zone.wallClockAt(instant).getUTCHours() === walk.hour) {
      return walk.again ? instant + HOUR_MS : instant;
    }
    // the wall clock jumps over this hour
    walk.hour += 1;
    walk.minute = 0;
  }
}

/** The minute after `after`, on the wall clock. */
function startWalk(zone: CalendarZone, after: number): Walk {
  const clock = zone.wallClockAt(after);
  const hour = clock.getUTCHours();
  return {
    year: clock.getUTCFullYear(),
    month: clock.getUTCMonth() + 1,
    day: clock.getUTCDate(),
    hour,
    minute: clock.getUTCMinutes() + 1,
    again: zone.wallClockAt(after - HOUR_MS).getUTCHours() === hour,
  };
}

/** Makes a date of a walk that has passed the end of an hour, a day, a month or a year. */
function carry(walk: Walk, zone: CalendarZone): void {
  if (walk.minute >= 60) leaveHour(walk, zone);
  if (walk.hour >= 24) {
    walk.day += 1;
    walk.hour = 0;
  }
  if (walk.day > daysInMonth(walk.year, walk.month)) {
    walk.month += 1;
    walk.day = 1;
  }
  if (walk.month > 12) {
    walk.year += 1;
    walk.month = 1;
  }
}

function leaveHour(walk: Walk, zone: CalendarZone): void {
  walk.minute = 0;
  const begin = instantOf(walk, zone);
  walk.hour += 1;
  const next = instantOf(walk, zone);
  // more than an hour to the next hour: the clock is put back in between, so this hour comes again
  walk.again = !walk.again && next - begin > HOUR_MS;
  if (walk.again) walk.hour -= 1;
}

// Each seek walks forward to a match and answers true, or runs over its end and answers false.

function seekMonth(walk: Walk, { monthOfYear }: CrontabSets): boolean {
  while (!monthOfYear.includes(walk.month)) {
    walk.month += 1;
    walk.day = 1;
    restartDay(walk);
    if (walk.month > 12) return false;
  }
  return true;
}

function seekDay(walk: Walk, sets: CrontabSets, zone: CalendarZone): boolean {
  while (!sets.dayOfMonth.includes(walk.day) || !sets.dayOfWeek.includes(weekday(walk, zone))) {
    walk.day += 1;
    restartDay(walk);
    if (walk.day > daysInMonth(walk.year, walk.month)) return false;
  }
  return true;
}

function seekHour(walk: Walk, { hour }: CrontabSets): boolean {
  while (!hour.includes(walk.hour)) {
    walk.hour += 1;
    walk.minute = 0;
    walk.again = false;
    if (walk.hour >= 24) return false;
  }
  return true;
}

function seekMinute(walk: Walk, { minute }: CrontabSets): boolean {
  while (!minute.includes(walk.minute)) {
    walk.minute += 1;
    if (walk.minute >= 60) return false;
  }
  return true;
}

function restartDay(walk: Walk): void {
  walk.hour = 0;
  walk.minute = 0;
  walk.again = false;
}

/** The weekday by way of the instant: where midnight is skipped the server sees the day before. */
function weekday(walk: Walk, zone: CalendarZone): number {
  return zone.wallClockAt(instantOf(walk, zone)).getUTCDay();
}

function instantOf({ year, month, day, hour, minute }: Walk, zone: CalendarZone): number {
  return zone.instantAt(wallDay(year, month, day) + hour * HOUR_MS + minute * MINUTE_MS);
}

function daysInMonth(year: number, month: number): number {
  return new Date(wallDay(year, month + 1, 0)).getUTCDate();
}

function wallDay(year: number, month: number, day: number): number {
  // Date.UTC reads the years 0 to 99 as 1900 to 1999
  return new Date(0).setUTCFullYear(year, month - 1, day);
}
