import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crontab, every, type Routine } from 'sedano';
import type { Sedano } from 'sedano';
import { noon, RoutineApp } from './helpers/routines.ts';

const one: Routine = { ...noon, schedule: crontab({ hour: 1, minute: 0 }) };

const NOTHING = { created: [], followed: [], drift: [], orphans: [], foreign: [], past: [] };

/** What differs, as `name field state`. */
async function states(app: Sedano): Promise<string[]> {
  const diffs = await app.diffRoutines({ full: true });
  return diffs.flatMap(({ name, fields }) =>
    fields.map(({ field, state }) => `${name} ${field} ${state}`),
  );
}

/** What an update or a pause would change. */
async function trace(routines: RoutineApp, name: string) {
  const { raw, info } = await routines.describe(name);
  return { token: raw.conflictToken, updated: info.lastUpdatedAt, schedule: raw.schedule };
}

/** As Promise.all, which would leave the others running when one fails. */
async function all<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

test('a sync creates what is missing, and a second one writes nothing and asks for nothing', async () => {
  await using routines = new RoutineApp({
    daily: noon,
    often: { task: 'clear', schedule: every('15m') },
  });
  const { app } = routines;
  const missing = await app.diffRoutines();
  assert.deepEqual(
    missing.map(({ name, missing }) => [name, missing]),
    [
      ['daily', true],
      ['often', true],
    ],
  );
  assert.deepEqual(await app.syncRoutines(), { ...NOTHING, created: ['daily', 'often'] });
  await routines.isListed();
  const before = await trace(routines, 'daily');
  const { workflowService } = app.client.temporal;
  const asked: string[] = [];
  const { describeSchedule, listSchedules, updateSchedule, createSchedule } = workflowService;
  Object.assign(workflowService, {
    describeSchedule: counted('describe', describeSchedule),
    listSchedules: counted('list', listSchedules),
    updateSchedule: counted('update', updateSchedule),
    createSchedule: counted('create', createSchedule),
  });
  function counted<Args extends unknown[], T>(what: string, send: (...args: Args) => T) {
    return (...args: Args) => {
      asked.push(what);
      return send.apply(workflowService, args);
    };
  }
  assert.deepEqual(await app.syncRoutines(), NOTHING);
  assert.deepEqual(asked, ['list']);
  assert.deepEqual(await trace(routines, 'daily'), before);
  assert.deepEqual(
    await app.diffRoutines({ full: true }).then((diffs) => diffs.map(({ fields }) => fields)),
    [[], []],
  );
});

test('a field that nobody has edited follows the code, whether the list shows it or not', async () => {
  await using routines = new RoutineApp({ daily: noon, still: noon });
  await routines.app.syncRoutines();
  await routines.isListed();
  const still = await trace(routines, 'still');
  const next = routines.again({
    daily: { ...one, task: 'sweep', args: [7], queue: 'other', description: 'At one' },
    still: noon,
  });
  const fields = ['task', 'schedule', 'args', 'queue', 'description'];
  assert.deepEqual(
    await states(next),
    fields.map((field) => `daily ${field} follows`),
  );
  assert.deepEqual(await next.syncRoutines(), {
    ...NOTHING,
    followed: [{ name: 'daily', fields }],
  });
  const { action, spec } = await routines.describe('daily');
  assert.equal(action.workflowType, 'sweep');
  assert.deepEqual(action.args, [7]);
  assert.equal(action.taskQueue, 'other');
  assert.equal(spec.calendars?.[0]?.comment, '0 1 * * *');
  assert.deepEqual(await next.syncRoutines(), NOTHING);
  assert.deepEqual(await trace(routines, 'still'), still);

  await routines.isListed();
  // and back to what it said at birth, though the schedule's own memo still says that
  await routines.app.syncRoutines();
  assert.deepEqual(await states(routines.app), []);
  assert.deepEqual((await routines.describe('daily')).action.args, []);
});

test('args alone follow the code, which no line of the list shows', async () => {
  await using routines = new RoutineApp({ daily: noon });
  await routines.app.syncRoutines();
  const next = routines.again({ daily: { ...noon, args: [1] } });
  await routines.isListed();
  assert.deepEqual((await next.syncRoutines()).followed, [{ name: 'daily', fields: ['args'] }]);
  await routines.isListed();
  assert.deepEqual((await routines.app.syncRoutines()).followed, [
    { name: 'daily', fields: ['args'] },
  ]);
  assert.deepEqual((await routines.describe('daily')).action.args, []);
});

