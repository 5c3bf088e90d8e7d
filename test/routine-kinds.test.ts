import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  At,
  at,
  ConfigError,
  Crontab,
  CrontabError,
  crontab,
  Every,
  every,
  parseSchedule,
  Sedano,
  type Duration,
  type EveryOptions,
  type Routine,
} from 'sedano';
import { uniqueName } from './helpers/harness.ts';

const intervals: [Duration, EveryOptions, string, string][] = [
  ['15m', {}, 'every 900s', 'every 15 minutes'],
  ['1s', {}, 'every 1s', 'every second'],
  ['1m', {}, 'every 60s', 'every minute'],
  ['1h', {}, 'every 3600s', 'every hour'],
  ['7d', {}, 'every 604800s', 'every 7 days'],
  ['1.5d', {}, 'every 129600s', 'every 36 hours'],
  ['90s', {}, 'every 90s', 'every 90 seconds'],
  ['90s', { offset: '30s' }, 'every 90s offset 30s', 'every 90 seconds, 30 seconds past'],
  ['1h', { offset: '1m' }, 'every 3600s offset 60s', 'every hour, 1 minute past'],
  ['15m', { offset: '0s' }, 'every 900s', 'every 15 minutes'],
];

for (const [interval, options, text, words] of intervals) {
  test(`every('${interval}', ${JSON.stringify(options)}) is '${text}', ${words}`, () => {
    const schedule = every(interval, options);
    assert.equal(schedule.toString(), text);
    assert.equal(schedule.describe(), words);
    assert.equal(parseSchedule(text).toString(), text);
  });
}

const wrongIntervals: [unknown, unknown, string][] = [
  [30, {}, 'every: interval: expected a duration with a unit, got the number 30'],
  ['soon', {}, 'every: interval: expected a duration'],
  ['1.5s', {}, "every: interval: expected whole seconds, got '1.5s'"],
  ['0s', {}, "every: interval: expected at least '1s', got '0s'"],
  ['1m', { offset: '1m' }, "every: offset: expected less than the interval '1m', got '1m'"],
  ['1m', { offset: '500ms' }, "every: offset: expected whole seconds, got '500ms'"],
  ['1m', { phase: '1s' }, "every: unknown option 'phase'"],
];

for (const [interval, options, message] of wrongIntervals) {
  test(`every() refuses: ${message}`, () => {
    assert.throws(
      () => every(interval as Duration, options as EveryOptions),
      (error) => error instanceof ConfigError && error.message.startsWith(message),
    );
  });
}

test('an interval counts from 1970, whatever it is asked from', () => {
  const from = new Date('2027-01-01T12:07:30Z');
  assert.deepEqual(every('15m', { offset: '1m' }).next({ from, count: 3 }), [
    new Date('2027-01-01T12:16:00Z'),
    new Date('2027-01-01T12:31:00Z'),
    new Date('2027-01-01T12:46:00Z'),
  ]);
  const exact = new Date('2027-01-01T12:16:00Z');
  assert.deepEqual(every('15m', { offset: '1m' }).next({ from: exact }), [
    new Date('2027-01-01T12:31:00Z'),
  ]);
});

test('a moment runs once, at the whole second that is not before it', () => {
  const moment = at(new Date('2027-01-01T11:59:59.001Z'));
  assert.equal(moment.toString(), 'at 2027-01-01T12:00:00.000Z');
  assert.equal(moment.describe(), 'once, at 2027-01-01 12:00:00 UTC');
  const next = (from: string) => moment.next({ from: new Date(from), count: 3 });
  assert.deepEqual(next('2027-01-01T11:59:59.999Z'), [moment.date]);
  assert.deepEqual(next('2027-01-01T12:00:00Z'), []);
});

test('a moment that has passed may stay in the code', () => {
  assert.deepEqual(at(new Date('2001-01-01T00:00:00Z')).next(), []);
});

test('a moment cannot be changed', () => {
  const moment = at(new Date('2027-01-01T00:00:00Z'));
  moment.date.setFullYear(2030);
  assert.equal(moment.toString(), 'at 2027-01-01T00:00:00.000Z');
});

for (const [what, date, message] of [
  ['an invalid Date', new Date('never'), 'at: expected a valid Date'],
  ['a text', '2027-01-01', "at: expected a valid Date, got '2027-01-01'"],
  ['the year 2101', new Date('2101-01-01T00:00:00Z'), 'at: expected a date up to the year 2100'],
] as const) {
  test(`at() refuses ${what}`, () => {
    assert.throws(
      () => at(date as Date),
      (error) => error instanceof ConfigError && error.message.startsWith(message),
    );
  });
}

for (const schedule of [every('1m'), at(new Date('2027-01-01T00:00:00Z'))]) {
  test(`next() of '${schedule.toString()}' refuses wrong options as a crontab does`, () => {
    for (const options of [{ count: 0 }, { from: new Date(NaN) }, { timezone: 'Local' }]) {
      assert.throws(() => schedule.next(options), ConfigError);
    }
  });
}

