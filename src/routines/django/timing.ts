import { Crontab, type CrontabField } from '../../crontab/crontab.ts';
import { assertTimezone } from '../../crontab/zone.ts';
import { ConfigError } from '../../errors.ts';
import { At } from '../at.ts';
import type { Definition } from '../definition.ts';
import { Every } from '../every.ts';
import { solarRefusal } from '../schedule-text.ts';
import type { CrontabRow, IntervalRow, PeriodicTask } from './periodic-task.ts';

/** When a row runs, as `Definition` has it. */
export interface Timing extends Pick<Definition, 'schedule' | 'timezone' | 'startAt'> {
  /** Its time, where it has one only. */
  onceMs?: number;
  notes: string[];
}

/** The last moment that Temporal's timestamps hold. */
export const LAST_TIME_MS = Date.UTC(9999, 11, 31);

// a few beyond it overflow the server's count of nanoseconds
const MAX_INTERVAL_S = 100 * 366 * 86_400;

const PERIODS_S: ReadonlyMap<string, number> = new Map([
  ['days', 86_400],
  ['hours', 3_600],
  ['minutes', 60],
  ['seconds', 1],
]);

/** @throws {SedanoError} when it has no schedule here, or no time to come; the message is the reason. */
export function readTiming(row: PeriodicTask, now: Date): Timing {
  const { crontab, interval, clockedMs, solar } = row;
  const kinds = Object.entries({ crontab, interval, clocked: clockedMs, solar })
    .filter(([, schedule]) => schedule !== null)
    .map(([kind]) => kind);
  if (kinds.length > 1) {
    throw new ConfigError(
      `expected one of crontab, interval, clocked and solar, got ${kinds.join(' and ')}`,
    );
  }
  if (row.oneOff && row.totalRunCount > 0) {
    throw new ConfigError('one_off: it has run, and beat does not run it again');
  }
  if (crontab) return crontabTiming(row, crontab, now);
  if (interval) return intervalTiming(row, interval, now);
  if (clockedMs !== null) return clockedTiming(row, clockedMs, now);
  if (solar !== null) throw solarRefusal(`solar '${solar}'`);
  throw new ConfigError('expected one of crontab, interval, clocked and solar, got none');
}

/** For people; PostgreSQL knows times that have no date. */
export function shownTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

function crontabTiming(row: PeriodicTask, stored: CrontabRow, now: Date): Timing {
  const { timezone } = stored;
  const { crontab, notes } = readCrontab(stored);
  assertTimezone(timezone, 'timezone');
  const startAt = readStart(row);
  const schedule = crontab.toString();
  if (!row.oneOff) {
    if (isAfter(startAt, now)) notes.push(FIRST_MATCH);
    return { schedule, timezone, startAt, notes };
  }
  assertEnabledOnce(row);
  notes.push(`one_off: it runs once, at the next time of '${schedule}' in ${timezone}`);
  if (isAfter(startAt, now)) notes.push(FIRST_MATCH);
  // the times come strictly after `from`
  const from = isAfter(startAt, now) ? new Date(Date.parse(startAt) - 1) : now;
  const [next] = crontab.next({ from, timezone });
  if (!next) throw new ConfigError(`one_off: '${schedule}' in ${timezone} has no next time`);
  return runOnce(next, notes);
}

const FIRST_MATCH = 'it begins with its first time from start_time on; beat runs it at start_time';

function readCrontab(stored: CrontabRow): { crontab: Crontab; notes: string[] } {
  const notes: string[] = [];
  const read = (column: string, text: string): CrontabField => {
    const numbers = readList(text);
    if (numbers === undefined) return text;
    notes.push(`${column} '${text}' is read as a list of numbers, which beat cannot read back`);
    return numbers;
  };
  const crontab = new Crontab({
    minute: read('minute', stored.minute),
    hour: read('hour', stored.hour),
    dayOfWeek: read('day_of_week', stored.dayOfWeek),
    dayOfMonth: read('day_of_month', stored.dayOfMonth),
    monthOfYear: read('month_of_year', stored.monthOfYear),
  });
  return { crontab, notes };
}

/** Of a list, tuple or set of numbers as Python shows it; undefined of any other text. */
function readList(text: string): number[] | undefined {
  const members = /^\s*[[({]\s*(\d+(?:\s*,\s*\d+)*)\s*,?\s*[\])}]\s*$/.exec(text)?.[1];
  return members?.split(',').map(Number);
}

function intervalTiming(row: PeriodicTask, { every, period }: IntervalRow, now: Date): Timing {
  const seconds =
    period === 'microseconds' ? every / 1_000_000 : every * (PERIODS_S.get(period) ?? Number.NaN);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_INTERVAL_S) {
    throw new ConfigError(
      `interval: expected whole seconds, from 1 s to 100 years, got ${every} ${period}`,
    );
  }
  const startAt = readStart(row);
  if (row.oneOff) {
    assertEnabledOnce(row);
    if (isAfter(startAt, now)) return runOnce(new Date(startAt), []);
    throw new ConfigError(
      'one_off with an interval: beat counts from its own start, so the database does not tell the time; use a clocked one',
    );
  }
  const schedule = new Every(`${seconds}s`).toString();
  const notes = [`it runs at multiples of ${seconds} s since 1970; beat counts from the last run`];
  if (isAfter(startAt, now)) notes.push(FIRST_MATCH);
  return { schedule, timezone: 'UTC', startAt, notes };
}

function clockedTiming(row: PeriodicTask, clockedMs: number, now: Date): Timing {
  if (!row.oneOff) throw new ConfigError('clocked: expected one_off beside it, as Django does');
  const startAt = readStart(row);
  // beat looks at start_time first
  const startMs = startAt === null ? clockedMs : Date.parse(startAt);
  const timeMs = Math.max(clockedMs, startMs);
  if (timeMs <= now.getTime()) throw new ConfigError(`clocked: ${shownTime(timeMs)} has passed`);
  if (timeMs > LAST_TIME_MS) throw new ConfigError(`clocked: ${shownTime(timeMs)} never comes`);
  const notes = [
    ...(startMs > clockedMs ? ['it runs at start_time, which is after the clocked time'] : []),
    ...(row.enabled ? [] : ['disabled: it runs only if it is resumed before its time']),
  ];
  return runOnce(new Date(timeMs), notes);
}

/** Beat disables a row that has run once, and then forgets that it has. */
function assertEnabledOnce({ enabled }: PeriodicTask): void {
  if (enabled) return;
  throw new ConfigError('one_off and disabled, as beat leaves it after its run');
}

function runOnce(date: Date, notes: string[]): Timing {
  const moment = new At(date);
  const onceMs = moment.date.getTime();
  return { schedule: moment.toString(), timezone: 'UTC', startAt: null, onceMs, notes };
}

function isAfter(startAt: string | null, now: Date): startAt is string {
  return startAt !== null && Date.parse(startAt) > now.getTime();
}

/** @throws {ConfigError} when it never starts. */
function readStart({ startTimeMs }: PeriodicTask): string | null {
  // before 1970 is as good as none
  if (startTimeMs === null || startTimeMs < 0) return null;
  if (startTimeMs > LAST_TIME_MS) {
    throw new ConfigError(`start_time: ${shownTime(startTimeMs)} never comes`);
  }
  return new Date(startTimeMs).toISOString();
}
