import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { currentTask, Sedano } from 'sedano';
import { latch } from './helpers/harness.ts';
import { lost, openRedis } from './helpers/locks.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

test('a table that keeps the fence refuses the late write of a holder that was paused', async () => {
  await using redis = await PrivateRedis.start();
  await using app = new Sedano('stock', { redis: redis.url, lock: { lease: '1s' } });
  await using database = await PGlite.create();
  await database.exec(`
    CREATE TABLE stock_count (id integer PRIMARY KEY, counted integer, fence bigint NOT NULL DEFAULT 0);
    INSERT INTO stock_count (id) VALUES (7);
  `);
  const [paused, goOn] = [latch(), latch()];
  const writes: object[] = [];

  const count = app.task(
    { name: 'count stock', exclusive: { lockId: 'stock' } },
    async (counted: number, pause: boolean) => {
      const { lock } = currentTask();
      assert.ok(lock);
      if (pause) {
        paused.open();
        await goOn.promise;
        await lost(lock);
      }
      const { affectedRows } = await database.query(
        'UPDATE stock_count SET counted = $2, fence = $1 WHERE id = $3 AND fence <= $1',
        [lock.fence, counted, 7],
      );
      writes.push({ counted, affectedRows, isHeld: lock.isHeld() });
    },
  );

  const late = assert.rejects(count.run(1, true), { name: 'LockLostError' });
  await paused.promise;
  {
    using admin = openRedis(redis.url);
    await admin.flushall();
  }
  await count.run(2, false);
  goOn.open();
  await late;
  assert.deepEqual(writes, [
    { counted: 2, affectedRows: 1, isHeld: true },
    { counted: 1, affectedRows: 0, isHeld: false },
  ]);
  const { rows } = await database.query('SELECT counted FROM stock_count');
  assert.deepEqual(rows, [{ counted: 2 }]);
});
