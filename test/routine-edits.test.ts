import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crontab, RoutineConflictError, RoutineError, RoutineNotFoundError } from 'sedano';
import { ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import { startWorker } from 'sedano/worker';
import { readDefinition, type Definition } from '../src/routines/definition.ts';
import { outsideEdits } from '../src/routines/edit-history.ts';
import {
  adopt,
  deleteRoutine,
  editRoutine,
  pauseRoutine,
  prune,
  resumeRoutine,
} from '../src/routines/edits.ts';
import { readActionMemo } from '../src/routines/memo.ts';
import { runRoutine } from '../src/routines/run-now.ts';
import { readSchedule } from '../src/routines/write.ts';
import { latch, testApp } from './helpers/harness.ts';
import { noon, RoutineApp } from './helpers/routines.ts';
import { lastRun } from './helpers/temporal-cli.ts';

const by = 'ada on host';

/** An app whose schedules exist. */
async function synced(...args: ConstructorParameters<typeof RoutineApp>): Promise<RoutineApp> {
  const routines = new RoutineApp(...args);
  await routines.app.syncRoutines();
  return routines;
}

async function definitionOf(routines: RoutineApp, name: string): Promise<Definition> {
  return readDefinition(await routines.describe(name));
}

async function editsOf(routines: RoutineApp, name: string) {
  const { action } = await routines.describe(name);
  return readActionMemo(action.memo)?.edits ?? [];
}

test('each field can be edited, is read back, and stays when the code syncs', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  const changes: Partial<Definition>[] = [
    { task: 'sweep' },
    { schedule: '0 3 * * *' },
    { timezone: 'America/New_York' },
    { args: [{ deep: true }] },
    { queue: 'other' },
    { overlap: 'cancelOther' },
    { missed: 'skip' },
    { startAt: '2027-01-01T00:00:00.000Z', endAt: '2028-01-01T00:00:00.000Z' },
    { jitterMs: 5_000 },
    { description: 'Other' },
    { expiresMs: 60_000 },
  ];
  for (const change of changes) {
    const { edit } = await editRoutine(app, 'daily', change, { by });
    assert.deepEqual(edit?.fields, Object.keys(change));
    assert.deepEqual(edit?.to, change);
  }
  const expected = Object.assign({ ...(await definitionOf(routines, 'daily')) }, ...changes);
  assert.deepEqual(await definitionOf(routines, 'daily'), expected);
  const edits = await editsOf(routines, 'daily');
  assert.deepEqual(
    edits.map(({ by, fields, from, to }) => ({ by, fields, from, to })),
    [
      { by, fields: ['expiresMs'], from: { expiresMs: null }, to: { expiresMs: 60_000 } },
      { by, fields: ['description'], from: { description: '' }, to: { description: 'Other' } },
      { by, fields: ['jitterMs'], from: { jitterMs: 0 }, to: { jitterMs: 5_000 } },
      {
        by,
        fields: ['startAt', 'endAt'],
        from: { startAt: null, endAt: null },
        to: changes[7],
      },
      { by, fields: ['missed'], from: { missed: 'latest' }, to: { missed: 'skip' } },
    ],
  );
  const { drift, followed } = await app.syncRoutines({ full: true });
  assert.deepEqual(followed, []);
  assert.deepEqual(
    drift[0]?.fields.map(({ field, state }) => `${field} ${state}`),
    changes.flatMap((change) => Object.keys(change)).map((field) => `${field} edited`),
  );
});

test('an edit that changes nothing writes nothing', async () => {
  await using routines = await synced({ daily: noon });
  const before = await routines.describe('daily');
  const { edit } = await editRoutine(routines.app, 'daily', { schedule: '0 12 * * *' }, { by });
  assert.equal(edit, undefined);
  assert.deepEqual((await routines.describe('daily')).raw.conflictToken, before.raw.conflictToken);
});

test('an edit keeps what it does not know of the schedule', async () => {
  await using routines = await synced({ daily: noon });
  const handle = routines.handle('daily');
  await handle.update((schedule) => ({
    ...schedule,
    policies: { ...schedule.policies, pauseOnFailure: true },
    action: {
      ...schedule.action,
      workflowRunTimeout: '1 hour',
      memo: { ...schedule.action.memo, theirs: 1 },
    },
  }));
  await editRoutine(routines.app, 'daily', { queue: 'other' }, { by });
  const { policies, action } = await routines.describe('daily');
  assert.equal(policies.pauseOnFailure, true);
  assert.equal(action.workflowRunTimeout, 3_600_000);
  assert.equal(action.memo?.['theirs'], 1);
});

