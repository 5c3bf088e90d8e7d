import type { Client } from 'pg';
import { ConfigError, SedanoError } from '../../errors.ts';
import type { CrontabRow, PeriodicTask } from './periodic-task.ts';

const CONNECT_TIMEOUT_MS = 10_000; // 10s
const QUERY_TIMEOUT_MS = 60_000; // 1m

/** A row of `PERIODIC_TASKS`: every column is a text, whatever the process has told `pg` about types. */
export type TextRow = Record<string, string | null>;

// instants as seconds since 1970, which neither the session's zone nor its date style changes
export const PERIODIC_TASKS = `
  SELECT
    task.name::text, task.task::text, task.args::text, task.kwargs::text, task.headers::text,
    task.queue::text, task.exchange::text, task.routing_key::text, task.priority::text,
    extract(epoch FROM task.expires)::text AS expires, task.expire_seconds::text,
    extract(epoch FROM task.start_time)::text AS start_time,
    task.one_off::text, task.enabled::text, task.total_run_count::text, task.description::text,
    crontab.minute::text, crontab.hour::text, crontab.day_of_week::text,
    crontab.day_of_month::text, crontab.month_of_year::text, crontab.timezone::text,
    interval.every::text, interval.period::text,
    extract(epoch FROM clocked.clocked_time)::text AS clocked_time,
    solar.event::text
  FROM django_celery_beat_periodictask AS task
  LEFT JOIN django_celery_beat_crontabschedule AS crontab ON crontab.id = task.crontab_id
  LEFT JOIN django_celery_beat_intervalschedule AS interval ON interval.id = task.interval_id
  LEFT JOIN django_celery_beat_clockedschedule AS clocked ON clocked.id = task.clocked_id
  LEFT JOIN django_celery_beat_solarschedule AS solar ON solar.id = task.solar_id
  ORDER BY task.name COLLATE "C"
`;

/**
 * Reads the periodic tasks of django-celery-beat, by name, in a transaction that cannot write.
 *
 * @throws {ConfigError} when `url` is not one of PostgreSQL, or `pg` is not installed.
 * @throws {SedanoError} when the database cannot be reached or read; the text says where it was, without the password.
 */
export async function readPeriodicTasks(url: string): Promise<PeriodicTask[]> {
  const rows = await readRows(await openClient(url));
  return rows.map(toPeriodicTask);
}

async function readRows(client: Client): Promise<TextRow[]> {
  // the query that was running has the error already; without a listener it would end the process
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('BEGIN');
    await client.query('SET TRANSACTION READ ONLY');
    const { rows } = await client.query<TextRow>(PERIODIC_TASKS);
    await client.query('COMMIT');
    return rows;
  } catch (error) {
    throw readError(error, client);
  } finally {
    await client.end();
  }
}

async function openClient(url: string): Promise<Client> {
  // checked here because the driver's own error would carry the URL, and with it the password
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new ConfigError('--from-django: expected postgres://user:password@host:5432/name', {
      hint: 'Characters such as @ and / in a password are written %40 and %2F; PGPASSWORD and ~/.pgpass work too.',
    });
  }
  const { default: pg } = await loadDriver();
  try {
    return new pg.Client({
      connectionString: url,
      application_name: 'sedano routines import',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
    });
  } catch (error) {
    // no cause, which may hold the URL too
    throw new ConfigError(`--from-django: ${error instanceof Error ? error.message : 'refused'}`, {
      hint: 'Check what follows the ? of the URL: files are relative to the working directory.',
    });
  }
}

async function loadDriver() {
  try {
    return await import('pg');
  } catch (error) {
    throw new ConfigError('reading a PostgreSQL database needs pg, which cannot be loaded', {
      cause: error,
      hint: 'Install it: npm install pg',
    });
  }
}

// SQLSTATEs
const UNDEFINED_TABLE = '42P01';
const UNDEFINED_COLUMN = '42703';
const INSUFFICIENT_PRIVILEGE = '42501';

function readError(error: unknown, { host, port, database }: Client): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // a system call's message may be empty, where several addresses were tried
  const reason = /^E[A-Z_]+$/.test(code) ? `cannot be reached (${code})` : error.message;
  return new SedanoError(`PostgreSQL at ${host}:${port}, database '${database}': ${reason}`, {
    cause: error,
    hint: hintFor(code),
  });
}

function hintFor(code: string): string {
  switch (code) {
    case UNDEFINED_TABLE:
      return "Name the database of the Django project; tables in a schema of their own are found with ?options=-c%20search_path%3DNAME at the URL's end.";
    case UNDEFINED_COLUMN:
      return 'The tables are those of an old django-celery-beat: migrate them to version 2.0 or later.';
    case INSUFFICIENT_PRIVILEGE:
      return 'The account needs SELECT on the tables django_celery_beat_*.';
    default:
      return 'Check the URL, and that the server runs and lets this account in.';
  }
}

/** @throws {SedanoError} when a column is not what Django writes there. */
export function toPeriodicTask(row: TextRow): PeriodicTask {
  const text = (column: string) => row[column] ?? '';
  return {
    name: text('name'),
    task: text('task'),
    args: text('args'),
    kwargs: text('kwargs'),
    headers: text('headers'),
    // Django's forms store an empty text where nothing was entered
    queue: text('queue') || null,
    exchange: text('exchange') || null,
    routingKey: text('routing_key') || null,
    priority: toNumber(row, 'priority'),
    expiresMs: toMs(row, 'expires'),
    expireSeconds: toNumber(row, 'expire_seconds'),
    startTimeMs: toMs(row, 'start_time'),
    oneOff: row['one_off'] === 'true',
    enabled: row['enabled'] === 'true',
    totalRunCount: toNumber(row, 'total_run_count') ?? 0,
    description: text('description'),
    crontab: toCrontab(row),
    interval: toInterval(row),
    clockedMs: toMs(row, 'clocked_time'),
    solar: row['event'] ?? null,
  };
}

function toCrontab(row: TextRow): CrontabRow | null {
  const { minute, hour, timezone } = row;
  const days = [row['day_of_week'], row['day_of_month'], row['month_of_year']] as const;
  const [dayOfWeek, dayOfMonth, monthOfYear] = days;
  if (minute == null || hour == null || timezone == null) return null;
  if (dayOfWeek == null || dayOfMonth == null || monthOfYear == null) return null;
  return { minute, hour, dayOfWeek, dayOfMonth, monthOfYear, timezone };
}

function toInterval(row: TextRow): PeriodicTask['interval'] {
  const every = toNumber(row, 'every');
  return every === null ? null : { every, period: row['period'] ?? '' };
}

function toMs(row: TextRow, column: string): number | null {
  const seconds = toNumber(row, column);
  return seconds === null ? null : Math.round(seconds * 1_000);
}

function toNumber(row: TextRow, column: string): number | null {
  const text = row[column];
  if (text == null) return null;
  const number = Number(text);
  if (!Number.isNaN(number)) return number;
  throw new SedanoError(
    `periodic task '${row['name']}': ${column}: expected a number, got '${text}'`,
    { hint: 'Its table is not the one that django-celery-beat makes.' },
  );
}
