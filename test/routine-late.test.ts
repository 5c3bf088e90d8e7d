import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { every, Sedano, TaskRevokedError, type Routine, type TaskOptions } from 'sedano';
import { startWorker } from 'sedano/worker';
import { definitionOf, toSchedule } from '../src/routines/definition.ts';
import { beginByOf } from '../src/workflows/begin-by.ts';
import { latch, uniqueName } from './helpers/harness.ts';
import { lastRun } from './helpers/temporal-cli.ts';

const YEAR = '365d';

/** An app with one routine, which runs only when it is asked to, and what its task has heard. */
async function lateApp(
  routine: Partial<Routine>,
  { code = async () => {}, ...options }: Partial<TaskOptions> & { code?: () => Promise<void> } = {},
) {
  const app = new Sedano(uniqueName('late'));
  const begun: string[] = [];
  const ended = latch<{ state: string; message: string }>();
  const task = app.task({ name: 'work', ...options }, async (who: string) => {
    begun.push(who);
    await code();
  });
  task.afterReturn = (state, value) => {
    ended.open({ state, message: value instanceof Error ? value.message : String(value) });
  };
  const row = { task: 'work', schedule: every(YEAR), args: ['routine'], ...routine };
  const said = definitionOf(app, 'job', row);
  const memo = { code: said, release: null, edits: [] };
  const handle = await app.client.temporal.schedule.create(toSchedule(app, 'job', said, { memo }));
  return {
    app,
    begun,
    ended: ended.promise,
    handle,
    /** A run that was due at the last interval, long ago. */
    async backfill() {
      const [due] = every(YEAR).next({ from: new Date(Date.now() - 366 * 86_400_000) });
      assert.ok(due);
      const around = { start: new Date(due.getTime() - 1), end: new Date(due.getTime() + 1) };
      await handle.backfill({ ...around, overlap: 'ALLOW_ALL' });
      return await lastRun(handle.scheduleId);
    },
    async [Symbol.asyncDispose]() {
      await handle.delete();
      await app.close();
    },
  };
}

const late: [string, Partial<Routine>, RegExp][] = [
  ['expires', { expires: '1h' }, /its routine's runs expire 3600 s after their due time/],
  ["missed 'skip'", { missed: 'skip' }, /skips what is more than 10 s late/],
];

for (const [what, routine, reason] of late) {
  test(`a run that comes too late for ${what} ends as REVOKED, without its code`, async () => {
    await using routines = await lateApp(routine);
    const id = await routines.backfill();
    await using _worker = await startWorker(routines.app, { grace: '1s' });
    const result = routines.app.result(id);
    await assert.rejects(result.get(), TaskRevokedError);
    assert.equal(await result.state(), 'REVOKED');
    assert.deepEqual(routines.begun, []);
    const { state, message } = await routines.ended;
    assert.equal(state, 'REVOKED');
    assert.match(message, reason);
  });
}

const inTime: [string, Partial<Routine>][] = [
  ['nothing said of it', {}],
  ["missed 'skip' and an overlap that lets runs wait", { missed: 'skip', overlap: 'bufferAll' }],
];

for (const [what, routine] of inTime) {
  test(`a run that was due long ago runs with ${what}`, async () => {
    await using routines = await lateApp(routine);
    await using _worker = await startWorker(routines.app, { grace: '1s' });
    await routines.app.result(await routines.backfill()).get();
    assert.deepEqual(routines.begun, ['routine']);
  });
}

test('a run that is asked for is in time', async () => {
  await using routines = await lateApp({ missed: 'skip', expires: '10m' });
  await using _worker = await startWorker(routines.app, { grace: '1s' });
  await routines.handle.trigger('SKIP');
  await routines.app.result(await lastRun(routines.handle.scheduleId)).get();
  assert.deepEqual(routines.begun, ['routine']);
});

test('a run whose workflow began in time and whose turn at a busy worker came too late is revoked', async () => {
  const busy = latch();
  const running = latch();
  await using routines = await lateApp(
    { expires: '2s' },
    {
      code: async () => {
        running.open();
        await busy.promise;
      },
    },
  );
  const { app, handle } = routines;
  await using _worker = await startWorker(app, { grace: '1s', concurrency: 1 });
  const other = await app.sendTask('work', ['other']);
  await running.promise;
  await handle.trigger('SKIP');
  const result = app.result(await lastRun(handle.scheduleId));
  // its activity is there, and waits for the only slot
  while (!(await hasActivity(app, result.id))) await delay(50);
  await delay(2_000);
  busy.open();
  await other.get();
  await assert.rejects(result.get(), TaskRevokedError);
  assert.deepEqual(routines.begun, ['other']);
});

async function hasActivity(app: Sedano, id: string): Promise<boolean> {
  const { raw } = await app.client.temporal.workflow.getHandle(id).describe();
  return (raw.pendingActivities ?? []).length > 0;
}

test('a run that waits for a lock is revoked when its time is over, and gives up its place', async () => {
  const busy = latch();
  const running = latch();
  await using routines = await lateApp(
    { expires: '3s' },
    {
      exclusive: { lockId: uniqueName('lock'), onBusy: 'wait' },
      code: async () => {
        running.open();
        await busy.promise;
      },
    },
  );
  const { app, handle } = routines;
  await using _worker = await startWorker(app, { grace: '1s' });
  const holder = await app.sendTask('work', ['holder']);
  await running.promise;
  await handle.trigger('SKIP');
  const result = app.result(await lastRun(handle.scheduleId));
  await assert.rejects(result.get(), TaskRevokedError);
  assert.equal(await holder.state(), 'STARTED');
  busy.open();
  await holder.get();
  await (await app.sendTask('work', ['next'])).get();
  assert.deepEqual(routines.begun, ['holder', 'next']);
});

const due = new Date('2027-01-01T12:00:00Z');
const started = new Date('2027-01-01T12:05:00Z');

test('the earlier of two limits counts; jitter puts it off', () => {
  const rule = { missed: 'skip', overlap: 'skip', expiresMs: 5_000, jitterMs: 60_000 } as const;
  const limit = beginByOf(rule, { due, started });
  assert.equal(limit?.ms, Date.parse('2027-01-01T12:01:05Z'));
  assert.match(
    limit?.reason ?? '',
    /expire 5 s after their due time, here 2027-01-01T12:00:00.000Z/,
  );
});

test('a run that waited for the run before is late from its start on', () => {
  const limit = beginByOf({ missed: 'skip', overlap: 'bufferOne' }, { due, started });
  assert.equal(limit?.ms, Date.parse('2027-01-01T12:05:10Z'));
});

test('a run of a routine that says nothing of it is never late', () => {
  const rule = { missed: 'latest', overlap: 'skip', expiresMs: null, jitterMs: 0 } as const;
  assert.equal(beginByOf(rule, { due, started }), undefined);
});
