import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, crontab, every, Sedano, type Routine } from 'sedano';
import type { ScheduleOptions } from '@temporalio/client';
import {
  definitionOf,
  readDefinition,
  sameField,
  toSchedule,
  type Definition,
} from '../src/routines/definition.ts';
import { uniqueName } from './helpers/harness.ts';
import { temporal } from './helpers/temporal-cli.ts';

const inTheFuture = new Date('2037-01-01T12:00:30Z');
const base: Routine = { task: 'clear', schedule: crontab({ hour: 12, minute: 0 }) };

function testedApp(): Sedano {
  const app = new Sedano(uniqueName('definition'), { timezone: 'Europe/Rome' });
  app.task({ name: 'clear', queue: 'cleaning' }, async () => 'cleared');
  return app;
}

/** A schedule on the server for one scope. */
async function scheduled(
  app: Sedano,
  definition: Definition,
  change: Partial<ScheduleOptions> = {},
) {
  const memo = { code: definition, release: null, edits: [] };
  const birth = { app: app.name, routine: 'job', by: 'code', code: definition } as const;
  const options = toSchedule(app, 'job', definition, { memo, birth });
  const handle = await app.client.temporal.schedule.create({ ...options, ...change });
  return {
    handle,
    read: async () => readDefinition(await handle.describe()),
    /** `temporal schedule update`, which replaces everything. */
    update: async (...flags: string[]) => {
      const target = ['--schedule-id', handle.scheduleId, '--type', 'clear'];
      await temporal('schedule', 'update', ...target, '--task-queue', 'cleaning', ...flags);
    },
    async [Symbol.asyncDispose]() {
      await handle.delete();
    },
  };
}

test('a routine that says little has every field said', async () => {
  await using app = testedApp();
  assert.deepEqual(definitionOf(app, 'job', base), {
    task: 'clear',
    schedule: '0 12 * * *',
    timezone: 'Europe/Rome',
    args: [],
    queue: 'cleaning',
    enabled: true,
    overlap: 'skip',
    missed: 'latest',
    startAt: null,
    endAt: null,
    jitterMs: 0,
    description: '',
    expiresMs: null,
  });
});

const routines: [string, Partial<Routine>][] = [
  ['nothing else', {}],
  [
    'a crontab in words of its own',
    { schedule: crontab.parse('0,15,30,45 22-2 * nov-feb mon-fri') },
  ],
  ['an interval', { schedule: every('90s', { offset: '30s' }), timezone: 'Europe/Rome' }],
  ['one moment', { schedule: at(inTheFuture) }],
  ['arguments', { args: [{ b: 1, a: [null, 'ü'] }, 2.5] }],
  ['a queue and a zone', { queue: 'other', timezone: 'America/New_York' }],
  ['a pause', { enabled: false }],
  ["missed 'skip'", { missed: 'skip' }],
  ["missed 'skip' and an overlap", { missed: 'skip', overlap: 'allowAll' }],
  ["missed 'all'", { missed: 'all' }],
  ["missed 'all' at once", { missed: 'all', overlap: 'allowAll' }],
  ['an overlap', { overlap: 'terminateOther' }],
  ['limits', { startAt: new Date('2030-01-01T00:00:00.250Z'), endAt: inTheFuture }],
  ['a jitter', { jitter: '1.5s' }],
  ['what the server has no field for', { description: 'Every day', expires: '2h' }],
];

for (const [what, routine] of routines) {
  test(`the server gives back a routine with ${what}`, async () => {
    await using app = testedApp();
    const code = definitionOf(app, 'job', { ...base, ...routine });
    await using schedule = await scheduled(app, code);
    assert.deepEqual(await schedule.read(), code);
  });
}

test('what the command line writes over a routine is read for what it means', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', {
    ...base,
    args: [1],
    missed: 'skip',
    description: 'Every day',
    expires: '1h',
  });
  await using schedule = await scheduled(app, code);
  await schedule.update('--cron', '0 12 * * *');
  assert.deepEqual(await schedule.read(), {
    ...code,
    timezone: 'UTC',
    args: [],
    missed: 'latest',
    description: '',
    expiresMs: null,
  });
});

const edits: [string, string[], Partial<Definition>][] = [
  [
    'a calendar without comment',
    ['--calendar', '{"hour":"3","minute":"0-45/15"}'],
    { schedule: '*/15 3 * * *' },
  ],
  [
    'minutes one by one',
    ['--calendar', '{"hour":"9-17/4","minute":"45,0,30,15"}'],
    { schedule: '*/15 9-17/4 * * *' },
  ],
  ['an interval with a phase', ['--interval', '15m/1m'], { schedule: 'every 900s offset 60s' }],
  [
    'one moment',
    [
      '--calendar',
      '{"year":"2037","month":"1","dayOfMonth":"1","hour":"12","minute":"0","second":"30"}',
    ],
    { schedule: 'at 2037-01-01T12:00:30.000Z' },
  ],
  ['a window of its own', ['--cron', '0 12 * * *', '--catchup-window', '1h'], { missed: '3600s' }],
  [
    'waiting for one',
    ['--cron', '0 12 * * *', '--overlap-policy', 'BufferOne'],
    { overlap: 'bufferOne', missed: '31536000s' },
  ],
];

