import type { Sedano } from '../app.ts';
import { Crontab } from '../crontab/crontab.ts';
import { FIELD_RULES, type CrontabFieldName } from '../crontab/field.ts';
import { CalendarZone } from '../crontab/zone.ts';
import { getTaskLogger } from '../logger.ts';
import { clockChanges, type ClockChange } from './clock-changes.ts';
import { definitionOf, type Definition } from './definition.ts';
import { isOther } from './spec.ts';
import { parseSchedule } from './schedule-text.ts';

/** Something about a routine that is allowed and may not be meant. */
export interface LintFinding {
  rule: 'skipped-time' | 'repeated-time' | 'irregular-step' | 'both-days';
  message: string;
}

const DAYS_AHEAD = 366;
const MOST_TIMES = 3;

/**
 * What may not be meant in a routine, of the next year. Pure but for the zone's data.
 *
 * @param from where that year begins. @default now
 */
export function lintRoutine(
  name: string,
  { schedule, timezone }: Pick<Definition, 'schedule' | 'timezone'>,
  from = new Date(),
): LintFinding[] {
  // an interval has no wall clock, and of what another tool has made we do not know what was meant
  const parsed = isOther(schedule) ? undefined : parseSchedule(schedule);
  if (!(parsed instanceof Crontab)) return [];
  const where = `routine '${name}'`;
  return [
    ...lintClock(where, parsed, { timezone, from }),
    ...lintSteps(where, parsed),
    ...lintDays(where, parsed),
  ];
}

/** Logs what may not be meant in the app's table, one warning for each finding. */
export function logLint(app: Sedano): void {
  for (const [name, routine] of app.routineTable) {
    for (const { rule, message } of lintRoutine(name, definitionOf(app, name, routine))) {
      getTaskLogger('sedano').warn({ routine: name, rule }, message);
    }
  }
}

function lintClock(
  where: string,
  { sets }: Crontab,
  { timezone, from }: { timezone: string; from: Date },
): LintFinding[] {
  // what runs in every hour loses nothing where one is skipped
  if (sets.hour.length === 24) return [];
  const zone = new CalendarZone(timezone, `${where}: timezone`);
  const changes = clockChanges(sets, zone, { from, days: DAYS_AHEAD });
  const skipped = changes.find((change) => change.skipped.length > 0);
  const again = changes.find((change) => change.again.length > 0 && change.skipped.length === 0);
  return [
    ...(skipped ? [skippedTime(where, skipped, timezone)] : []),
    ...(again ? [repeatedTime(where, again, timezone)] : []),
  ];
}

function skippedTime(where: string, change: ClockChange, timezone: string): LintFinding {
  const { day, skipped, again } = change;
  const runs = again.length > 0 ? `runs at ${listed(again)} instead of` : 'does not run at';
  return {
    rule: 'skipped-time',
    message: `${where}: ${runs} ${listed(skipped)} on ${day}, when the clocks of ${timezone} change`,
  };
}

function repeatedTime(where: string, { day, again }: ClockChange, timezone: string): LintFinding {
  return {
    rule: 'repeated-time',
    message: `${where}: runs once more on ${day}, at ${listed(again)}, when the clocks of ${timezone} change`,
  };
}

function listed(times: readonly string[]): string {
  const more = times.length - MOST_TIMES;
  return `${times.slice(0, MOST_TIMES).join(', ')}${more > 0 ? ` and ${more} more times` : ''}`;
}

// how many numbers a field has before it begins anew; days of a month have no fixed number
const CIRCLES: Record<CrontabFieldName, { size: number; unit: string; next: string }> = {
  minute: { size: 60, unit: 'minutes', next: 'hour' },
  hour: { size: 24, unit: 'hours', next: 'day' },
  dayOfMonth: { size: Infinity, unit: 'days', next: 'month' },
  monthOfYear: { size: 12, unit: 'months', next: 'year' },
  dayOfWeek: { size: 7, unit: 'days', next: 'week' },
};

function lintSteps(where: string, { fields }: Crontab): LintFinding[] {
  return FIELD_RULES.flatMap(({ name }) => {
    const { size, unit, next } = CIRCLES[name];
    const [text, digits] = /(?<![^,])\*\/(\d+)/.exec(fields[name]) ?? [];
    const step = Number(digits ?? 1);
    if (step === 1 || size % step === 0) return [];
    const message = `${where}: ${name} '${text}' is not every ${step} ${unit}: it begins anew each ${next}`;
    return [{ rule: 'irregular-step' as const, message }];
  });
}

function lintDays(where: string, { sets, fields }: Crontab): LintFinding[] {
  if (sets.dayOfMonth.length === 31 || sets.dayOfWeek.length === 7) return [];
  return [
    {
      rule: 'both-days',
      message: `${where}: runs where dayOfMonth '${fields.dayOfMonth}' and dayOfWeek '${fields.dayOfWeek}' both match, as in Celery; Unix cron would take either`,
    },
  ];
}
