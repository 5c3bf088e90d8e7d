import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { crontab, currentTask, Sedano, type Routine } from 'sedano';
import { startWorker } from 'sedano/worker';
import { syncRoutines } from '../src/routines/sync.ts';
import { testApp, uniqueName } from './helpers/harness.ts';
import { lastRun, temporal } from './helpers/temporal-cli.ts';

/** An app with one task and these routines; its schedules are deleted when the scope ends. */
function routineApp(table: Record<string, Routine>, name = uniqueName('routines')) {
  const app = new Sedano(name, { timezone: 'Europe/Rome' });
  app.task({ name: 'clear' }, async () => 'cleared');
  app.routines(table);
  return {
    app,
    schedule: (routine: string) => app.client.temporal.schedule.getHandle(`${name}/${routine}`),
    async [Symbol.asyncDispose]() {
      for (const routine of Object.keys(table)) await this.schedule(routine).delete();
      await app.close();
    },
  };
}

const noon: Routine = { task: 'clear', schedule: crontab({ hour: 12, minute: 0 }) };

test('a routine becomes a schedule that starts the task, with its zone and explicit calendar', async () => {
  await using routines = routineApp({
    quarters: { task: 'clear', schedule: crontab({ minute: '*/15' }), args: [{ deep: true }] },
  });
  assert.deepEqual((await syncRoutines(routines.app)).created, ['quarters']);
  const { name } = routines.app;
  const { spec, action, policies, state, memo, raw } = await routines
    .schedule('quarters')
    .describe();
  assert.equal(spec.timezone, 'Europe/Rome');
  const [calendar] = spec.calendars ?? [];
  assert.deepEqual(calendar?.minute, [{ start: 0, end: 45, step: 15 }]);
  assert.deepEqual(calendar?.hour, [{ start: 0, end: 23, step: 1 }]);
  assert.equal(calendar?.comment, '*/15 * * * *');
  assert.equal(action.workflowType, 'clear');
  assert.equal(action.taskQueue, name);
  assert.equal(action.workflowId, `${name}/quarters`);
  assert.deepEqual(action.args, [{ deep: true }]);
  assert.equal(policies.overlap, ScheduleOverlapPolicy.SKIP);
  assert.equal(Number(raw.schedule?.policies?.catchupWindow?.seconds), 365 * 86_400);
  assert.equal(state.paused, false);
  const code = {
    task: 'clear',
    schedule: '*/15 * * * *',
    timezone: 'Europe/Rome',
    args: [{ deep: true }],
    queue: name,
    enabled: true,
    overlap: 'skip',
    missed: 'latest',
    startAt: null,
    endAt: null,
    jitterMs: 0,
    description: '',
    expiresMs: null,
  };
  assert.deepEqual(memo, { sedano: { v: 2, app: name, routine: 'quarters', by: 'code', code } });
  const { description, missed, expiresMs, jitterMs, overlap } = code;
  const extra = { description, missed, expiresMs, jitterMs, overlap };
  assert.deepEqual(action.memo, { sedano: { v: 2, code, release: null, extra, edits: [] } });
});

test('a routine that is not enabled is created paused', async () => {
  await using routines = routineApp({ off: { ...noon, enabled: false } });
  await syncRoutines(routines.app);
  const [row] = await routines.app.listRoutines();
  assert.equal(row?.enabled, false);
});

test('workers that start at once create each routine exactly once, without an error', async () => {
  const table = { first: noon, second: noon, third: noon };
  await using routines = routineApp(table);
  const apps = Array.from({ length: 8 }, () => {
    const app = new Sedano(routines.app.name);
    app.task({ name: 'clear' }, async () => 'cleared');
    app.routines(table);
    return app;
  });
  try {
    const created = await Promise.all(apps.map((app) => syncRoutines(app)));
    const names = created.flatMap((report) => report.created);
    assert.deepEqual(names.toSorted(), ['first', 'second', 'third']);
  } finally {
    await Promise.all(apps.map((app) => app.close()));
  }
});

