import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { currentTask, type OnBusy, type Sedano } from 'sedano';
import { assertOneAfterTheOther, faultApp, temporalProxy } from './helpers/fault-app.ts';
import { latch, testApp, uniqueName, withWorker, type Program } from './helpers/harness.ts';
import { openRedis, until } from './helpers/locks.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

/** Far longer than Temporal's heartbeat time-out. */
const HEARTBEAT_LOST_MS = 120_000;
/** Far longer than a schedule's few seconds. */
const FIRED_MS = 60_000;
/** A worker with one slot asks Temporal for nothing more while that is taken, so it is given nothing while it is stopped. */
const ONE_SLOT = ['--concurrency', '1'];

/** The value of a call whose attempt `attempt` ran in this worker. */
function valueOf({ process: { pid } }: Program, attempt = '\\d+'): RegExp {
  return new RegExp(`^attempt ${attempt} in process ${pid}$`);
}

/** That Temporal takes no value from the attempt that runs in this worker. */
async function assertRefused(app: Sedano, worker: Program): Promise<void> {
  const [, token = ''] = await worker.sees(/^token (\S+)$/m);
  const completion = app.client.temporal.activity.complete(Buffer.from(token, 'base64'), 'zombie');
  await assert.rejects(completion, { name: 'ActivityNotFoundError' });
}

