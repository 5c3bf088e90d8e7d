import { crontab, type Crontab } from '../crontab/crontab.ts';
import type { Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';
import { At } from './at.ts';
import { Every } from './every.ts';

/** When a routine runs. */
export type RoutineSchedule = Crontab | Every | At;

/**
 * Reads a schedule: what `toString()` of one writes (`0 12 * * *`, `every 900s offset 60s`, `at 2027-01-01T12:00:00.000Z`),
 * and what people type on a command line: any duration (`every 15m`), a blank instead of the date's `T`, `UTC` instead of `Z`.
 *
 * @throws {CrontabError} when a crontab line is wrong.
 * @throws {ConfigError} when another is, and for solar events.
 */
export function parseSchedule(text: string): RoutineSchedule {
  const trimmed = text.trim();
  const [word = '', ...rest] = trimmed.split(/\s+/);
  switch (word.toLowerCase()) {
    case 'every':
      return parseEvery(rest, trimmed);
    case 'at':
      return parseAt(rest.join(' '), trimmed);
    default:
  }
  if (/^solar\b/i.test(word)) throw solarRefusal(`schedule '${trimmed}'`);
  return crontab.parse(trimmed);
}

/** Celery's `solar(event, lat, lon)` has no counterpart here. */
export function solarRefusal(where: string): ConfigError {
  return new ConfigError(
    `${where}: expected a crontab, every() or at(), got a solar event: Temporal's schedules know clocks and calendars, not where the sun stands`,
    { hint: 'Compute the times yourself, and give each its at(date); or choose a fixed hour.' },
  );
}

function parseEvery(words: string[], text: string): Every {
  const where = `schedule '${text}'`;
  const [interval = '', keyword, offset, tooMuch] = words;
  if ((keyword !== undefined && keyword !== 'offset') || tooMuch !== undefined) {
    throw new ConfigError(`${where}: expected 'every 15m' or 'every 15m offset 1m'`);
  }
  const options = keyword === undefined ? {} : { offset: (offset ?? '') as Duration };
  return new Every(interval as Duration, options, where);
}

function parseAt(moment: string, text: string): At {
  const where = `schedule '${text}'`;
  const iso = moment
    .replace(/^(\d{4}-\d\d-\d\d) /, '$1T')
    .replace(/\s*UTC$/, 'Z')
    .replace(/ (?=[+-])/, '');
  // without a zone it would mean that of the machine which reads it
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(iso)) {
    throw new ConfigError(
      `${where}: expected a moment with its zone, such as '2027-01-01T12:00:00Z' or '2027-01-01 13:00+01:00', got '${moment}'`,
    );
  }
  // Date takes 30 February for 2 March
  const day = iso.slice(0, 10);
  if (new Date(`${day}T00:00Z`).toJSON()?.slice(0, 10) !== day) {
    throw new ConfigError(`${where}: expected a day that exists, got '${day}'`);
  }
  return new At(new Date(iso), where);
}
