import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, every, type Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';
import { editRoutine, pauseRoutine } from '../src/routines/edits.ts';
import { settleFinished } from '../src/routines/finished.ts';
import { readActionMemo } from '../src/routines/memo.ts';
import { until } from './helpers/locks.ts';
import { noon, RoutineApp } from './helpers/routines.ts';

const inSeconds = (seconds: number) => at(new Date(Date.now() + seconds * 1_000));

const later = at(new Date('2090-01-01T00:00:00Z'));

/** Resolves when the server has started the run of each of these. */
async function haveRun(routines: RoutineApp, ...names: string[]): Promise<void> {
  for (const name of names) {
    await until(
      `${name} has run`,
      async () => (await routines.describe(name)).state.remainingActions === 0,
    );
  }
  // its moment is over in the list, too
  await routines.isListed();
}

/** What the server says of it that a pause, an edit or a run would change. */
async function trace(routines: RoutineApp, name: string) {
  const { raw } = await routines.describe(name);
  return { token: raw.conflictToken, schedule: raw.schedule };
}

async function row(app: Sedano, name: string) {
  const rows = await app.listRoutines();
  return rows.find((one) => one.name === name);
}

test('a routine whose one run was started is paused as done by the next worker, and is no drift', async () => {
  await using routines = new RoutineApp({ once: { task: 'clear', schedule: inSeconds(4) } });
  const { app } = routines;
  await app.syncRoutines();
  await haveRun(routines, 'once');
  await using _worker = await startWorker(app, { grace: '1s' });
  const { state, action } = await routines.describe('once');
  assert.deepEqual([state.paused, state.note, state.remainingActions], [true, 'done', 0]);
  assert.deepEqual(readActionMemo(action.memo)?.edits, []);
  const listed = await row(app, 'once');
  assert.deepEqual([listed?.enabled, listed?.note, listed?.runs], [true, 'done', 1]);
  const before = await trace(routines, 'once');
  const { created, followed, drift } = await app.syncRoutines();
  assert.deepEqual({ created, followed, drift }, { created: [], followed: [], drift: [] });
  assert.deepEqual(await settleFinished(app), []);
  assert.deepEqual(await trace(routines, 'once'), before);
});

test('workers that start at once pause it once', async () => {
  await using routines = new RoutineApp({ once: { task: 'clear', schedule: inSeconds(4) } });
  await routines.app.syncRoutines();
  await haveRun(routines, 'once');
  const apps = Array.from({ length: 8 }, () => routines.again({}));
  await Promise.all(apps.map(async (app) => await settleFinished(app)));
  const { state } = await routines.describe('once');
  assert.deepEqual([state.paused, state.note], [true, 'done']);
});

test('what is still to come, repeats, was paused by somebody, or is another app’s is left alone', async () => {
  await using routines = new RoutineApp({
    later: { task: 'clear', schedule: later },
    daily: noon,
    often: { task: 'clear', schedule: every('2s') },
    held: { task: 'clear', schedule: inSeconds(4) },
  });
  await using other = new RoutineApp({ once: { task: 'clear', schedule: inSeconds(4) } });
  await routines.app.syncRoutines();
  await other.app.syncRoutines();
  await haveRun(routines, 'held');
  await haveRun(other, 'once');
  await pauseRoutine(routines.app, 'held', { by: 'ada', reason: 'holiday' });
  await routines.isListed();
  const names = ['later', 'daily', 'often', 'held'];
  const traces = async () => await Promise.all(names.map((name) => trace(routines, name)));
  const before = await traces();
  const others = await trace(other, 'once');
  assert.deepEqual(await settleFinished(routines.app), []);
  assert.deepEqual(await traces(), before);
  assert.deepEqual(await trace(other, 'once'), others);
});

test('a done routine that gets another moment runs again, whether the code or an edit gives it', async () => {
  const once = { task: 'clear', schedule: inSeconds(4) };
  await using routines = new RoutineApp({ followed: once, edited: once });
  const { app } = routines;
  // a moment is skipped while the run of the one before goes on
  await using _worker = await startWorker(app, { grace: '1s' });
  await haveRun(routines, 'followed', 'edited');
  assert.deepEqual(await settleFinished(app), ['edited', 'followed']);
  const next = { task: 'clear', schedule: inSeconds(6) };
  const again = routines.again({ followed: next, edited: once });
  await again.syncRoutines();
  await editRoutine(app, 'edited', { schedule: next.schedule.toString() }, { by: 'ada' });
  for (const name of ['followed', 'edited']) {
    const { state } = await routines.describe(name);
    assert.deepEqual([state.paused, state.note], [false, ''], name);
    await until(
      `${name} has run again`,
      async () => (await routines.describe(name)).info.numActionsTaken === 2,
    );
  }
});