// most wait for Temporal's heartbeat time-out of 20 s, so they wait together
describe('an exclusive call', { concurrency: true }, () => {
  test('whose worker is killed takes the lock over from its own dead attempt and never says "already running" (row 2)', async () => {
    // longer than the heartbeat time-out: the dead attempt still holds it when the next one comes
    await using fault = await faultApp({ lease: '30s' });
    const first = await fault.readyWorker();
    const result = await fault.app.sendTask<string>('obedient', ['a']);
    await first.sees(/^in a attempt 1 /m);
    // polls already, so that the next attempt comes before the lease ends
    const second = await fault.readyWorker();
    await first.kill('SIGKILL');
    const dead = await fault.lock();
    await until('takeover', async () => (await fault.lock())?.revoked, HEARTBEAT_LOST_MS);
    assert.equal((await fault.lock())?.fence, dead?.fence);
    await second.sees(/^in a attempt \d+ /m);
    await fault.letGo('a');
    assert.match(await result.get(), valueOf(second));
    const sections = fault.sections();
    assert.equal(sections.length, 2);
    assertOneAfterTheOther(sections);
  });

  test('whose worker is stopped past heartbeat and lease is run again, and its zombie can do no harm on waking (row 3)', async () => {
    await using fault = await faultApp();
    const first = await fault.readyWorker(ONE_SLOT);
    const result = await fault.app.sendTask<string>('stubborn', ['a']);
    await first.sees(/^in a attempt 1 /m);
    first.process.kill('SIGSTOP');
    const second = fault.worker();
    await second.sees(/^in a attempt 2 /m);
    const held = await fault.lock();
    first.process.kill('SIGCONT');
    await first.sees(/^woke a attempt 1: held false$/m);
    await assertRefused(fault.app, first);
    await fault.letGo(first);
    await first.sees(/^ledger attempt 1 at its end: refused$/m);
    const { fence, revoked, lastEnd } = (await fault.lock()) ?? {};
    assert.deepEqual(
      { fence, revoked, lastEnd },
      { fence: held?.fence, revoked: false, lastEnd: undefined },
    );
    await fault.letGo(second);
    assert.match(await result.get(), valueOf(second, '2'));
    assert.match(second.output, /^ledger attempt 2 at its end: taken$/m);
    assertOneAfterTheOther(fault.sections());
  });

  test('whose worker is cut off from Temporal lets go for its next attempt, which is told to it through Redis (row 7)', async () => {
    await using proxy = await temporalProxy();
    await using fault = await faultApp({ lease: '30s' });
    const first = await fault.readyWorker(ONE_SLOT, { TEMPORAL_ADDRESS: proxy.address });
    const result = await fault.app.sendTask<string>('obedient', ['a']);
    await first.sees(/^in a attempt 1 /m);
    const held = await fault.lock();
    const second = await fault.readyWorker();
    proxy.freeze();
    await second.sees(/^in a attempt \d+ /m);
    await first.sees(
      /^lost a attempt 1: lock 'door' was lost: a later attempt of the same call takes over$/m,
    );
    // given back, long before its lease would have ended
    const { lastEnd } = (await fault.lock()) ?? {};
    assert.deepEqual(lastEnd, { how: 'revoked', fence: held?.fence, who: '1:2' });
    proxy.thaw();
    await assertRefused(fault.app, first);
    await fault.letGo('a');
    assert.match(await result.get(), valueOf(second));
    assertOneAfterTheOther(fault.sections());
  });

  test('whose cut off attempt ignores its signal waits for the end of the lease, and the fence refuses the old one’s writes (row 8)', async () => {
    await using proxy = await temporalProxy();
    await using fault = await faultApp();
    const first = await fault.readyWorker(ONE_SLOT, { TEMPORAL_ADDRESS: proxy.address });
    await fault.app.sendTask('stubborn', ['a']);
    await first.sees(/^in a attempt 1 /m);
    const second = await fault.readyWorker();
    proxy.freeze();
    await second.sees(/^in a attempt \d+ /m);
    await first.sees(/^lost a attempt 1: .* takes over$/m);
    // nobody has released it: its lease has ended
    assert.equal((await fault.lock())?.lastEnd, undefined);
    await fault.letGo(first);
    await first.sees(/^ledger attempt 1 at its end: refused$/m);
    await fault.letGo(second);
    await second.sees(/^ledger attempt \d+ at its end: taken$/m);
    assertOneAfterTheOther(fault.sections());
  });

  test('whose worker has not enough grace is taken up elsewhere at once, at no cost of a crash (row 52)', async () => {
    await using fault = await faultApp({ lease: '30s' });
    const grace = ['--grace', '100ms'];
    const workers = await Promise.all([fault.readyWorker(grace), fault.readyWorker(grace)]);
    // one that is not run again after a crash
    const result = await fault.app.sendTask<string>('fragile', ['a']);
    const holder = await Promise.any(
      workers.map((worker) => worker.sees(/^in a attempt 1 /m).then(() => worker)),
    );
    const other = workers.find((worker) => worker !== holder);
    assert.ok(other);
    const held = await fault.lock();
    holder.process.kill('SIGTERM');
    assert.equal(await holder.exited, 0);
    await other.sees(/^in a attempt 2 /m);
    const { lastEnd } = (await fault.lock()) ?? {};
    assert.deepEqual(lastEnd, { how: 'released', fence: held?.fence, who: '' });
    await fault.letGo('a');
    assert.match(await result.get(), valueOf(other, '2'));
    assertOneAfterTheOther(fault.sections());
  });

  // of one process, so they take no more than one core from the others
  describe('in one process', { concurrency: 1 }, () => {
    test('that is reset waits for the run before it, whatever its onBusy, and that one is told to stop (row 50)', async () => {
      // the new run's own look, at the end of the lease, is far away
      const app = testApp({ lock: { lease: '2m' } });
      const tasks = (['message', 'raise', 'join'] as const).map((onBusy) =>
        longTask(app, `long ${onBusy}`, onBusy),
      );
      const resetOne = async ({ long, began, told, letGo }: ReturnType<typeof longTask>) => {
        const old = await long.delay();
        await began.promise;
        const runId = await reset(app, old.id);
        const again = app.result(old.id, { runId });
        await told.promise;
        while ((await again.state()) !== 'PENDING') await delay(20);
        letGo.open();
        assert.equal(await again.get(), `run ${runId}`);
        await assert.rejects(old.get(), { name: 'TaskRevokedError' });
        const { events } = await app.client.temporal.workflow
          .getHandle(old.id, runId)
          .fetchHistory();
        const signals = events?.map(
          ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName,
        );
        assert.ok(signals?.includes('turn'), 'it was not woken');
      };
      await withWorker(app, () => Promise.all(tasks.map(resetOne)));
    });

    test('that is terminated keeps its lock until its code ends, and it is free then (row 49)', async () => {
      const app = testApp();
      const { long, began, told, letGo } = longTask(app);
      await withWorker(app, async () => {
        const old = await long.delay();
        await began.promise;
        await old.revoke({ terminate: true });
        await assert.rejects(old.get(), { name: 'TaskRevokedError' });
        const busy = async () => [await long.run(), await (await long.delay()).get()];
        assert.deepEqual(await busy(), ['long already running!', 'long already running!']);
        const waiting = await long.applyAsync([], { onBusy: 'wait' });
        await told.promise;
        // told to stop, but not yet done
        assert.deepEqual(await busy(), ['long already running!', 'long already running!']);
        letGo.open();
        assert.match(await waiting.get(), /^run /);
        assert.match(await (await long.delay()).get(), /^run /);
      });
    });

    test('whose lock vanished from Redis at its very end is run again, and inline is lost (row 47)', async () => {
      await using redis = await PrivateRedis.start();
      using admin = openRedis(redis.url);
      const app = testApp({ redis: redis.url });
      let flushes = 2;
      const late = app.task({ name: 'late', exclusive: { lockId: 'late' } }, async () => {
        // its next renewal, which would tell it, is ten seconds away
        if (flushes > 0) await admin.flushall();
        flushes -= 1;
        return `attempt ${currentTask().attempt}`;
      });
      await withWorker(app, async () => {
        assert.equal(await (await late.delay()).get(), 'attempt 3');
        flushes = 1;
        await assert.rejects(late.run(), { name: 'LockLostError', reason: 'gone' });
        assert.equal(await late.run(), 'attempt 1');
      });
    });

    test('that calls itself is told that it runs, inline and durable (row 42)', async () => {
      const app = testApp();
      const nested = app.task(
        { name: 'nested', exclusive: { lockId: 'nested' } },
        async (): Promise<string[]> => {
          const again: unknown = await nested.run();
          const { accepted } = await nested.delay();
          return [String(again), String(accepted)];
        },
      );
      await withWorker(app, async () => {
        const result = await nested.delay();
        assert.deepEqual(await result.get(), ['nested already running!', 'false']);
      });
    });

    test('of a schedule that fires each second while it runs leaves the schedule going (row 76)', async () => {
      const app = testApp();
      const { long, began, letGo } = longTask(app);
      await withWorker(app, async () => {
        const scheduleId = uniqueName('each-second');
        const schedule = await app.client.temporal.schedule.create({
          scheduleId,
          spec: { intervals: [{ every: '1s' }] },
          action: {
            type: 'startWorkflow',
            workflowType: long.name,
            workflowId: scheduleId,
            taskQueue: app.name,
          },
          // the default would skip what comes while one runs
          policies: { overlap: ScheduleOverlapPolicy.ALLOW_ALL },
        });
        try {
          const answers = async () => {
            const { info } = await schedule.describe();
            const ids = info.recentActions.map(({ action }) => action.workflow.workflowId);
            const results = ids.map((id) => app.result<string>(id));
            const ready = await Promise.all(results.map((result) => result.ready()));
            return await Promise.all(
              results.filter((_, index) => ready[index]).map((result) => result.get()),
            );
          };
          await began.promise;
          const told = async () =>
            (await answers()).filter((text) => text === 'long already running!');
          await until('three were told', async () => (await told()).length >= 3, FIRED_MS);
          letGo.open();
          const ran = async () => (await answers()).filter((text) => text.startsWith('run '));
          await until('two more have run', async () => (await ran()).length >= 3, FIRED_MS);
        } finally {
          await schedule.delete();
        }
      });
    });
  });
});

/** An exclusive task whose calls go on, also when they are told to stop, until they are let go. */
function longTask(app: Sedano, name = 'long', onBusy: OnBusy = 'message') {
  const [began, told, letGo] = [latch(), latch(), latch()];
  const lockId = name.replace(' ', '-');
  const long = app.task({ name, exclusive: { lockId, onBusy } }, async () => {
    const { signal, runId } = currentTask();
    signal.addEventListener('abort', () => told.open());
    began.open();
    await letGo.promise;
    return `run ${runId}`;
  });
  return { long, began, told, letGo };
}

/** Resets a workflow to its first workflow task; returns the id of the new run. */
async function reset(app: Sedano, workflowId: string): Promise<string> {
  const { temporal, target } = app.client;
  const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
  const first = events?.find((event) => event.workflowTaskCompletedEventAttributes);
  assert.ok(first?.eventId);
  const { runId } = await temporal.workflowService.resetWorkflowExecution({
    namespace: target.namespace,
    workflowExecution: { workflowId },
    reason: 'a test',
    workflowTaskFinishEventId: first.eventId,
    requestId: randomUUID(),
  });
  return runId;
}