test('a crontab has a zone, an interval and a moment have none', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  const at = 'at 2090-01-01T00:00:00.000Z';
  for (const [schedule, timezone] of [
    ['every 900s', 'UTC'],
    ['0 4 * * *', 'Europe/Rome'],
    [at, 'UTC'],
  ] as const) {
    await editRoutine(app, 'daily', { schedule }, { by });
    const definition = await definitionOf(routines, 'daily');
    assert.deepEqual([definition.schedule, definition.timezone], [schedule, timezone]);
  }
  assert.equal((await routines.describe('daily')).state.remainingActions, 1);
});

test('wrong values are refused before anything is sent', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  const wrong: [Partial<Definition>, RegExp][] = [
    [{ schedule: '75 3 * * *' }, /minute/],
    [{ timezone: 'Europe/Roma' }, /routine 'daily': timezone: expected a time zone/],
    [{ overlap: 'allowAll' }, /beside missed 'latest'/],
    [{ task: '__mail' }, /task name/],
    [{ queue: '' }, /queue: expected a text/],
    [{ jitterMs: -1 }, /jitterMs: expected whole milliseconds, got -1/],
  ];
  for (const [change, message] of wrong) {
    await assert.rejects(editRoutine(app, 'daily', change, { by }), { message });
  }
  assert.deepEqual(await editsOf(routines, 'daily'), []);
});

test('twelve editors at once, each of another field: all edits land', async () => {
  await using routines = await synced({ daily: noon });
  const changes: Partial<Definition>[] = [
    { task: 'sweep' },
    { schedule: '0 3 * * *' },
    { timezone: 'America/New_York' },
    { args: [1] },
    { queue: 'other' },
    { enabled: false },
    { overlap: 'terminateOther' },
    { startAt: '2027-01-01T00:00:00.000Z' },
    { endAt: '2028-01-01T00:00:00.000Z' },
    { jitterMs: 5_000 },
    { description: 'Other' },
    { expiresMs: 60_000 },
  ];
  assert.equal(changes.length, 12);
  const expected = Object.assign(await definitionOf(routines, 'daily'), ...changes) as Definition;
  await Promise.all(changes.map((change) => editRoutine(routines.app, 'daily', change, { by })));
  assert.deepEqual(await definitionOf(routines, 'daily'), expected);
});

test('twelve editors of the same field: one lands, eleven are told with both versions', async () => {
  await using routines = await synced({ daily: noon });
  const seen = await definitionOf(routines, 'daily');
  const hours = Array.from({ length: 12 }, (_, hour) => `0 ${hour} * * *`);
  const ends = await Promise.allSettled(
    hours.map((schedule) => editRoutine(routines.app, 'daily', { schedule }, { by, seen })),
  );
  const { schedule } = await definitionOf(routines, 'daily');
  assert.ok(hours.includes(schedule));
  const winners = hours.filter((_, index) => ends[index]?.status === 'fulfilled');
  assert.deepEqual(winners, [schedule]);
  for (const [index, end] of ends.entries()) {
    if (end.status === 'fulfilled') continue;
    const error: unknown = end.reason;
    assert.ok(error instanceof RoutineConflictError, String(error));
    assert.equal(
      error.message,
      `routine 'daily': somebody else has changed it meanwhile: schedule was "0 12 * * *", is "${schedule}" now, and was to become "${hours[index]}"`,
    );
    assert.deepEqual(error.fields, ['schedule']);
  }
});

test('an edit goes on top of what another tool has changed in other fields meanwhile', async () => {
  await using routines = await synced({ daily: noon });
  const seen = await definitionOf(routines, 'daily');
  await routines.toggleByCli('daily', '--pause', 'holiday');
  await editRoutine(routines.app, 'daily', { schedule: '0 3 * * *' }, { by, seen });
  const { state } = await routines.describe('daily');
  assert.deepEqual([state.paused, state.note], [true, 'holiday']);
  await routines.updateByCli('daily', '--cron', '5 5 * * *');
  await assert.rejects(
    editRoutine(routines.app, 'daily', { schedule: '0 4 * * *' }, { by, seen }),
    RoutineConflictError,
  );
});

test('an edit of what Temporal’s command line has wiped keeps every other difference an edit', async () => {
  await using routines = await synced({ daily: { ...noon, args: [1] } });
  const { app } = routines;
  await routines.updateByCli('daily', '--calendar', '{"hour":"3","minute":"7"}');
  await editRoutine(app, 'daily', { queue: 'other' }, { by });
  const { action } = await routines.describe('daily');
  assert.equal(action.workflowId, routines.id('daily'));
  const { drift, followed } = await app.syncRoutines({ full: true });
  assert.deepEqual(followed, []);
  assert.deepEqual(
    drift[0]?.fields.map(({ field, state }) => `${field} ${state}`),
    ['schedule edited', 'timezone edited', 'args edited', 'queue edited'],
  );
});

