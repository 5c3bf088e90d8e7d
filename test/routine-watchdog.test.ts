import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { at, every, type Routine } from 'sedano';
import { startWorker } from 'sedano/worker';
import { checkRoutines, overdueSince } from '../src/routines/check.ts';
import { watchRoutines } from '../src/routines/watchdog.ts';
import { createProject, Shell, type Ended } from './helpers/command-line.ts';
import { appAt } from './helpers/fault-app.ts';
import { latch } from './helpers/harness.ts';
import { until } from './helpers/locks.ts';
import { PrivateTemporal } from './helpers/private-temporal.ts';
import { noon, RoutineApp } from './helpers/routines.ts';

type Project = Awaited<ReturnType<typeof createProject>>;

let project: Project;
let shell: Shell;
before(async () => {
  project = await createProject();
  shell = new Shell();
});
after(async () => {
  await shell[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const { TEMPORAL_ADDRESS, REDIS_URL } = process.env;

const check = (...flags: string[]): Promise<Ended> =>
  shell.sedano(['routines', 'check', ...flags], {
    cwd: project.folder,
    env: { ...project.env, TEMPORAL_ADDRESS, REDIS_URL },
  });

const DEADLINE_MS = 100_000;
const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;

const later = (date: Date | undefined, ms: number) =>
  new Date((date?.getTime() ?? Number.NaN) + ms);

/** Resolves when there is a schedule of the routine. */
async function exists(routines: RoutineApp, name: string): Promise<void> {
  await until(
    `the schedule of ${name} is back`,
    async () =>
      await routines.describe(name).then(
        () => true,
        async () => await delay(50, false),
      ),
    DEADLINE_MS,
  );
}

test('a schedule that has vanished comes back while the worker runs, and an edited one stays', async () => {
  await using routines = new RoutineApp({ daily: noon, edited: noon });
  const { app } = routines;
  // with the interval that it has
  await using _worker = await startWorker(app, { grace: '1s' });
  await routines.handle('edited').pause('holiday');
  await routines.handle('daily').delete();
  await exists(routines, 'daily');
  assert.equal((await routines.describe('daily')).spec.calendars?.[0]?.comment, '0 12 * * *');
  assert.equal((await routines.describe('edited')).state.note, 'holiday');
});

test('of many that look, one creates what has vanished; what is past does not come back', async () => {
  const table: Record<string, Routine> = {
    daily: noon,
    'at "noon"': noon,
    once: { task: 'clear', schedule: at(new Date('2020-01-01T00:00:00Z')) },
  };
  await using routines = new RoutineApp(table);
  const apps = [routines.app, ...Array.from({ length: 4 }, () => routines.again(table))];
  await routines.app.syncRoutines();
  const ends = apps.map((app) => watchRoutines(app, { intervalMs: 200 }));
  try {
    await Promise.all(['daily', 'at "noon"'].map((name) => routines.handle(name).delete()));
    await Promise.all(['daily', 'at "noon"'].map((name) => exists(routines, name)));
    assert.deepEqual(await checkRoutines(routines.app), []);
    await assert.rejects(routines.describe('once'));
  } finally {
    await Promise.all(ends.map((end) => end()));
  }
});

test('what a release that has not started yet says is left to it', async () => {
  await using routines = new RoutineApp({ daily: noon, gone: noon });
  await routines.app.syncRoutines();
  const next = routines.again({ daily: { ...noon, args: [1] }, gone: noon });
  const end = watchRoutines(next, { intervalMs: 200 });
  try {
    await routines.handle('gone').delete();
    await exists(routines, 'gone');
    assert.deepEqual((await routines.describe('daily')).action.args, []);
  } finally {
    await end();
  }
});

test('a server that is away is asked again, and then has its schedules', async () => {
  await using server = await PrivateTemporal.start();
  await using app = appAt(server.address, { name: 'watched' });
  app.task({ name: 'clear' }, async () => 'cleared');
  app.routines({ daily: noon });
  const end = watchRoutines(app, { intervalMs: 200 });
  try {
    const handle = app.client.temporal.schedule.getHandle('watched/daily');
    const isThere = async () =>
      await handle.describe().then(
        () => true,
        async () => await delay(50, false),
      );
    await until('it is created', isThere, DEADLINE_MS);
    const tried = latch();
    const { workflowService } = app.client.temporal;
    const { listSchedules } = workflowService;
    await handle.delete();
    await server.kill();
    Object.assign(workflowService, {
      listSchedules: (...args: Parameters<typeof listSchedules>) => {
        tried.open();
        return listSchedules.apply(workflowService, args);
      },
    });
    await tried.promise;
    await server.restart();
    await until('it is back', isThere, DEADLINE_MS);
  } finally {
    await end();
  }
});

test('it ends at once, also while it asks', async () => {
  await using routines = new RoutineApp({ daily: noon });
  const asking = latch();
  const { workflowService } = routines.app.client.temporal;
  const { listSchedules } = workflowService;
  Object.assign(workflowService, {
    listSchedules: (...args: Parameters<typeof listSchedules>) => {
      asking.open();
      return listSchedules.apply(workflowService, args);
    },
  });
  const end = watchRoutines(routines.app, { intervalMs: 1 });
  await asking.promise;
  await end();
  await end();
});

test('a due time without a run is overdue a minute later', async () => {
  const hourly: Routine = { task: 'clear', schedule: every('1h') };
  await using routines = new RoutineApp({
    hourly,
    jittered: { ...hourly, jitter: '5m' },
    paused: { ...hourly, enabled: false },
    over: { ...hourly, endAt: new Date(Date.now() + 1) },
    later: { ...hourly, startAt: new Date('2090-01-01T00:00:00Z') },
  });
  await routines.app.syncRoutines();
  assert.deepEqual(await checkRoutines(routines.app), []);
  const hourlySchedule = await routines.describe('hourly');
  const [due] = hourlySchedule.info.nextActionTimes;
  const overdue = async (name: string, ms: number) =>
    overdueSince(await routines.describe(name), { now: later(due, ms) });
  assert.equal(await overdue('hourly', 59 * SECOND_MS), undefined);
  assert.deepEqual(await overdue('hourly', 61 * SECOND_MS), due);
  assert.equal(await overdue('jittered', 59 * SECOND_MS), undefined);
  assert.ok(await overdue('jittered', 361 * SECOND_MS));
  for (const name of ['paused', 'over', 'later']) {
    assert.equal(await overdue(name, 5 * HOUR_MS), undefined, name);
  }
});

test('a due time that the server has passed over is overdue, unless something accounts for it', async () => {
  await using routines = new RoutineApp({ hourly: { task: 'clear', schedule: every('1h') } });
  await routines.app.syncRoutines();
  const schedule = await routines.describe('hourly');
  const [due, second] = schedule.info.nextActionTimes;
  const now = later(second, 90 * SECOND_MS);
  const passedOver = (info: Partial<typeof schedule.info>) => ({
    ...schedule,
    info: { ...schedule.info, nextActionTimes: [later(second, HOUR_MS)], ...info },
  });
  assert.deepEqual(overdueSince(passedOver({}), { now }), due);
  const misses = (count: number) => passedOver({ numActionsMissedCatchupWindow: count });
  assert.deepEqual(overdueSince(misses(1), { now }), due);
  assert.equal(overdueSince(misses(2), { now }), undefined);
  // the run before goes on, or ended after the last due time; or it was resumed then
  assert.equal(overdueSince(passedOver({}), { now, isBusy: true }), undefined);
  assert.deepEqual(overdueSince(passedOver({}), { now, since: [later(due, 1)] }), second);
  assert.equal(overdueSince(passedOver({}), { now, since: [later(second, 1)] }), undefined);
  // a time that the server still has before it, though it has passed, has no excuse
  const stuck = passedOver({ nextActionTimes: [later(due, 0)] });
  assert.deepEqual(overdueSince(stuck, { now, isBusy: true }), due);
});

test('a due time of which the server could not start a run is overdue', async () => {
  const atSecond = (Math.floor(Date.now() / SECOND_MS) + 4) % 3_600;
  const schedule = every('1h', { offset: `${atSecond}s` });
  await using routines = new RoutineApp({ hourly: { task: 'clear', schedule } });
  const { app } = routines;
  await app.syncRoutines();
  const [due] = schedule.next();
  const id = `${routines.id('hourly')}-${due?.toISOString().replace('.000Z', 'Z')}`;
  // a workflow of that id goes on already: the server lets the run fall without counting it
  const squatter = { workflowId: id, taskQueue: app.name, args: [] };
  const handle = await app.client.temporal.workflow.start('theirs', squatter);
  try {
    await until(
      'the server has passed over it',
      async () => {
        const [next] = (await routines.describe('hourly')).info.nextActionTimes;
        return next && due && next > due;
      },
      DEADLINE_MS,
    );
    const description = await routines.describe('hourly');
    assert.equal(description.info.numActionsTaken, 0);
    assert.deepEqual(overdueSince(description, { now: later(due, 61 * SECOND_MS) }), due);
  } finally {
    await handle.terminate();
  }
});

test('a run accounts for the due times before it', async () => {
  await using routines = new RoutineApp({ often: { task: 'clear', schedule: every('2s') } });
  const { app } = routines;
  await using _worker = await startWorker(app, { grace: '1s' });
  await until(
    'it has run twice',
    async () => (await routines.describe('often')).info.numActionsTaken >= 2,
    DEADLINE_MS,
  );
  assert.deepEqual(await checkRoutines(app), []);
  const { info, ...rest } = await routines.describe('often');
  const last = info.recentActions.at(-1)?.takenAt;
  const schedule = { ...rest, info: { ...info, nextActionTimes: [] } };
  assert.equal(overdueSince(schedule, { now: later(last, 60 * SECOND_MS) }), undefined);
  const due = overdueSince(schedule, { now: later(last, 65 * SECOND_MS) });
  assert.ok(due && last && due > last);
});

test('check exits 0 when all is well, and 1 with a line for what has vanished and what is foreign', async () => {
  await using routines = new RoutineApp({}, {}, project.name);
  await using _cleaner = new RoutineApp({ sums: noon, waits: noon }, {}, project.name);
  const sync = ['routines', 'sync'];
  const env = { ...project.env, TEMPORAL_ADDRESS, REDIS_URL };
  await shell.sedano(sync, { cwd: project.folder, env });
  const well = 'All 2 routines run as they should.\n';
  assert.deepEqual(await check(), { code: 0, stdout: well, stderr: '' });
  const json = await check('--json');
  assert.equal(json.code, 0);
  assert.deepEqual(JSON.parse(json.stdout), { routines: 2, findings: [] });

  await routines.handle('sums').delete();
  await routines.handle('waits').delete();
  await routines.app.client.temporal.schedule.create({
    scheduleId: routines.id('waits'),
    spec: { intervals: [{ every: '1 day' }] },
    action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
  });
  assert.deepEqual(await check(), {
    code: 1,
    stdout: `sums: the server has no schedule for it; create it with: sedano routines sync
waits: Sedano did not make the schedule '${project.name}/waits', which is left alone
`,
    stderr: '',
  });
  const found = await check('--json');
  assert.equal(found.code, 1);
  const { findings } = JSON.parse(found.stdout) as { findings: { problem: string }[] };
  assert.deepEqual(
    findings.map(({ problem }) => problem),
    ['vanished', 'foreign'],
  );
});