for (const [what, flags, expected] of edits) {
  test(`an edit by the command line is read: ${what}`, async () => {
    await using app = testedApp();
    const code = definitionOf(app, 'job', { ...base, timezone: 'UTC' });
    await using schedule = await scheduled(app, code);
    await schedule.update(...flags);
    assert.deepEqual(await schedule.read(), { ...code, ...expected });
  });
}

test('a moment on another wall clock is the same moment', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', { ...base, schedule: at(inTheFuture) });
  await using schedule = await scheduled(app, code);
  const moment =
    '{"year":"2037","month":"1","dayOfMonth":"1","hour":"13","minute":"0","second":"30"}';
  await schedule.update('--calendar', moment, '--time-zone', 'Europe/Rome');
  assert.deepEqual(await schedule.read(), code);
});

test('where the comment is gone, the same times are said in the code’s words', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', {
    ...base,
    schedule: crontab.parse('0 12 * * mon-fri'),
    timezone: 'UTC',
  });
  await using schedule = await scheduled(app, code);
  await schedule.update('--calendar', '{"hour":"12","dayOfWeek":"1-5"}');
  assert.equal((await schedule.read()).schedule, '0 12 * * mon-fri');
});

test('a comment that says something else than its calendar is not believed', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', base);
  await using schedule = await scheduled(app, code);
  await schedule.update(
    '--calendar',
    '{"hour":"3","comment":"0 12 * * *"}',
    '--time-zone',
    'Europe/Rome',
  );
  assert.equal((await schedule.read()).schedule, '0 3 * * *');
});

const foreign: [string, string[]][] = [
  [
    'two calendars',
    ['--calendar', '{"hour":"3"}', '--calendar', '{"hour":"4","year":"2037-2040/2"}'],
  ],
  ['a calendar and an interval', ['--calendar', '{"hour":"3"}', '--interval', '7d']],
  ['seconds', ['--calendar', '{"hour":"*","minute":"*","second":"*/10"}']],
  ['a day that never comes', ['--calendar', '{"dayOfMonth":"30","month":"2"}']],
];

for (const [what, flags] of foreign) {
  test(`what no routine can say is kept as it is: ${what}`, async () => {
    await using app = testedApp();
    const code = definitionOf(app, 'job', base);
    await using schedule = await scheduled(app, code);
    await schedule.update(...flags, '--time-zone', 'Europe/Rome');
    const read = await schedule.read();
    assert.match(read.schedule, /^calendars \{/);
    assert.equal(sameField('schedule', read, code), false);
    await using other = testedApp();
    await using again = await scheduled(other, read);
    assert.deepEqual(await again.read(), read);
  });
}

test('a moment that has come and gone counts as enabled, though it is paused to stay listed', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', { ...base, schedule: at(inTheFuture) });
  const state = { paused: true, note: 'done', remainingActions: 0 };
  await using schedule = await scheduled(app, code, { state });
  assert.deepEqual(await schedule.read(), code);
});

test('a schedule of the first version is read', async () => {
  await using app = testedApp();
  const now = definitionOf(app, 'job', { ...base, description: 'Every day' });
  const { task, schedule, timezone, args, queue, enabled, description } = now;
  const code = { task, schedule, timezone, args, queue, enabled, description };
  const { action } = toSchedule(app, 'job', now, {
    memo: { code: now, release: null, edits: [] },
  });
  await using old = await scheduled(app, now, {
    memo: { sedano: { v: 1, app: app.name, routine: 'job', hash: '0', code } },
    action: { ...action, memo: { sedano: { code, edits: [] } } },
  });
  assert.deepEqual(await old.read(), now);
});

test('a schedule that has nothing of ours is read', async () => {
  await using app = testedApp();
  const code = definitionOf(app, 'job', { ...base, timezone: 'UTC' });
  await using schedule = await scheduled(app, code, {
    memo: { sedano: 'theirs' },
    action: { type: 'startWorkflow', workflowType: 'clear', taskQueue: 'cleaning', args: [] },
  });
  assert.deepEqual(await schedule.read(), code);
});

test('two texts of the same times are the same schedule', async () => {
  await using app = testedApp();
  const of = (schedule: string) => ({ ...definitionOf(app, 'job', base), schedule });
  const same = (one: string, other: string) => sameField('schedule', of(one), of(other));
  assert.ok(same('0,15,30,45 * * * *', '*/15 0-23 * * *'));
  assert.ok(same('0 0 * * mon-fri', '0 0 * * 1-5'));
  assert.ok(same('every 15m', 'every 900s'));
  assert.ok(!same('0 0 * * mon-fri', '0 0 * * 1-6'));
  assert.ok(!same('every 900s', 'every 900s offset 1s'));
  assert.ok(!same('calendars {}', '0 0 * * *'));
});
