import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Crontab, crontab, type CrontabOptions, type NextOptions } from '../src/crontab/crontab.ts';
import { ConfigError, CrontabError } from '../src/errors.ts';

interface TruthCase {
  id: string;
  kwargs?: CrontabOptions;
  entry?: { schedule: CrontabOptions };
  valid?: boolean;
  tolerated_junk?: boolean;
  expanded?: Record<string, number[]>;
  from?: string;
  timezone?: string;
  next?: string[];
}

function readCases(file: string): TruthCase[] {
  const text = readFileSync(new URL(`./fixtures/${file}`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { cases: TruthCase[] }).cases;
}

const sample = readCases('crontab-sample.json');
const beat = readCases('beat-cases.json');

test('the fixtures hold 60 sample cases and 26 entries of beat', () => {
  assert.deepEqual([sample.length, beat.length], [60, 26]);
});

for (const truth of [...sample, ...beat]) {
  const options = truth.kwargs ?? truth.entry?.schedule ?? {};
  const title = `${truth.id} ${JSON.stringify(options)}`;
  if (truth.valid === false || truth.tolerated_junk) {
    test(`${title} is refused`, () => {
      assert.throws(() => crontab(options), CrontabError);
    });
    continue;
  }
  test(`${title} expands and fires as in Celery`, () => {
    const value = crontab(options);
    assert.deepEqual({ ...value.sets }, truth.expanded);
    const from = new Date(truth.from ?? '');
    const times = value.next({ from, count: 6, timezone: truth.timezone });
    assert.deepEqual(
      times.map((time) => time.toISOString()),
      truth.next,
    );
  });
  test(`${title} survives its own five-field line`, () => {
    assert.deepEqual(crontab.parse(crontab(options).toString()).sets, crontab(options).sets);
  });
}

test('without fields it is every minute', () => {
  assert.equal(crontab().toString(), '* * * * *');
  assert.deepEqual(crontab({ minute: undefined }).sets, crontab().sets);
});

test('a set, an iterator and a typed array are lists', () => {
  function* hours() {
    yield 18;
    yield 6;
  }
  const value = crontab({
    minute: new Set([30, 0]),
    hour: hours(),
    dayOfWeek: Uint8Array.of(7, 1),
  });
  assert.deepEqual(value.fields, {
    minute: '0,30',
    hour: '6,18',
    dayOfMonth: '*',
    monthOfYear: '*',
    dayOfWeek: '0,1',
  });
});

test('fields keep a text as it was given, and the line drops its blanks', () => {
  const value = crontab({ minute: ' 1, 2 ', hour: '07', dayOfWeek: 'Mon-FRI' });
  assert.equal(value.fields.minute, '1, 2');
  assert.equal(value.fields.dayOfWeek, 'Mon-FRI');
  assert.equal(value.toString(), '1,2 07 * * Mon-FRI');
});

test('parse reads minute, hour, day of the month, month and weekday, whatever blanks part them', () => {
  const value = crontab.parse('  0\t12  1,15 jan-mar  fri-7 ');
  assert.ok(value instanceof Crontab);
  assert.deepEqual(
    { ...value.fields },
    {
      minute: '0',
      hour: '12',
      dayOfMonth: '1,15',
      monthOfYear: 'jan-mar',
      dayOfWeek: 'fri-7',
    },
  );
  assert.deepEqual(value.sets.dayOfWeek, [0, 5, 6]);
});

test('the value is immutable', () => {
  const value = crontab({ minute: 5 });
  for (const part of [value, value.fields, value.sets, value.sets.minute]) {
    assert.ok(Object.isFrozen(part));
  }
});

const weekdays: [string, number[]][] = [
  ['0-7', [0, 1, 2, 3, 4, 5, 6]],
  ['1-7', [0, 1, 2, 3, 4, 5, 6]],
  ['sat-7', [0, 6]],
  ['7-2', [0, 1, 2]],
  ['7-7', [0]],
  ['1-7/2', [0, 1, 3, 5]],
  ['0-7/2', [0, 2, 4, 6]],
  ['fri-mon/2', [0, 5]],
  ['*/2', [0, 2, 4, 6]],
];
for (const [text, numbers] of weekdays) {
  test(`dayOfWeek '${text}' is ${numbers.join(', ')}`, () => {
    assert.deepEqual(crontab({ dayOfWeek: text }).sets.dayOfWeek, numbers);
  });
}

const descriptions: [string, string][] = [
  ['* * * * *', 'every minute'],
  ['*/15 * * * *', 'every 15 minutes'],
  ['0 * * * *', 'every hour'],
  ['30 * * * *', 'at minute 30 of every hour'],
  ['50-10/5 * * * *', 'at minutes 0, 5, 10, 50 and 55 of every hour'],
  ['0-10 * * * *', 'at minutes 0 to 10 of every hour'],
  ['0 */4 * * *', 'every 4 hours'],
  ['0 */4 * * 1-5', 'every 4 hours from Monday to Friday'],
  ['0 12 * * *', 'at 12:00 every day'],
  ['0 6,18 * * *', 'at 06:00 and 18:00 every day'],
  ['15 9-12 * * *', 'every hour between 09:15 and 12:15 every day'],
  ['0,30 22-2 * * *', 'every 30 minutes between 22:00 and 02:30 every day'],
  ['* 3 * * *', 'every minute between 03:00 and 03:59 every day'],
  ['*/20 1,5,9 * * *', 'every 20 minutes of hours 1, 5 and 9 every day'],
  ['5,35 0,6,12,18 * * *', 'at minutes 5 and 35 of hours 0, 6, 12 and 18 every day'],
  ['0 1 * * 0', 'at 01:00 on Sundays'],
  ['0 1 * * 1,3', 'at 01:00 on Mondays and Wednesdays'],
  ['0 1 * * fri-mon', 'at 01:00 from Friday to Monday'],
  ['0 0 1 * *', 'at 00:00 on day 1 of every month'],
  ['0 0 1,15 7 *', 'at 00:00 on days 1 and 15 of July'],
  ['0 0 1 nov-feb *', 'at 00:00 on day 1 of every month from November to February'],
  ['13 13 13 * fri', 'at 13:13 on day 13 of every month, but only on Fridays'],
  [
    '0 9 1-7 */3 1',
    'at 09:00 on days 1 to 7 of January, April, July and October, but only on Mondays',
  ],
  ['0 12 * 7 *', 'at 12:00 every day in July'],
  ['*/15 * * jul,aug *', 'every 15 minutes in July and August'],
  ['0 0 * 11-2 1', 'at 00:00 on Mondays from November to February'],
];
for (const [line, words] of descriptions) {
  test(`'${line}' reads ${words}`, () => {
    assert.equal(crontab.parse(line).describe(), words);
  });
}

const number60 = "a number from 0 to 59, a range or '*'";
const weekday = "a number from 0 to 7 or a name such as 'sun' or 'Sunday', a range or '*'";
const month = "a number from 1 to 12 or a name such as 'jan' or 'January', a range or '*'";
const order = 'minute, hour, dayOfMonth, monthOfYear, dayOfWeek';

// JavaScript callers pass anything
const refused: [unknown, string][] = [
  [{ minute: '75' }, "minute '75': expected a number from 0 to 59, got '75' at position 1"],
  [{ minute: '1, 75' }, "minute '1, 75': expected a number from 0 to 59, got '75' at position 4"],
  [{ hour: '8-25' }, "hour '8-25': expected a number from 0 to 23, got '25' at position 3"],
  [{ dayOfMonth: '0' }, "dayOfMonth '0': expected a number from 1 to 31, got '0' at position 1"],
  [{ minute: '' }, `minute '': expected ${number60}, got the end at position 1`],
  [{ minute: '1,' }, `minute '1,': expected ${number60}, got the end at position 3`],
  [{ minute: '1,,2' }, `minute '1,,2': expected ${number60}, got ',' at position 3`],
  [{ minute: '-5' }, `minute '-5': expected ${number60}, got '-5' at position 1`],
  [{ minute: '+5' }, `minute '+5': expected ${number60}, got '+5' at position 1`],
  [{ minute: '1_0' }, `minute '1_0': expected ${number60}, got '1_0' at position 1`],
  [{ minute: 'foo' }, `minute 'foo': expected ${number60}, got 'foo' at position 1`],
  [{ minute: 'mon' }, `minute 'mon': expected ${number60}, got 'mon' at position 1`],
  [{ minute: '1-' }, "minute '1-': expected a number from 0 to 59, got the end at position 3"],
  [{ minute: '1-5-9' }, "minute '1-5-9': expected ',' or the end, got '-9' at position 4"],
  [{ minute: '*/5/5' }, "minute '*/5/5': expected ',' or the end, got '/5' at position 4"],
  [
    { minute: '*/0' },
    "minute '*/0': expected a step, a whole number from 1, got '0' at position 3",
  ],
  [
    { minute: '1-3/' },
    "minute '1-3/': expected a step, a whole number from 1, got the end at position 5",
  ],
  [
    { minute: '*/x' },
    "minute '*/x': expected a step, a whole number from 1, got 'x' at position 3",
  ],
  [
    { minute: '5/15' },
    "minute '5/15': expected ',' or the end (a step follows '*' or a range, as in '5-59/15'), got '/15' at position 2",
  ],
  [{ minute: '*/5 ' }, "minute '*/5 ': expected ',' or the end, got ' ' at position 4"],
  [{ minute: '1, 2-4' }, `minute '1, 2-4': expected ${number60}, got ' 2-4' at position 3`],
  [
    { minute: '0 3 * * *' },
    `minute '0 3 * * *': expected ',' or the end, got ' 3 * * *' at position 2`,
  ],
  [
    { dayOfWeek: '8' },
    "dayOfWeek '8': expected a number from 0 to 7 or a name such as 'sun' or 'Sunday', got '8' at position 1",
  ],
  [{ dayOfWeek: 'mon#1' }, "dayOfWeek 'mon#1': expected ',' or the end, got '#1' at position 4"],
  [{ dayOfWeek: 'monkey' }, `dayOfWeek 'monkey': expected ${weekday}, got 'monkey' at position 1`],
  [
    { dayOfWeek: 'Wedding' },
    `dayOfWeek 'Wedding': expected ${weekday}, got 'Wedding' at position 1`,
  ],
  [
    { dayOfWeek: 'fri,tues' },
    `dayOfWeek 'fri,tues': expected ${weekday}, got 'tues' at position 5`,
  ],
  [{ dayOfWeek: 'jan' }, `dayOfWeek 'jan': expected ${weekday}, got 'jan' at position 1`],
  [
    { dayOfWeek: 'mon - fri' },
    "dayOfWeek 'mon - fri': expected ',' or the end, got ' - fri' at position 4",
  ],
  [{ monthOfYear: 'sept' }, `monthOfYear 'sept': expected ${month}, got 'sept' at position 1`],
  [{ monthOfYear: 'tue' }, `monthOfYear 'tue': expected ${month}, got 'tue' at position 1`],
  [{ minute: 60 }, 'minute: expected a whole number from 0 to 59, got 60'],
  [{ minute: 1.5 }, 'minute: expected a whole number from 0 to 59, got 1.5'],
  [{ minute: null }, 'minute: expected a whole number from 0 to 59, got null'],
  [{ minute: true }, 'minute: expected a whole number from 0 to 59, got true'],
  [{ minute: 5n }, 'minute: expected a whole number from 0 to 59, got 5n'],
  [{ minute: {} }, 'minute: expected a whole number from 0 to 59, got an object'],
  [
    { minute: [0, 1.5] },
    'minute: expected a whole number from 0 to 59, got 1.5 at place 2 of the list',
  ],
  [
    { dayOfWeek: ['mon'] },
    "dayOfWeek: expected a whole number from 0 to 7, got 'mon' at place 1 of the list",
  ],
  [
    { hour: [[1]] },
    'hour: expected a whole number from 0 to 23, got an array at place 1 of the list',
  ],
  [{ minute: [] }, 'minute: expected at least one number, got an empty list'],
  [{ second: 0 }, `unknown option 'second', expected ${order}`],
  [{ day_of_week: 1 }, `unknown option 'day_of_week', expected ${order}`],
  ['* * * * *', "expected an object of fields, got '* * * * *'"],
  [[0, 12], 'expected an object of fields, got an array'],
  [new Set([5]), 'expected an object of fields, got an object'],
  [null, 'expected an object of fields, got null'],
  [
    { dayOfMonth: 31, monthOfYear: 2 },
    "never fires: dayOfMonth '31' does not occur in monthOfYear '2'",
  ],
  [
    { dayOfMonth: 31, monthOfYear: 'feb,apr,jun,sep,nov' },
    "never fires: dayOfMonth '31' does not occur in monthOfYear 'feb,apr,jun,sep,nov'",
  ],
];
for (const [options, message] of refused) {
  test(`refuses with "${message}"`, () => {
    assert.throws(
      () => crontab(options as CrontabOptions),
      (error) => error instanceof CrontabError && isText(error.message, `crontab: ${message}`),
    );
  });
}

const refusedLines: [string, string][] = [
  ['75 3 * * *', "minute '75': expected a number from 0 to 59, got '75' at position 1"],
  ['0 0 31 2 *', "never fires: dayOfMonth '31' does not occur in monthOfYear '2'"],
  ['0 0 * *', `expected five fields (${order}), got 4: dayOfWeek is missing`],
  ['', `expected five fields (${order}), got 0: minute is missing`],
  ['@daily', `expected five fields (${order}), got 1: hour is missing`],
  ['0 0 * * * 2027', `expected five fields (${order}), got 6: '2027' is too much`],
];
for (const [line, message] of refusedLines) {
  test(`refuses the line with "${message}"`, () => {
    assert.throws(
      () => crontab.parse(line),
      (error) =>
        error instanceof CrontabError && isText(error.message, `crontab '${line}': ${message}`),
    );
  });
}

test('refuses a line that is not a text', () => {
  assert.throws(() => crontab.parse(5 as unknown as string), {
    name: 'CrontabError',
    message: 'crontab: expected a line of five fields, got 5',
  });
});

test('an error carries the field and, where there is one, the way out', () => {
  assert.throws(() => crontab({ dayOfWeek: 'tues' }), {
    field: 'dayOfWeek',
    hint: 'Names are written in full or with their first three letters.',
  });
  assert.throws(() => crontab({ minute: '*/5 * * * *' }), {
    field: 'minute',
    hint: 'crontab.parse() reads a line of five fields.',
  });
  assert.throws(() => crontab({ dayOfMonth: 'L' }), {
    hint: "Celery's crontab has no L, W, ? and #.",
  });
  assert.throws(() => crontab({ hour: '* ' }), {
    hint: 'Blanks may stand around a single number only.',
  });
  assert.throws(() => crontab({ day_of_week: 1 } as CrontabOptions), {
    hint: "Write 'dayOfWeek'.",
  });
});

test('next gives one time from now on, in UTC', () => {
  const before = Date.now();
  const [time, ...others] = crontab().next();
  assert.deepEqual(others, []);
  assert.ok(time && time.getTime() > before && time.getTime() <= Date.now() + 60_000);
});

const refusedNext: [unknown, string][] = [
  [{ from: '2027-01-01' }, ": expected from to be a valid Date, got '2027-01-01'"],
  [{ from: new Date(Number.NaN) }, ': expected from to be a valid Date, got an object'],
  [{ count: 0 }, ': expected count to be a whole number from 1, got 0'],
  [{ count: 1.5 }, ': expected count to be a whole number from 1, got 1.5'],
  [{ zone: 'UTC' }, ": unknown option 'zone', expected one of from, count, timezone"],
  [
    { timezone: 'Europe/Roma' },
    ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got 'Europe/Roma'",
  ],
  [
    { timezone: 'Local' },
    ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got 'Local'",
  ],
  [{ timezone: '' }, ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got ''"],
  [
    { timezone: '+02:00' },
    ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got '+02:00'",
  ],
  [
    { timezone: 'PST' },
    ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got 'PST'",
  ],
  [{ timezone: null }, ": timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got null"],
  [
    { timezone: 'europe/rome' },
    ": timezone: unknown time zone 'europe/rome', expected 'Europe/Rome'",
  ],
];
for (const [options, message] of refusedNext) {
  test(`next refuses with "${message.slice(2)}"`, () => {
    assert.throws(
      () => crontab().next(options as NextOptions),
      (error) => error instanceof ConfigError && isText(error.message, `crontab.next${message}`),
    );
  });
}

/** Compares whole texts, and shows both when they differ. */
function isText(actual: string, expected: string): true {
  assert.equal(actual, expected);
  return true;
}