test('each change of the table’s row follows: every kind of schedule, zone, limits, policies', async () => {
  await using routines = new RoutineApp({ row: noon });
  await routines.app.syncRoutines();
  const rows: Routine[] = [
    { task: 'clear', schedule: every('15m', { offset: '1m' }) },
    { task: 'clear', schedule: crontab({ minute: '*/20' }), timezone: 'America/New_York' },
    { ...noon, startAt: new Date('2027-01-01'), endAt: new Date('2028-01-01'), jitter: '5s' },
    { ...noon, missed: 'all' },
    { ...noon, missed: 'skip', overlap: 'cancelOther', expires: '1h' },
    { ...noon, enabled: false },
    noon,
  ];
  for (const row of rows) {
    const app = routines.again({ row });
    await app.syncRoutines({ full: true });
    assert.deepEqual(await states(app), [], JSON.stringify(row));
    assert.deepEqual(await app.syncRoutines({ full: true }), NOTHING);
  }
});

test('what Temporal’s command line has updated is reported, and stays as it is', async () => {
  await using routines = new RoutineApp({
    wiped: { ...noon, args: [1], missed: 'all', description: 'Deep', enabled: false },
    calm: noon,
  });
  const { app } = routines;
  await app.syncRoutines();
  await routines.updateByCli('wiped', '--calendar', '{"hour":"3","minute":"7"}');
  const before = await trace(routines, 'wiped');
  const { drift, followed } = await app.syncRoutines({ full: true });
  assert.deepEqual(followed, []);
  assert.deepEqual(
    drift.map(({ name, memoLost, fields }) => [name, memoLost, fields.map(({ field }) => field)]),
    [
      [
        'wiped',
        true,
        ['schedule', 'timezone', 'args', 'enabled', 'overlap', 'missed', 'description'],
      ],
    ],
  );
  assert.ok(drift[0]?.fields.every(({ state }) => state === 'edited'));
  // another release of the code changes nothing of that
  const next = routines.again({ wiped: one, calm: one });
  assert.deepEqual((await next.syncRoutines({ full: true })).followed, [
    { name: 'calm', fields: ['schedule'] },
  ]);
  assert.deepEqual(await trace(routines, 'wiped'), before);
});

test('a schedule that the command line set back to what the code said at birth stays edited', async () => {
  await using routines = new RoutineApp({ daily: noon });
  await routines.app.syncRoutines();
  const next = routines.again({ daily: one });
  await next.syncRoutines();
  const flags = ['--time-zone', 'Europe/Rome', '--overlap-policy', 'Skip'];
  await routines.updateByCli('daily', '--calendar', '{"hour":"12","minute":"0"}', ...flags);
  assert.deepEqual(await states(next), ['daily schedule edited']);
  assert.deepEqual((await next.syncRoutines()).followed, []);
});

test('a pause by Temporal’s command line stays, while other fields follow the code', async () => {
  await using routines = new RoutineApp({ daily: noon });
  await routines.app.syncRoutines();
  await routines.toggleByCli('daily', '--pause', 'holiday');
  const next = routines.again({ daily: one });
  const { followed, drift } = await next.syncRoutines();
  assert.deepEqual(followed, [{ name: 'daily', fields: ['schedule'] }]);
  assert.deepEqual(
    drift.map(({ name, fields }) => [name, fields.map(({ field, state }) => `${field} ${state}`)]),
    [['daily', ['enabled edited']]],
  );
  const { state } = await routines.describe('daily');
  assert.equal(state.paused, true);
  assert.equal(state.note, 'holiday');
  await routines.toggleByCli('daily', '--unpause', 'back');
  assert.deepEqual(await states(next), []);
});

test('a schedule of the id that is not ours is left alone and reported', async () => {
  await using routines = new RoutineApp({ daily: noon });
  const { app } = routines;
  await app.client.temporal.schedule.create({
    scheduleId: routines.id('daily'),
    spec: { intervals: [{ every: '1 day' }] },
    action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
  });
  const before = await trace(routines, 'daily');
  for (const full of [false, true]) {
    assert.deepEqual(await app.syncRoutines({ full }), { ...NOTHING, foreign: ['daily'] });
  }
  assert.deepEqual(
    (await app.diffRoutines()).map(({ name, origin, fields }) => [name, origin, fields]),
    [['daily', 'foreign', []]],
  );
  assert.deepEqual(await trace(routines, 'daily'), before);
});

