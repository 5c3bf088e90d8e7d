import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crontab, Sedano, type Routine } from 'sedano';
import { planSync, syncRoutines } from '../src/routines/sync.ts';
import { uniqueName } from './helpers/harness.ts';

const ROUTINES = Number(process.env['ROUTINES'] ?? 1_000);

test(`${ROUTINES} routines: one sync creates them, the next writes nothing`, async (t) => {
  await using app = new Sedano(uniqueName('scale'));
  app.task({ name: 'clear' }, async () => 'cleared');
  const table: Record<string, Routine> = {};
  for (let number = 0; number < ROUTINES; number++) {
    // none is due while the test runs
    const schedule = crontab({ minute: number % 60, hour: 3, dayOfMonth: 29, monthOfYear: 2 });
    table[`routine-${number}`] = { task: 'clear', schedule };
  }
  app.routines(table);
  const handleOf = (name: string) => app.client.temporal.schedule.getHandle(`${app.name}/${name}`);
  try {
    const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      const since = performance.now();
      const value = await work();
      t.diagnostic(`${what}: ${((performance.now() - since) / 1_000).toFixed(2)} s`);
      return value;
    };
    let told = 0;
    const first = await timed('created', () =>
      syncRoutines(app, { onProgress: (done, total) => (told = done / total) }),
    );
    assert.equal(first.created.length, ROUTINES);
    assert.equal(told, 1);
    // the list is a second or two behind
    await timed('listed', async () => {
      while ((await planSync(app)).some(({ missing }) => missing));
    });
    const before = await handleOf('routine-7').describe();
    let asked = 0;
    const second = await timed('synced again', () =>
      syncRoutines(app, { onProgress: () => (asked += 1) }),
    );
    const nothing = { created: [], followed: [], drift: [], orphans: [], foreign: [], past: [] };
    assert.deepEqual(second, nothing);
    assert.equal(asked, 0, 'asked for single schedules');
    const after = await handleOf('routine-7').describe();
    assert.deepEqual(after.raw.conflictToken, before.raw.conflictToken);
    const all = await timed('compared whole', () => planSync(app, { full: true }));
    assert.equal(all.length, ROUTINES);
    assert.ok(all.every(({ fields, missing }) => fields.length === 0 && !missing));
    const rows = await timed('shown', () => app.listRoutines());
    assert.equal(rows.length, ROUTINES);
  } finally {
    const names = Object.keys(table);
    for (let start = 0; start < names.length; start += 20) {
      const some = names.slice(start, start + 20);
      await Promise.all(
        some.map((name) =>
          handleOf(name)
            .delete()
            .catch(() => {}),
        ),
      );
    }
  }
});