test('what an admin paused or edited with Temporal’s command line is never overwritten', async () => {
  await using routines = routineApp({ paused: noon, moved: noon });
  const { app } = routines;
  await using _first = await startWorker(app, { grace: '1s' });
  await temporal(
    'schedule',
    'toggle',
    '--schedule-id',
    `${app.name}/paused`,
    '--pause',
    '--reason',
    'holiday',
  );
  const moved = ['--schedule-id', `${app.name}/moved`, '--type', 'clear', '--task-queue', app.name];
  await temporal('schedule', 'update', ...moved, '--calendar', '{"hour":"3","minute":"7"}');
  const before = await Promise.all(
    ['paused', 'moved'].map((name) => routines.schedule(name).describe()),
  );
  await _first.stop();

  await using _second = await startWorker(app, { grace: '1s' });
  const after = await Promise.all(
    ['paused', 'moved'].map((name) => routines.schedule(name).describe()),
  );
  assert.deepEqual(
    after.map(({ raw }) => raw.schedule),
    before.map(({ raw }) => raw.schedule),
  );
  assert.equal(after[0]?.state.note, 'holiday');
  assert.deepEqual(after[1]?.spec.calendars?.[0]?.hour, [{ start: 3, end: 3, step: 1 }]);
});

test('a routine that Temporal’s command line has left without a zone is listed, in UTC', async () => {
  await using routines = routineApp({ daily: noon });
  const { app } = routines;
  await syncRoutines(app);
  const target = [
    '--schedule-id',
    `${app.name}/daily`,
    '--type',
    'clear',
    '--task-queue',
    app.name,
  ];
  await temporal('schedule', 'update', ...target, '--cron', '5 5 * * *');
  const [row] = await app.listRoutines();
  assert.equal(row?.timezone, 'UTC');
  assert.match(row?.nextLocal[0] ?? '', /^\d{4}-\d\d-\d\d 05:05$/);
  await temporal('schedule', 'update', ...target, '--cron', '5 5 * * *', '--time-zone', 'Local');
  const [local] = await app.listRoutines();
  assert.equal(local?.timezone, 'Local');
  assert.equal(local?.nextLocal[0], local?.next[0]?.toISOString());
});

test('a changed table changes a routine that nobody has edited', async () => {
  await using routines = routineApp({ daily: noon });
  await syncRoutines(routines.app);
  const next = new Sedano(routines.app.name, { timezone: 'Europe/Rome' });
  next.task({ name: 'clear' }, async () => 'cleared');
  next.routines({ daily: { task: 'clear', schedule: crontab({ hour: 1, minute: 0 }) } });
  assert.deepEqual((await syncRoutines(next)).created, []);
  const [row] = await next.listRoutines();
  await next.close();
  assert.equal(row?.crontab, '0 1 * * *');
});

test('two apps in one namespace have routines of the same name', async () => {
  await using one = routineApp({ daily: noon });
  await using two = routineApp({ daily: { ...noon, schedule: crontab({ hour: 1, minute: 0 }) } });
  await syncRoutines(one.app);
  await syncRoutines(two.app);
  assert.equal((await one.app.listRoutines())[0]?.crontab, '0 12 * * *');
  assert.equal((await two.app.listRoutines())[0]?.crontab, '0 1 * * *');
});

test('routines are listed with the times at which the crontab says they run', async () => {
  await using routines = routineApp({ b: noon, a: { ...noon, timezone: 'America/New_York' } });
  await syncRoutines(routines.app);
  const rows = await routines.app.listRoutines();
  assert.deepEqual(
    rows.map(({ name, task, crontab: line, timezone, enabled }) => ({
      name,
      task,
      line,
      timezone,
      enabled,
    })),
    [
      { name: 'a', task: 'clear', line: '0 12 * * *', timezone: 'America/New_York', enabled: true },
      { name: 'b', task: 'clear', line: '0 12 * * *', timezone: 'Europe/Rome', enabled: true },
    ],
  );
  for (const { next, timezone } of rows) {
    const [first] = next;
    assert.ok(first);
    const from = new Date(first.getTime() - 1);
    assert.deepEqual(next, noon.schedule.next({ from, count: next.length, timezone }));
  }
});

test('a routine’s run knows its routine', async () => {
  await using app = testApp();
  app.task({ name: 'tell' }, async () => currentTask().routine ?? 'none');
  app.routines({ 'nightly-clean up': { task: 'tell', schedule: crontab({ monthOfYear: 1 }) } });
  await using _worker = await startWorker(app, { grace: '1s' });
  const handle = app.client.temporal.schedule.getHandle(`${app.name}/nightly-clean up`);
  await handle.trigger(ScheduleOverlapPolicy.SKIP);
  const id = await lastRun(handle.scheduleId);
  assert.equal(await app.result(id).get(), 'nightly-clean up');
  await handle.delete();
});