test('what has left the table is an orphan, and goes on', async () => {
  await using routines = new RoutineApp({ daily: noon, gone: noon });
  await routines.app.syncRoutines();
  await routines.isListed();
  const next = routines.again({ daily: noon });
  assert.deepEqual(await next.syncRoutines(), { ...NOTHING, orphans: ['gone'] });
  const diffs = await next.diffRoutines();
  assert.deepEqual(
    diffs.map(({ name, origin }) => [name, origin]),
    [
      ['daily', 'code'],
      ['gone', 'orphan'],
    ],
  );
  assert.equal((await routines.describe('gone')).state.paused, false);
});

test('of two releases that disagree the newer wins, in whatever order they sync (row 61)', async () => {
  await using routines = new RoutineApp({ daily: noon }, { release: '1.9' });
  const older = routines.app;
  await older.syncRoutines();
  const newer = routines.again({ daily: one }, { release: '1.10' });
  await routines.isListed();
  assert.deepEqual((await newer.syncRoutines()).followed, [
    { name: 'daily', fields: ['schedule'] },
  ]);
  const after = await trace(routines, 'daily');
  await routines.isListed();
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await older.syncRoutines(), NOTHING);
    assert.deepEqual(await newer.syncRoutines(), NOTHING);
  }
  assert.deepEqual(await trace(routines, 'daily'), after);
  const [diff] = await older.diffRoutines();
  assert.equal(diff?.newerRelease, '1.10');
});

test('a newer release that says the same is remembered, so that an older one does not undo it', async () => {
  await using routines = new RoutineApp({ daily: noon }, { release: '1.0' });
  await routines.app.syncRoutines();
  await routines.isListed();
  const newest = routines.again({ daily: noon }, { release: '3.0' });
  assert.deepEqual(await newest.syncRoutines(), NOTHING);
  await routines.isListed();
  const between = routines.again({ daily: one }, { release: '2.0' });
  assert.deepEqual(await between.syncRoutines(), NOTHING);
  assert.equal((await routines.describe('daily')).spec.calendars?.[0]?.comment, '0 12 * * *');
});

test('without releases the one that starts last wins', async () => {
  await using routines = new RoutineApp({ daily: noon });
  await routines.app.syncRoutines();
  const other = routines.again({ daily: one });
  await routines.isListed();
  const comment = async () => (await routines.describe('daily')).spec.calendars?.[0]?.comment;
  await other.syncRoutines();
  assert.equal(await comment(), '0 1 * * *');
  await routines.app.syncRoutines({ full: true });
  assert.equal(await comment(), '0 12 * * *');
});

test('twenty workers that start at once with thirty routines make thirty schedules (row 60)', async () => {
  const table = (routine: Routine) =>
    Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`r${index}`, routine]));
  await using routines = new RoutineApp(table(noon));
  const apps = Array.from({ length: 20 }, () => routines.again(table(noon)));
  const reports = await all(apps.map((app) => app.syncRoutines()));
  const created = reports.flatMap((report) => report.created);
  // a server that is late with its answer has created one that nobody claims
  assert.equal(new Set(created).size, created.length);
  for (const report of reports) assert.deepEqual({ ...report, created: [] }, NOTHING);
  assert.equal((await routines.listed(({ length }) => length >= 30)).length, 30);

  // and as many that bring another table
  const next = Array.from({ length: 20 }, () => routines.again(table(one)));
  const follows = await all(next.map((app) => app.syncRoutines({ full: true })));
  for (const report of follows) assert.deepEqual({ ...report, followed: [] }, NOTHING);
  assert.deepEqual(await states(routines.again(table(one))), []);
});

test('a server that keeps the attribute of the marks to itself gets schedules without', async () => {
  await using routines = new RoutineApp({ daily: noon });
  const { app } = routines;
  const { workflowService } = app.client.temporal;
  const { createSchedule, updateSchedule } = workflowService;
  const refusal = Object.assign(new Error('3 INVALID_ARGUMENT'), {
    code: 3,
    details: 'BatcherUser is a reserved search attribute',
    metadata: { get: () => [] },
  });
  Object.assign(workflowService, {
    createSchedule: (request: { searchAttributes?: object | null }) =>
      request.searchAttributes
        ? Promise.reject(refusal)
        : createSchedule.call(workflowService, request),
    updateSchedule: (request: { searchAttributes?: object | null }) =>
      request.searchAttributes
        ? Promise.reject(refusal)
        : updateSchedule.call(workflowService, request),
  });
  assert.deepEqual((await app.syncRoutines()).created, ['daily']);
  assert.deepEqual((await routines.describe('daily')).searchAttributes, {});
  await routines.isListed();
  const next = routines.again({ daily: { ...noon, args: [1] } });
  await next.syncRoutines();
  await routines.isListed();
  assert.deepEqual((await app.syncRoutines()).followed, [{ name: 'daily', fields: ['args'] }]);
});
