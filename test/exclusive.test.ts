import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BaseTask, currentTask, exclusiveTask, Sedano, type AsyncResult } from 'sedano';
import { startWorker } from 'sedano/worker';
import { withTimeout } from '../src/timeout.ts';
import { latch, testApp, uniqueName, withWorker } from './helpers/harness.ts';
import { openRedis, until } from './helpers/locks.ts';
import { PrivateRedis } from './helpers/private-redis.ts';
import { createSchedule, startWorkflow } from './helpers/temporal-cli.ts';

const MESSAGE = 'Fetch USI status already running!';

/** An exclusive class task that runs until it is let go. */
function fetchTask(app: Sedano) {
  const [began, go] = [latch(), latch()];
  const runs = { count: 0 };
  class FetchStatus extends BaseTask {
    override readonly name = 'Fetch USI status';

    @exclusiveTask({ taskName: 'Fetch USI status', lockId: 'FetchStatusTask' })
    override async run(): Promise<string> {
      runs.count += 1;
      began.open();
      await go.promise;
      return 'success';
    }
  }
  return { task: app.register(new FetchStatus()), began, go, runs };
}

test('of ten callers at once, inline, by delay(), CLI and schedule, one runs and nine say "already running!"', async () => {
  const app = testApp();
  const { task, began, go, runs } = fetchTask(app);
  await withWorker(app, async () => {
    const inline = Array.from({ length: 3 }, () => task.run());
    const delayed = Array.from({ length: 3 }, async () => await (await task.delay()).get());
    const typed = Array.from({ length: 2 }, async () => {
      const id = await startWorkflow({ type: task.name, queue: app.name });
      return await app.result<string>(id).get();
    });
    const scheduled = Array.from({ length: 2 }, async () => {
      const id = await createSchedule({ type: task.name, queue: app.name, runNow: true });
      return await app.result<string>(id).get();
    });
    const all = [...inline, ...delayed, ...typed, ...scheduled];
    await began.promise;
    // each loser is told while the winner runs
    let told = 0;
    const losers = latch();
    for (const answer of all) {
      void answer.then((text) => {
        if (text === MESSAGE && (told += 1) === 9) losers.open();
      });
    }
    await losers.promise;
    go.open();
    const answers = await Promise.all(all);
    assert.equal(answers.filter((text) => text === MESSAGE).length, 9);
    assert.equal(answers.filter((text) => text === 'success').length, 1);
    assert.equal(runs.count, 1);
  });
});

test('a second delay() is refused at once, before a worker sees it', async () => {
  await using app = testApp();
  const { task } = fetchTask(app);
  const first = await task.delay();
  const second = await task.delay();
  assert.equal(first.id, `exclusive/${app.name}/FetchStatusTask`);
  assert.equal(first.accepted, true);
  assert.equal(second.accepted, false);
  assert.equal(await second.get(), MESSAGE);
  assert.equal(await second.state(), 'SUCCESS');
  assert.equal(await second.ready(), true);
  assert.equal(await second.info(), MESSAGE);
  await first.revoke();
});

