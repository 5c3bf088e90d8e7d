import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Sedano, type SedanoError } from 'sedano';
import { appAt, assertOneAfterTheOther, faultApp, temporalProxy } from './helpers/fault-app.ts';
import { latch, uniqueName, withWorker } from './helpers/harness.ts';
import { until } from './helpers/locks.ts';
import { PrivateRedis } from './helpers/private-redis.ts';
import { PrivateTemporal } from './helpers/private-temporal.ts';
import type { TcpProxy } from './helpers/tcp-proxy.ts';

describe('when servers go away', { concurrency: true }, () => {
  test('a killed Temporal loses no call: the one that holds the lock and the one that waits both end (row 55)', async () => {
    await using temporal = await PrivateTemporal.start();
    await using fault = await faultApp({ temporal: temporal.address });
    const worker = await fault.readyWorker();
    const first = await fault.app.sendTask<string>('obedient', ['a']);
    await worker.sees(/^in a attempt 1 /m);
    const second = await fault.app.sendTask<string>('obedient', ['b'], { onBusy: 'wait' });
    await until('b waits', async () => (await fault.lock())?.waiters.count === 1);
    const held = await fault.lock();
    await temporal.kill();
    await untilRenewed(fault);
    assert.equal((await fault.lock())?.fence, held?.fence);
    // its value waits for the server
    await fault.letGo('a');
    await worker.sees(/^out a attempt 1 /m);
    await temporal.restart();
    await fault.letGo('b');
    assert.match(await first.get(), /^attempt \d+ in process/);
    assert.match(await second.get(), /^attempt \d+ in process/);
    assertOneAfterTheOther(fault.sections());
  });

  test('without Temporal an exclusive task runs inline, delay() fails with a clear error, and works again when it is back (row 56)', async () => {
    await using temporal = await PrivateTemporal.start();
    const { address } = temporal;
    const app = appAt(address, { name: uniqueName('down') });
    const [began, go] = [latch(), latch()];
    const alone = app.task({ name: 'alone', exclusive: { lockId: 'alone' } }, async () => {
      began.open();
      await go.promise;
      return 'ran';
    });
    await withWorker(app, async () => {
      await temporal.kill();
      const running = alone.run();
      await began.promise;
      assert.equal(await alone.run(), 'alone already running!');
      await assert.rejects(alone.delay(), (error: SedanoError) => {
        assert.equal(error.name, 'TemporalUnavailableError');
        // by whether it was connecting when the time was over
        assert.match(error.message, /^Temporal at \S+ (cannot be reached|did not answer)/);
        assert.ok(error.message.includes(address), error.message);
        assert.ok(error.hint);
        return true;
      });
      go.open();
      assert.equal(await running, 'ran');
      assert.equal(await alone.run(), 'ran');
      await temporal.restart();
      assert.equal(await (await alone.delay()).get(), 'ran');
    });
  });

  test('Temporal and Redis that restart together make no two holders and lose no call (row 57)', async () => {
    await using temporal = await PrivateTemporal.start();
    await using redis = await PrivateRedis.start();
    await using fault = await faultApp({
      temporal: temporal.address,
      redis: redis.url,
      recoveryGuard: true,
    });
    const workers = await Promise.all([fault.readyWorker(), fault.readyWorker()]);
    const first = await fault.app.sendTask<string>('obedient', ['a']);
    const holder = await Promise.any(
      workers.map((worker) => worker.sees(/^in a attempt \d+ /m).then(() => worker)),
    );
    const second = await fault.app.sendTask<string>('obedient', ['b'], { onBusy: 'wait' });
    await until('b waits', async () => (await fault.lock())?.waiters.count === 1);
    await Promise.all([temporal.kill(), redis.kill()]);
    await Promise.all([temporal.restart(), redis.restart()]);
    await holder.sees(/^lost a attempt \d+: /m);
    await fault.letGo('a');
    await fault.letGo('b');
    assert.match(await first.get(), /^attempt \d+ in process/);
    assert.match(await second.get(), /^attempt \d+ in process/);
    const sections = fault.sections();
    // the section that was lost, and the two that were not
    assert.ok(sections.length >= 3);
    assertOneAfterTheOther(sections);
  });
});

for (const [what, exclusive] of [
  ['a task', {}],
  ['an exclusive task', { exclusive: { lockId: 'count' } }],
] as const) {
  test(`when the reply to the start of ${what} is lost, delay() finds the call that was started, and it runs once (row 58)`, async () => {
    await using proxy = await temporalProxy();
    const name = uniqueName('once');
    const define = (app: Sedano) =>
      app.task({ name: 'count', ...exclusive }, async () => (runs += 1));
    let runs = 0;
    const near = new Sedano(name);
    define(near);
    await using far = appAt(proxy.address, { name });
    const count = define(far);
    await withWorker(near, async () => {
      const id = loseReplyToStart(proxy, new RegExp(`count/[0-9a-f-]{36}|exclusive/${name}/count`));
      const started = count.delay();
      // it has run to its end when the client asks once more
      await until(
        'it was started',
        async () => (await near.result(await id).state()) !== 'UNKNOWN',
      );
      assert.equal(await near.result(await id).get(), 1);
      proxy.onReply = () => false;
      proxy.reset();
      const result = await started;
      assert.equal(result.accepted, true);
      assert.equal(result.id, await id);
      const { runId } = await near.client.temporal.workflow.getHandle(result.id).describe();
      assert.equal(result.runId, runId);
      assert.equal(await result.get(), 1);
      assert.equal(runs, 1);
    });
  });
}

/** Swallows what the server answers from the next start on; resolves with the id that is in the request. */
async function loseReplyToStart(proxy: TcpProxy, pattern: RegExp): Promise<string> {
  const { promise, open } = latch<string>();
  proxy.onRequest = (data) => {
    const [id] = pattern.exec(data.toString('latin1')) ?? [];
    if (id === undefined) return false;
    proxy.onRequest = () => false;
    proxy.onReply = () => true;
    open(id);
    return false;
  };
  return await promise;
}

/** Resolves when the lock has been renewed. */
async function untilRenewed(fault: Awaited<ReturnType<typeof faultApp>>): Promise<void> {
  let left = Infinity;
  await until('renewed', async () => {
    const { leftMs = 0 } = (await fault.lock()) ?? {};
    const isRenewed = leftMs > left;
    left = leftMs;
    return isRenewed;
  });
}
