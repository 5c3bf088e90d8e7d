import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lintRoutine, type LintFinding } from '../src/routines/lint.ts';
import { Program, uniqueName } from './helpers/harness.ts';

const FROM = new Date('2027-01-01T00:00:00Z');

function lint(schedule: string, timezone = 'UTC'): LintFinding[] {
  return lintRoutine('job', { schedule, timezone }, FROM);
}

const clocks: [string, string, string[]][] = [
  [
    '30 2 * * *',
    'Europe/Rome',
    ["routine 'job': does not run at 02:30 on 2027-03-28, when the clocks of Europe/Rome change"],
  ],
  [
    '30 1 * * *',
    'Europe/Rome',
    [
      "routine 'job': runs once more on 2027-10-31, at 02:30, when the clocks of Europe/Rome change",
    ],
  ],
  [
    '0 1 * * sun',
    'Europe/Rome',
    [
      "routine 'job': runs once more on 2027-10-31, at 02:00, when the clocks of Europe/Rome change",
    ],
  ],
  [
    '30 1 * * *',
    'America/New_York',
    [
      "routine 'job': runs once more on 2027-11-07, at 01:30, when the clocks of America/New_York change",
    ],
  ],
  [
    '*/10 2 * * *',
    'America/New_York',
    [
      "routine 'job': does not run at 02:00, 02:10, 02:20 and 3 more times on 2027-03-14, when the clocks of America/New_York change",
    ],
  ],
  ['0 12 * * *', 'Europe/Rome', []],
  // on no day of change
  ['30 2 * * mon', 'Europe/Rome', []],
  ['30 2 1 * *', 'Europe/Rome', []],
  // in every hour
  ['*/15 * * * *', 'Europe/Rome', []],
  ['30 2 * * *', 'Asia/Kolkata', []],
  ['30 2 * * *', 'UTC', []],
];

for (const [line, timezone, messages] of clocks) {
  test(`'${line}' in ${timezone}: ${messages.length === 0 ? 'no clock is in the way' : messages[0]?.slice(15)}`, () => {
    assert.deepEqual(
      lint(line, timezone).map(({ message }) => message),
      messages,
    );
  });
}

test('a change of half an hour moves a time', () => {
  assert.deepEqual(
    lint('15 2 * * *', 'Australia/Lord_Howe').map(({ message }) => message),
    [
      "routine 'job': runs at 02:45 instead of 02:15 on 2027-10-03, when the clocks of Australia/Lord_Howe change",
    ],
  );
});

test('a change at midnight is found', () => {
  const rules = lint('30 0 * * *', 'America/Havana').map(({ rule }) => rule);
  assert.ok(rules.includes('skipped-time'), rules.join());
});

const steps: [string, string | undefined][] = [
  ['*/45 * * * *', "minute '*/45' is not every 45 minutes: it begins anew each hour"],
  ['0,*/7 * * * *', "minute '*/7' is not every 7 minutes: it begins anew each hour"],
  ['0 */5 * * *', "hour '*/5' is not every 5 hours: it begins anew each day"],
  ['0 0 */3 * *', "dayOfMonth '*/3' is not every 3 days: it begins anew each month"],
  ['0 0 1 */5 *', "monthOfYear '*/5' is not every 5 months: it begins anew each year"],
  ['0 0 * * */2', "dayOfWeek '*/2' is not every 2 days: it begins anew each week"],
  ['*/15 */6 */1 */3 *', undefined],
  ['0-30/7 * * * *', undefined],
];

for (const [line, message] of steps) {
  test(`'${line}' ${message ? 'has a step that does not go round' : 'has no irregular step'}`, () => {
    assert.deepEqual(
      lint(line),
      message ? [{ rule: 'irregular-step', message: `routine 'job': ${message}` }] : [],
    );
  });
}

test('both kinds of days set are pointed out, since both must match', () => {
  assert.deepEqual(lint('0 0 13 * fri'), [
    {
      rule: 'both-days',
      message:
        "routine 'job': runs where dayOfMonth '13' and dayOfWeek 'fri' both match, as in Celery; Unix cron would take either",
    },
  ]);
});

test('intervals, moments and what another tool has made have nothing to point out', () => {
  for (const schedule of ['every 2700s', 'at 2027-03-28T02:30:00.000Z', 'calendars {}']) {
    assert.deepEqual(lint(schedule, 'Europe/Rome'), []);
  }
});

test('a worker that starts points them out, once each', async () => {
  await using program = new Program('test/fixtures/routine-warnings.ts', [uniqueName('lint')], {
    SEDANO_LOG_LEVEL: 'warn',
  });
  assert.equal(await program.exited, 0, program.output);
  const warnings = program.output.match(/routine '\w+': .*/g) ?? [];
  assert.equal(warnings.length, 1, program.output);
  assert.match(warnings[0] ?? '', /^routine 'odd': minute '\*\/45' is not every 45 minutes/);
});