const texts: [string, string, typeof Crontab | typeof Every | typeof At][] = [
  ['0 12 * * mon-fri', '0 12 * * mon-fri', Crontab],
  ['  */15 * * * *  ', '*/15 * * * *', Crontab],
  ['every 15m', 'every 900s', Every],
  ['Every 15m offset 1m', 'every 900s offset 60s', Every],
  ['at 2027-01-01T12:00:00Z', 'at 2027-01-01T12:00:00.000Z', At],
  ['at 2027-01-01 12:00 UTC', 'at 2027-01-01T12:00:00.000Z', At],
  ['at 2027-01-01 13:00:00 +01:00', 'at 2027-01-01T12:00:00.000Z', At],
];

for (const [text, written, kind] of texts) {
  test(`parseSchedule('${text}') is '${written}'`, () => {
    const schedule = parseSchedule(text);
    assert.ok(schedule instanceof kind);
    assert.equal(schedule.toString(), written);
  });
}

const wrongTexts: [string, RegExp][] = [
  ['', /expected five fields/],
  ['@daily', /expected five fields/],
  ['every', /interval: expected a duration/],
  ['every 15m past 1m', /expected 'every 15m' or 'every 15m offset 1m'/],
  ['every 15m offset', /offset: expected a duration/],
  ['every 15m offset 1m 2m', /expected 'every 15m' or/],
  // whose wall clock would it be?
  ['at 2027-01-01 12:00', /expected a moment with its zone/],
  ['at noon', /expected a moment with its zone/],
  ['at 2027-02-30T12:00Z', /expected a day that exists, got '2027-02-30'/],
  ['at 2027-01-01T25:00Z', /expected a valid Date/],
  ['solar sunrise 45 9', /a solar event: Temporal's schedules know clocks and calendars/],
];

for (const [text, message] of wrongTexts) {
  test(`parseSchedule('${text}') is refused`, () => {
    assert.throws(
      () => parseSchedule(text),
      (error) =>
        (error instanceof ConfigError || error instanceof CrontabError) &&
        message.test(error.message),
    );
  });
}

function accept(routine: Partial<Record<keyof Routine, unknown>>): void {
  const app = new Sedano(uniqueName('kinds'));
  app.routines({ job: { task: 'work', schedule: every('1h'), ...routine } as Routine });
}

const start = new Date('2027-01-01T00:00:00Z');
const wrongRoutines: [string, Partial<Record<keyof Routine, unknown>>, RegExp][] = [
  ['a solar event', { schedule: { event: 'sunset', latitude: 45, longitude: 9 } }, /a solar event/],
  ['a text as schedule', { schedule: '0 12 * * *' }, /expected what crontab.* got '0 12/],
  ['seconds as schedule', { schedule: 30 }, /expected what crontab.* got 30/],
  ['an unknown overlap', { overlap: 'SKIP' }, /overlap: expected one of skip, bufferOne/],
  ['an unknown missed', { missed: 'none' }, /missed: expected one of latest, skip, all/],
  ["overlap 'skip' beside missed 'all'", { overlap: 'skip', missed: 'all' }, /beside missed 'all'/],
  ["overlap 'bufferOne' beside 'all'", { overlap: 'bufferOne', missed: 'all' }, /got 'bufferOne'/],
  ["overlap 'allowAll' alone", { overlap: 'allowAll' }, /beside missed 'latest' \(the default\)/],
  ["overlap 'bufferAll' beside 'latest'", { overlap: 'bufferAll', missed: 'latest' }, /'latest'/],
  ["overlap 'bufferOne' beside 'latest'", { overlap: 'bufferOne', missed: 'latest' }, /'latest'/],
  ['a text as startAt', { startAt: '2027-01-01' }, /startAt: expected a valid Date/],
  ['an invalid endAt', { endAt: new Date(NaN) }, /endAt: expected a valid Date/],
  ['endAt at startAt', { startAt: start, endAt: start }, /endAt: expected a moment after startAt/],
  ['a number as jitter', { jitter: 5 }, /jitter: expected a duration with a unit/],
  ['a number as expires', { expires: 5 }, /expires: expected a duration with a unit/],
  ['expires of no time', { expires: '0s' }, /expires: expected at least '1s'/],
  ['the zone Local', { timezone: 'Local' }, /timezone: expected a time zone/],
  ['an unknown zone', { timezone: 'Europe/Roma' }, /timezone: expected a time zone/],
];

for (const [what, routine, message] of wrongRoutines) {
  test(`a routine with ${what} is refused by its name`, () => {
    assert.throws(
      () => accept(routine),
      (error) =>
        error instanceof ConfigError &&
        error.message.startsWith("routine 'job'") &&
        message.test(error.message),
    );
  });
}

test('a routine may say all that goes together', () => {
  accept({ schedule: crontab({ minute: 0 }), timezone: 'Europe/Rome', missed: 'skip' });
  accept({ overlap: 'bufferAll', missed: 'skip', jitter: '5m', expires: '1h' });
  accept({ missed: 'all' });
  accept({ missed: 'all', overlap: 'allowAll' });
  accept({ overlap: 'cancelOther' });
  accept({ schedule: at(start), startAt: start, endAt: new Date('2028-01-01T00:00:00Z') });
});