test('a pause keeps its reason, and resuming takes it away', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  assert.equal(await pauseRoutine(app, 'daily', { by, reason: 'holiday' }), true);
  const paused = await routines.describe('daily');
  assert.deepEqual([paused.state.paused, paused.state.note], [true, 'holiday']);
  assert.equal(await pauseRoutine(app, 'daily', { by, reason: 'holiday' }), false);
  assert.deepEqual((await routines.describe('daily')).raw.conflictToken, paused.raw.conflictToken);
  assert.equal(await resumeRoutine(app, 'daily', { by }), true);
  const { state } = await routines.describe('daily');
  assert.deepEqual([state.paused, state.note ?? ''], [false, '']);
  assert.equal(await resumeRoutine(app, 'daily', { by }), false);
  assert.deepEqual(
    (await editsOf(routines, 'daily')).map(({ fields, to }) => [fields, to]),
    [
      [['enabled'], { enabled: true }],
      [['enabled'], { enabled: false }],
    ],
  );
  await assert.rejects(pauseRoutine(app, 'daily', { by, reason: 'x'.repeat(1_001) }), {
    message: "routine 'daily': reason: expected at most 1000 bytes, got 1001",
  });
});

test('a pause that meets a trigger is there in the end, and the trigger has run', async () => {
  const table = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`r${n}`, noon]));
  await using routines = await synced(table);
  const names = Object.keys(table);
  await Promise.all(
    names.map(async (name) => {
      await Promise.all([
        pauseRoutine(routines.app, name, { by, reason: 'stop' }),
        routines.handle(name).trigger(ScheduleOverlapPolicy.SKIP),
      ]);
    }),
  );
  for (const name of names) {
    await lastRun(routines.id(name));
    const { state, info } = await routines.describe(name);
    assert.deepEqual([state.paused, state.note, info.numActionsTaken], [true, 'stop', 1], name);
  }
});

test('a pause and a run-now at once: both are there in the end', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  const [, run] = await Promise.all([
    pauseRoutine(app, 'daily', { by, reason: 'stop' }),
    runRoutine(app, 'daily'),
  ]);
  assert.equal(run.outcome, 'started');
  assert.equal((await routines.describe('daily')).state.paused, true);
});

test('run now starts one run and gives its id; a second is skipped while it still runs', async () => {
  await using app = testApp();
  const go = latch();
  app.task({ name: 'wait' }, async () => {
    await go.promise;
    return 'done';
  });
  app.routines({ slow: { task: 'wait', schedule: crontab({ monthOfYear: 1 }) } });
  await using _worker = await startWorker(app, { grace: '1s' });
  const first = await runRoutine(app, 'slow');
  assert.equal(first.outcome, 'started');
  assert.ok(first.id);
  assert.match(first.id, new RegExp(`^${app.name}/slow-\\d{4}-.*Z$`));
  const second = await runRoutine(app, 'slow');
  assert.deepEqual(second, { outcome: 'skipped', id: first.id });
  go.open();
  assert.equal(await app.result(first.id).get(), 'done');
  await app.client.temporal.schedule.getHandle(`${app.name}/slow`).delete();
});

test('runs that are asked for in the same second all run, one after another', async () => {
  await using app = testApp();
  app.task({ name: 'quick' }, async () => 'done');
  app.routines({ quick: { task: 'quick', schedule: crontab({ monthOfYear: 1 }) } });
  await using _worker = await startWorker(app, { grace: '1s' });
  const ids: string[] = [];
  for (let index = 0; index < 3; index++) {
    const { outcome, id } = await runRoutine(app, 'quick');
    assert.equal(outcome, 'started');
    assert.ok(id);
    await app.result(id).get();
    ids.push(id);
  }
  assert.equal(new Set(ids).size, 3);
  await app.client.temporal.schedule.getHandle(`${app.name}/quick`).delete();
});

test('adopt takes the code’s value over an edit, of one field or of all', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  await editRoutine(app, 'daily', { schedule: '0 3 * * *', queue: 'other' }, { by });
  const one = await adopt(app, 'daily', { by, fields: ['schedule'] });
  assert.deepEqual(one.edit?.fields, ['schedule']);
  assert.equal(one.definition.schedule, '0 12 * * *');
  assert.equal(one.definition.queue, 'other');
  const all = await adopt(app, 'daily', { by });
  assert.deepEqual(all.edit?.fields, ['queue']);
  assert.equal((await adopt(app, 'daily', { by })).edit, undefined);
  assert.deepEqual((await app.syncRoutines({ full: true })).drift, []);
  await assert.rejects(adopt(app, 'daily', { by, fields: ['crontab'] }), {
    name: 'ConfigError',
    message: /^field 'crontab': expected one of task, schedule, timezone/,
  });
  await assert.rejects(adopt(app, 'none', { by }), RoutineError);
});

