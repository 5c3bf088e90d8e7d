import { nextCalendarTime } from '../crontab/calendar-times.ts';
import type { CrontabSets } from '../crontab/field.ts';
import type { CalendarZone } from '../crontab/zone.ts';

/** What a change of the zone's clocks does to a crontab. */
export interface ClockChange {
  /** The day on the wall clock, `2027-03-28`. */
  day: string;
  /** Its times on that day which do not come, `02:30`. */
  skipped: string[];
  /** The times at which it runs once more than the crontab says, as the wall clock shows them. */
  again: string[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * The changes of the zone's clocks in the `days` after `from` that skip or repeat a time of the crontab. It asks
 * {@link nextCalendarTime}, which knows what the server does, and compares with the plain wall clock.
 */
export function clockChanges(
  sets: CrontabSets,
  zone: CalendarZone,
  { from, days }: { from: Date; days: number },
): ClockChange[] {
  const changes: ClockChange[] = [];
  for (let index = 0; index < days; index++) {
    const start = from.getTime() + index * DAY_MS;
    const shift = offsetAt(zone, start + DAY_MS) - offsetAt(zone, start);
    if (shift === 0) continue;
    const instant = changeBetween(zone, start, start + DAY_MS);
    // clocks that change at midnight touch two days
    const touched = new Set([instant - 1, instant].map((time) => dayOf(zone, time)));
    for (const day of touched) {
      const change = compare(sets, zone, { day, instant });
      if (change.skipped.length + change.again.length > 0) changes.push(change);
    }
  }
  return changes;
}

function compare(
  sets: CrontabSets,
  zone: CalendarZone,
  { day, instant }: { day: string; instant: number },
): ClockChange {
  const expected = timesOnPaper(sets, day);
  const actual = timesOnServer(sets, zone, { day, instant });
  const skipped = expected.filter((time) => !actual.includes(time));
  const again = [...actual];
  for (const time of expected) {
    const place = again.indexOf(time);
    if (place !== -1) again.splice(place, 1);
  }
  return { day, skipped, again };
}

/** What the crontab says of a day, whatever its clocks do. */
function timesOnPaper(sets: CrontabSets, day: string): string[] {
  const date = new Date(`${day}T00:00:00Z`);
  const comes =
    sets.monthOfYear.includes(date.getUTCMonth() + 1) &&
    sets.dayOfMonth.includes(date.getUTCDate()) &&
    sets.dayOfWeek.includes(date.getUTCDay());
  if (!comes) return [];
  const two = (number: number) => String(number).padStart(2, '0');
  return sets.hour.flatMap((hour) => sets.minute.map((minute) => `${two(hour)}:${two(minute)}`));
}

function timesOnServer(
  sets: CrontabSets,
  zone: CalendarZone,
  { day, instant }: { day: string; instant: number },
): string[] {
  const times: string[] = [];
  // a day is at most 27 hours away from its change
  let time = nextCalendarTime(sets, zone, instant - 27 * HOUR_MS);
  while (time !== undefined && time < instant + 27 * HOUR_MS) {
    if (dayOf(zone, time) === day) times.push(zone.wallClockAt(time).toISOString().slice(11, 16));
    time = nextCalendarTime(sets, zone, time);
  }
  return times;
}

/** The first millisecond of the new time. */
function changeBetween(zone: CalendarZone, before: number, after: number): number {
  let [low, high] = [before, after];
  const old = offsetAt(zone, low);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(zone, middle) === old) low = middle;
    else high = middle;
  }
  return high;
}

function offsetAt(zone: CalendarZone, instant: number): number {
  return zone.wallClockAt(instant).getTime() - instant;
}

function dayOf(zone: CalendarZone, instant: number): string {
  return zone.wallClockAt(instant).toISOString().slice(0, 10);
}
