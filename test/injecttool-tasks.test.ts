import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PrivateRedis } from './helpers/private-redis.ts';

// the application reads its settings when it is imported
const home = await mkdtemp(join(tmpdir(), 'injecttool-'));
const redis = await PrivateRedis.start();
Object.assign(process.env, { SEDANO_HOME: home, REDIS_URL: redis.url });
for (const name of [
  'DATABASE_URL',
  'USI_URL',
  'USI_AUTH_URL',
  'USI_MANAGER',
  'USI_MANAGER_PASSWORD',
]) {
  delete process.env[name];
}
const { app } = await import('../injecttool/app.ts');
const { closeResources, useDatabase } = await import('../injecttool/resources.ts');
const { UsiConnectionError } = await import('../injecttool/usi/index.ts');

before(() => app.loadTasks());
after(async () => {
  await closeResources();
  await app.close();
  await redis[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

test('the application has its tasks, each with a description', () => {
  assert.deepEqual(
    app.tasks.map(({ name, task }) => [name, task.description]),
    [
      ['Complete Retrieval Process', 'Settle a UID submission once BioSamples has answered'],
      ['Fetch USI status', 'Fetch biosample using USI API'],
      ['clearsessions', 'Clean up expired sessions'],
    ],
  );
});

test('clearsessions deletes expired sessions and keeps the others', async () => {
  const database = await useDatabase();
  const count = async (condition: string) => {
    const [row] = await database.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM django_session WHERE ${condition}`,
    );
    return row?.n;
  };
  const alive = await count('expire_date > now()');
  assert.notEqual(await count('expire_date < now()'), 0);
  assert.equal(await app.registered('clearsessions')?.task.run(), 'Session cleaned with success');
  assert.equal(await count('expire_date < now()'), 0);
  assert.equal(await count('expire_date > now()'), alive);
});

test('"Fetch USI status" is exclusive, and retried three times, 180 s apart, for a connection error', () => {
  const registration = app.registered('Fetch USI status');
  assert.deepEqual(registration?.exclusive, {
    taskName: 'Fetch USI status',
    lockId: 'FetchStatusTask',
    onBusy: 'message',
  });
  assert.deepEqual(registration?.task.autoretryFor, [UsiConnectionError]);
  assert.equal(registration?.task.maxRetries, 3);
  assert.equal(registration?.task.retryDelay, '180s');
});

test('without the account "Fetch USI status" fails with a clear error', async () => {
  await assert.rejects(async () => await app.registered('Fetch USI status')?.task.run(), {
    name: 'ConfigError',
    message:
      'settings: USI_MANAGER and USI_MANAGER_PASSWORD: expected the account that watches submissions, got none',
    hint: 'Set both, or try the application with npm start, which brings a USI server of its own.',
  });
});