test('adopt mends what Temporal’s command line has wiped, and the routine follows the code again', async () => {
  await using routines = await synced({
    daily: { ...noon, args: [1], missed: 'all', description: 'Deep' },
  });
  const { app } = routines;
  await routines.updateByCli('daily', '--calendar', '{"hour":"3","minute":"7"}');
  await adopt(app, 'daily', { by });
  const [diff] = await app.diffRoutines({ full: true });
  assert.deepEqual([diff?.fields, diff?.memoLost], [[], false]);
  assert.equal((await routines.describe('daily')).action.workflowId, routines.id('daily'));
  const next = routines.again({ daily: noon });
  assert.deepEqual((await next.syncRoutines()).followed, [
    { name: 'daily', fields: ['args', 'overlap', 'missed', 'description'] },
  ]);
});

test('adopt lets a release that went back have its word', async () => {
  await using routines = await synced({ daily: noon }, { release: '1.0' });
  const newer = routines.again({ daily: { ...noon, queue: 'new' } }, { release: '2.0' });
  await newer.syncRoutines({ full: true });
  assert.deepEqual((await routines.app.syncRoutines({ full: true })).followed, []);
  assert.deepEqual((await adopt(routines.app, 'daily', { by })).edit?.fields, ['queue']);
  const [diff] = await routines.app.diffRoutines({ full: true });
  assert.deepEqual([diff?.fields, diff?.newerRelease], [[], null]);
});

test('prune deletes the orphans of this app, and nothing else', async () => {
  await using routines = await synced({ daily: noon, gone: noon, lost: noon });
  await using other = await synced({ theirs: noon });
  await routines.isListed();
  const next = routines.again({ daily: noon });
  await next.client.temporal.schedule.create({
    scheduleId: routines.id('hand'),
    spec: {},
    action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x' },
  });
  assert.deepEqual(await prune(next, ['gone', 'daily', 'hand']), ['gone']);
  await assert.rejects(routines.describe('gone'), ScheduleNotFoundError);
  assert.deepEqual(await prune(next), ['lost']);
  assert.deepEqual(await prune(next), []);
  assert.deepEqual(await routines.listed(({ length }) => length === 2), ['daily', 'hand']);
  await other.describe('theirs');
});

test('a routine of the table is not deleted, nor one that is not ours, nor one that is not there', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  await assert.rejects(deleteRoutine(app, 'daily'), {
    name: 'RoutineError',
    message: "routine 'daily' is in the table: the next worker would create it",
    hint: "Disable it: sedano routines pause 'daily', or enabled: false in the table.",
  });
  await app.client.temporal.schedule.create({
    scheduleId: routines.id('hand'),
    spec: {},
    action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x' },
  });
  for (const refused of [
    () => deleteRoutine(app, 'hand'),
    () => editRoutine(app, 'hand', { queue: 'x' }, { by }),
    () => pauseRoutine(app, 'hand', { by }),
  ]) {
    await assert.rejects(refused, {
      name: 'RoutineError',
      message: `schedule '${routines.id('hand')}' was not made by Sedano: it is left alone`,
    });
  }
  await assert.rejects(deleteRoutine(app, 'none'), RoutineNotFoundError);
  await assert.rejects(runRoutine(app, 'none'), RoutineNotFoundError);
  await routines.handle('hand').delete();
});

test('edits by other tools are read from the server’s own history, ours are not', async () => {
  await using routines = await synced({ daily: noon });
  const { app } = routines;
  await editRoutine(app, 'daily', { queue: 'other' }, { by });
  await routines.toggleByCli('daily', '--pause', 'holiday');
  await pauseRoutine(app, 'daily', { by, reason: 'mine' });
  await routines.updateByCli('daily', '--calendar', '{"hour":"3","minute":"7"}');
  const schedule = await readSchedule(app, 'daily');
  const edits = await outsideEdits(app, 'daily', schedule);
  assert.deepEqual(
    edits.map(({ action, fields }) => [action, fields]),
    [
      ['update', ['schedule', 'timezone', 'queue', 'enabled']],
      ['pause', ['enabled']],
    ],
  );
  const [update] = edits;
  assert.match(update?.by ?? '', /^temporal-cli:/);
  assert.match(update?.at ?? '', /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(update?.from.schedule, '0 12 * * *');
  assert.deepEqual(update?.to.schedule, '7 3 * * *');
});