test('a refused call gives the same answer again by its id, and revoking it does not revoke the holder', async () => {
  await using app = testApp();
  const { task } = fetchTask(app);
  const first = await task.delay();
  const { id } = await task.delay();
  assert.match(id, /^refused\//);
  const again: AsyncResult<string> = app.result<string>(id);
  assert.equal(again.accepted, false);
  assert.equal(await again.get(), MESSAGE);
  await assert.rejects(again.revoke(), {
    name: 'SedanoError',
    message: `this call was refused ("${MESSAGE}"), so there is nothing to revoke`,
    hint: `The call that runs is '${first.id}'; revoke that one if you mean it.`,
  });
  assert.equal(await first.state(), 'PENDING');
  await first.revoke();
  assert.throws(() => app.result('refused/nonsense'), {
    name: 'InvalidArgumentsError',
    message: "call 'refused/nonsense': expected an id that a refused call gave, got another text",
  });
});

test('after its end the next call runs', async () => {
  const app = testApp();
  const { task, go, runs } = fetchTask(app);
  go.open();
  await withWorker(app, async () => {
    assert.equal(await task.run(), 'success');
    assert.equal(await (await task.delay()).get(), 'success');
    assert.equal(await (await task.delay()).get(), 'success');
    assert.equal(await task.run(), 'success');
    assert.equal(runs.count, 4);
  });
});

test('a task that calls itself inline is told that it runs (row 42)', async () => {
  const app = testApp();
  const nested = app.task(
    { name: 'nested', exclusive: { lockId: 'nested' } },
    async (): Promise<string> => {
      const lock = currentTask().lock;
      assert.ok(lock?.isHeld());
      return currentTask().retries === 0 && depth++ === 0 ? await nested.run() : 'deeper';
    },
  );
  let depth = 0;
  assert.equal(await nested.run(), 'nested already running!');
  await app.close();
});

test('the lock is free between the tries of a call, and released when the task throws', async () => {
  const app = testApp();
  const waits = latch();
  const flaky = app.task(
    { name: 'flaky', exclusive: { lockId: 'flaky' }, autoretryFor: [RangeError], retryDelay: '1h' },
    async (fail: boolean) => {
      if (!fail) return 'between';
      waits.open();
      throw new RangeError('later');
    },
  );
  await withWorker(app, async () => {
    const result = await flaky.delay(true);
    await waits.promise;
    let answer = await flaky.run(false);
    while (answer !== 'between') answer = await flaky.run(false);
    await result.revoke();
    await assert.rejects(result.get(), { name: 'TaskRevokedError' });
    await assert.rejects(flaky.run(true), { name: 'RangeError' });
    assert.equal(await flaky.run(false), 'between');
  });
});

test('a revoked call releases its lock before it is reported as ended (row 48)', async () => {
  const app = testApp();
  const began = latch();
  const long = app.task({ name: 'long', exclusive: { lockId: 'long' } }, async (wait: boolean) => {
    if (!wait) return 'free';
    began.open();
    const { signal } = currentTask();
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
    return 'never';
  });
  await withWorker(app, async () => {
    const result = await long.delay(true);
    await began.promise;
    await result.revoke();
    await assert.rejects(result.get(), { name: 'TaskRevokedError' });
    assert.equal(await long.run(false), 'free');
    assert.equal(await result.state(), 'REVOKED');
  });
});

test('with Redis away an exclusive task never runs: inline fails and names Redis, a durable call waits until it is back', async () => {
  await using redis = await PrivateRedis.start();
  await redis.kill();
  const app = testApp({ redis: redis.url });
  let runs = 0;
  const guarded = app.task(
    { name: 'guarded', exclusive: { lockId: 'guarded' } },
    async () => (runs += 1),
  );
  await withWorker(app, async () => {
    const result = await guarded.delay();
    await assert.rejects(guarded.run(), {
      name: 'LockUnavailableError',
      message: `lock 'guarded': Redis at ${redis.address} cannot be used: no answer within 5 s`,
      hint: `Check that Redis runs at ${redis.address} and that the app's redis is right.`,
    });
    assert.equal(runs, 0);
    assert.equal(await result.ready(), false);
    await redis.restart();
    assert.equal(await result.get(), 1);
  });
});

/** Resolves when a worker of the app hears of the turns of parked calls. */
async function untilWorkerHears(app: Sedano, redisUrl: string): Promise<void> {
  using redis = openRedis(redisUrl);
  const channel = `{sedano:${app.name}}:inbox:parked`;
  await until('a worker hears', async () => {
    const channels = (await redis.pubsub('CHANNELS', channel)) as string[];
    return channels.length > 0;
  });
}

test('a worker that starts without Redis hears of parked calls once Redis is there (row 31)', async () => {
  await using redis = await PrivateRedis.start();
  await redis.kill();
  await using app = testApp({ redis: redis.url });
  app.task({ name: 'guarded', exclusive: { lockId: 'guarded' } }, async () => null);
  await using _worker = await startWorker(app, { grace: '1s' });
  // it has asked in vain
  await delay(6_000);
  await redis.restart();
  await untilWorkerHears(app, redis.url);
});

for (const [how, away] of [
  ['hangs', (redis: PrivateRedis) => redis.freeze()],
  ['is gone', (redis: PrivateRedis) => redis.kill()],
] as const) {
  test(`a worker stops while Redis ${how} (row 31)`, async () => {
    await using redis = await PrivateRedis.start();
    await using app = testApp({ redis: redis.url });
    app.task({ name: 'guarded', exclusive: { lockId: 'guarded' } }, async () => null);
    const worker = await startWorker(app, { grace: '1s' });
    await untilWorkerHears(app, redis.url);
    await away(redis);
    // its next look at Redis is under way
    await delay(6_000);
    await withTimeout(worker.stop(), 20_000);
  });
}

test('two apps with the same lock id do not meet', async () => {
  const lockId = uniqueName('shared');
  const [go, began] = [latch(), latch()];
  await using one = testApp();
  await using two = testApp();
  const options = { name: 'same', exclusive: { lockId } };
  const first = one.task(options, async () => {
    began.open();
    await go.promise;
    return 'one';
  });
  const second = two.task(options, async () => 'two');
  const running = first.run();
  await began.promise;
  assert.equal(await second.run(), 'two');
  go.open();
  assert.equal(await running, 'one');
});

test('a worker that stops cold releases the lock, and the call is taken up elsewhere', async () => {
  const name = uniqueName('test');
  const [began, go] = [latch(), latch()];
  const define = (body: () => Promise<string>) => {
    const app = new Sedano(name);
    // an interruption is no error of the task, so it costs no retry
    app.task({ name: 'move', exclusive: { lockId: 'move' }, autoretryFor: [Error] }, body);
    return app;
  };
  await using first = define(async () => {
    began.open();
    await go.promise;
    return 'first';
  });
  await using second = define(async () => `second, retries ${currentTask().retries}`);
  const worker = await startWorker(first);
  const result = await first.sendTask('move', []);
  await began.promise;
  await worker.stop({ cold: true });
  await using _other = await startWorker(second);
  assert.equal(await result.get(), 'second, retries 0');
  go.open();
});
