import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { at, crontab, every, Sedano, type CrontabOptions, type RoutineSchedule } from 'sedano';
import { definitionOf, toSchedule } from '../src/routines/definition.ts';
import { uniqueName } from './helpers/harness.ts';

const CONCURRENCY = 20;

interface Case {
  title: string;
  schedule: RoutineSchedule;
  timezone: string;
  /** Where its times begin. */
  startAt: Date;
}

/** The next times of each case as the server has them, by its place. */
async function serverTimes(cases: readonly Case[]): Promise<Date[][]> {
  await using app = new Sedano(uniqueName('times'));
  const times: Date[][] = [];
  const rest = [...cases.entries()];
  const work = async () => {
    for (let next = rest.pop(); next; next = rest.pop()) {
      times[next[0]] = await timesOf(app, `case-${next[0]}`, next[1]);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return times;
}

async function timesOf(app: Sedano, name: string, one: Case): Promise<Date[]> {
  const { schedule, timezone, startAt } = one;
  // paused: it shows its times and starts nothing
  const row = { task: 'none', schedule, timezone, startAt, enabled: false };
  const code = definitionOf(app, name, row);
  const memo = { code, release: null, edits: [] };
  const { schedule: client } = app.client.temporal;
  const handle = await client.create(toSchedule(app, name, code, { memo }));
  try {
    return (await handle.describe()).info.nextActionTimes;
  } finally {
    await handle.delete();
  }
}

async function assertServerAgrees(cases: readonly Case[]): Promise<void> {
  const times = await serverTimes(cases);
  for (const [index, { title, schedule, timezone, startAt }] of cases.entries()) {
    const server = times[index] ?? [];
    // its start is included, and what we are asked from is not
    const from = new Date(startAt.getTime() - 1);
    const ours = schedule.next({ from, count: Math.max(1, server.length), timezone });
    // its calendars end with the year 2100
    const last = ours.filter((time) => time.getUTCFullYear() <= 2100);
    assert.deepEqual(last, server, `${title}: '${schedule.toString()}' in ${timezone}`);
  }
}

/** What Python has written: a crontab's fields in Sedano's spelling. */
interface SampleCase {
  id: string;
  valid: boolean;
  kwargs: CrontabOptions;
  timezone: string;
}

test('next() of every sample crontab is what the server will do', async () => {
  const file = new URL('./fixtures/crontab-sample.json', import.meta.url);
  const { cases } = JSON.parse(await readFile(file, 'utf8')) as { cases: SampleCase[] };
  const valid = cases.filter((one) => one.valid).flatMap((one) => readSample(one));
  assert.ok(valid.length >= 40, `${valid.length} cases`);
  await assertServerAgrees(valid);
});

function readSample({ id, kwargs, timezone }: SampleCase): Case[] {
  const schedule = tryCrontab(kwargs);
  if (!schedule) return [];
  return [{ title: id, schedule, timezone, startAt: new Date('2037-01-15T10:07:00Z') }];
}

/** Undefined for what Celery lets slip and we refuse. */
function tryCrontab(kwargs: CrontabOptions) {
  try {
    return crontab(kwargs);
  } catch {
    return undefined;
  }
}

const changes = [
  { timezone: 'Europe/Rome', days: ['2037-03-28', '2037-10-24'] },
  { timezone: 'Europe/London', days: ['2037-03-28', '2037-10-24'] },
  { timezone: 'America/New_York', days: ['2037-03-07', '2037-10-31'] },
  { timezone: 'Australia/Lord_Howe', days: ['2037-04-03', '2037-10-02'] },
];

const lines = [
  '30 0 * * *',
  '30 1 * * *',
  '30 2 * * *',
  '15 2 * * *',
  '0 3 * * *',
  '0 1 * * sun',
  '*/15 * * * *',
  '*/15 1-2 * * *',
  '0 */2 * * *',
  '59 23 * * *',
];

for (const { timezone, days } of changes) {
  test(`next() across the changes of the clocks in ${timezone} is what the server will do`, async () => {
    const cases = days.flatMap((day) =>
      // the second begins so late that quarters reach the change within ten times
      [`${day}T12:00:00Z`, ...quartersBefore(day, timezone)].flatMap((start) =>
        lines.map((line) => ({
          title: `from ${start}`,
          schedule: crontab.parse(line),
          timezone,
          startAt: new Date(start),
        })),
      ),
    );
    await assertServerAgrees(cases);
  });
}

/** An hour before the zone's clocks change, of which `day` is the eve. */
function quartersBefore(day: string, timeZone: string): string[] {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const offset = (ms: number) => format.format(ms).split('GMT')[1];
  const start = Date.parse(`${day}T00:00:00Z`);
  const hours = Array.from({ length: 72 }, (_, hour) => start + hour * 3_600_000);
  const change = hours.find((ms) => offset(ms) !== offset(ms - 3_600_000));
  assert.ok(change, `the clocks of ${timeZone} change after ${day}`);
  return [-2, -1, 0].map((hour) => new Date(change + hour * 3_600_000).toISOString());
}

test('next() of intervals and moments is what the server will do', async () => {
  const startAt = new Date('2037-01-15T10:07:00Z');
  const schedules = [
    every('1s'),
    every('90s'),
    every('90s', { offset: '30s' }),
    every('15m'),
    every('1h', { offset: '59m' }),
    every('7d', { offset: '1d' }),
    at(new Date('2037-01-15T10:07:00Z')),
    at(new Date('2040-02-29T23:59:59Z')),
  ];
  const zones = ['UTC', 'Europe/Rome'];
  await assertServerAgrees(
    schedules.flatMap((schedule) =>
      zones.map((timezone) => ({ title: 'one', schedule, timezone, startAt })),
    ),
  );
});

test('a moment that has passed has no next time here or there', async () => {
  const schedule = at(new Date('2037-01-15T10:07:00Z'));
  const startAt = new Date('2037-01-15T10:07:01Z');
  await assertServerAgrees([{ title: 'past', schedule, timezone: 'UTC', startAt }]);
});
