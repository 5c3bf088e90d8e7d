import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AsyncResult, currentTask, type OnBusy, type Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';
import { latch, testApp, uniqueName, withWorker } from './helpers/harness.ts';
import { percentile } from './helpers/percentile.ts';
import { startWorkflow } from './helpers/temporal-cli.ts';

/** An app with one exclusive task, whose calls are let go one by one. */
function doorApp(onBusy: OnBusy, app: Sedano = testApp()) {
  const order: string[] = [];
  const doors = new Map<string, ReturnType<typeof latch>>();
  const entered = new Map<string, ReturnType<typeof latch>>();
  const of = (map: typeof doors, who: string) => {
    const known = map.get(who) ?? latch();
    map.set(who, known);
    return known;
  };
  let inside = 0;
  const enter = app.task(
    { name: 'enter', exclusive: { lockId: 'door', onBusy } },
    async (who: string) => {
      inside += 1;
      assert.equal(inside, 1, 'two are inside');
      order.push(who);
      of(entered, who).open(undefined);
      const { signal } = currentTask();
      const revoked = new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => resolve()),
      );
      await Promise.race([of(doors, who).promise, revoked]);
      inside -= 1;
      signal.throwIfAborted();
      return `${who} was inside`;
    },
  );
  return {
    app,
    enter,
    order,
    /** Resolves when `who` is inside. */
    inside: (who: string) => of(entered, who).promise,
    letGo: (who: string) => of(doors, who).open(undefined),
  };
}

test("'wait': durable calls wait their turn, first in, first out, each with an id of its own", async () => {
  const { app, enter, order, inside, letGo } = doorApp('wait');
  await withWorker(app, async () => {
    const results = [];
    for (const who of ['a', 'b', 'c', 'd']) {
      const result = await enter.delay(who);
      assert.match(result.id, /^enter\//);
      results.push(result);
      // in the queue before the next one comes
      if (who === 'a') await inside('a');
      else await queued(app, results.length - 1);
    }
    // in the queue a moment before its workflow knows
    for (const result of results.slice(1)) while ((await result.state()) !== 'PENDING');
    assert.equal(await results[0]?.state(), 'STARTED');
    for (const who of ['a', 'b', 'c', 'd']) {
      await inside(who);
      letGo(who);
    }
    assert.deepEqual(await Promise.all(results.map((result) => result.get())), [
      'a was inside',
      'b was inside',
      'c was inside',
      'd was inside',
    ]);
    assert.deepEqual(order, ['a', 'b', 'c', 'd']);
  });
});

/** Resolves when `count` calls wait for the door. */
async function queued(app: Sedano, count: number): Promise<void> {
  const locks = await app.locks();
  for (;;) {
    const state = await locks.inspect('door');
    if (state?.waiters.count === count) return;
  }
}

test("'wait': a waiting call holds no slot of the worker", async () => {
  const { app, enter, inside, letGo } = doorApp('wait');
  const other = app.task({ name: 'other' }, async () => 'ran');
  await using _app = app;
  await using _worker = await startWorker(app, { concurrency: 2, grace: '1s' });
  const first = await enter.delay('a');
  await inside('a');
  const waiting = await Promise.all(['b', 'c', 'd', 'e', 'f'].map((who) => enter.delay(who)));
  await queued(app, 5);
  assert.equal(await (await other.delay()).get(), 'ran');
  for (const who of ['a', 'b', 'c', 'd', 'e', 'f']) letGo(who);
  assert.equal(await first.get(), 'a was inside');
  for (const result of waiting) assert.match(await result.get(), /was inside$/);
});

test("'wait': a waiting call that is revoked gives up its place", async () => {
  const { app, enter, order, inside, letGo } = doorApp('wait');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const second = await enter.delay('b');
    await queued(app, 1);
    const third = await enter.delay('c');
    await queued(app, 2);
    await second.revoke();
    await assert.rejects(second.get(), { name: 'TaskRevokedError' });
    await queued(app, 1);
    letGo('a');
    letGo('c');
    assert.equal(await first.get(), 'a was inside');
    assert.equal(await third.get(), 'c was inside');
    assert.deepEqual(order, ['a', 'c']);
  });
});

test("'wait': a waiting call whose workflow was terminated is passed over", async () => {
  const { app, enter, order, inside, letGo } = doorApp('wait');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const second = await enter.delay('b');
    await queued(app, 1);
    const third = await enter.delay('c');
    await queued(app, 2);
    await second.revoke({ terminate: true });
    letGo('a');
    letGo('c');
    assert.equal(await first.get(), 'a was inside');
    assert.equal(await third.get(), 'c was inside');
    assert.deepEqual(order, ['a', 'c']);
  });
});

test("'wait': inline and durable calls wait in one queue", async () => {
  const { app, enter, order, inside, letGo } = doorApp('wait');
  await withWorker(app, async () => {
    const a = enter.run('a');
    await inside('a');
    const b = await enter.delay('b');
    await queued(app, 1);
    const c = enter.run('c');
    await queued(app, 2);
    const d = await enter.delay('d');
    await queued(app, 3);
    for (const who of ['a', 'b', 'c', 'd']) letGo(who);
    assert.equal(await a, 'a was inside');
    assert.equal(await b.get(), 'b was inside');
    assert.equal(await c, 'c was inside');
    assert.equal(await d.get(), 'd was inside');
    assert.deepEqual(order, ['a', 'b', 'c', 'd']);
  });
});

test("'wait' with maxWait: a call that waited too long fails, durable and inline, and names the holder", async () => {
  const { app, enter, inside, letGo } = doorApp('wait');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const options = { onBusy: 'wait', maxWait: '300ms' } as const;
    const second = await enter.applyAsync(['b'], options);
    await assert.rejects(second.get(), (error: Error & { type?: string }) => {
      assert.equal(error.type, 'LockWaitTimeoutError');
      assert.ok(
        error.message.startsWith(`lock 'door': not free within 0.3 s; held by '${first.id}'`),
      );
      return true;
    });
    await assert.rejects(enter.apply(['c'], options), {
      name: 'LockWaitTimeoutError',
      lockId: 'door',
    });
    await queued(app, 0);
    letGo('a');
    await first.get();
  });
});

test("'wait': an inline call that throws lets the next one in, and keeps its error (row 45)", async () => {
  const { app, enter, inside, letGo } = doorApp('wait');
  await using _app = app;
  const fail = app.task({ name: 'fail', exclusive: { lockId: 'door' } }, async () => {
    began.open();
    await go.promise;
    throw new RangeError('mine');
  });
  const [began, go] = [latch(), latch()];
  const first = assert.rejects(fail.run(), { name: 'RangeError', message: 'mine' });
  await began.promise;
  const second = enter.run('b');
  await queued(app, 1);
  go.open();
  await first;
  await inside('b');
  letGo('b');
  assert.equal(await second, 'b was inside');
});

test("'wait': an AbortSignal ends the waiting inline", async () => {
  const { app, enter, inside, letGo } = doorApp('wait');
  await using _app = app;
  const first = enter.run('a');
  await inside('a');
  const controller = new AbortController();
  const second = enter.apply(['b'], { signal: controller.signal });
  await queued(app, 1);
  controller.abort(new Error('no longer wanted'));
  await assert.rejects(second, { message: 'no longer wanted' });
  await queued(app, 0);
  letGo('a');
  await first;
});

test("'raise': delay() gives a settled failure, run() throws, a run of the CLI fails", async () => {
  const { app, enter, inside, letGo } = doorApp('raise');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const refused = await enter.delay('b');
    assert.equal(refused.accepted, false);
    assert.equal(refused.holder()?.id, first.id);
    assert.equal(await refused.state(), 'FAILURE');
    const failure = {
      name: 'AlreadyRunningError',
      message: 'enter already running!',
      lockId: 'door',
    };
    await assert.rejects(refused.get(), failure);
    // the id alone gives the same answer again
    await assert.rejects(app.result(refused.id).get(), failure);
    await assert.rejects(enter.run('c'), failure);
    const id = await startWorkflow({ type: 'enter', queue: app.name, inputs: ['"d"'] });
    await assert.rejects(app.result(id).get(), { type: 'AlreadyRunningError' });
    letGo('a');
    await first.get();
  });
});

test("'join': delay() gives the call that runs; run() refuses; a run of the CLI is told", async () => {
  const { app, enter, inside, letGo } = doorApp('join');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const joined = await enter.delay('b');
    assert.equal(joined.id, first.id);
    assert.equal(joined.accepted, true);
    await assert.rejects(enter.run('c'), {
      name: 'ConfigError',
      message: "task 'enter': onBusy 'join' gives the result of another call, so run() cannot",
    });
    const id = await startWorkflow({ type: 'enter', queue: app.name, inputs: ['"d"'] });
    assert.equal(await app.result(id).get(), 'enter already running!');
    letGo('a');
    assert.equal(await joined.get(), 'a was inside');
  });
});

test("'replace': the call that runs is revoked, and the new one runs", async () => {
  const { app, enter, inside, letGo } = doorApp('replace');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    const second = await enter.delay('b');
    await inside('b');
    await assert.rejects(first.get(), { name: 'TaskRevokedError' });
    letGo('b');
    assert.equal(await second.get(), 'b was inside');
  });
});

test("'replace': one that runs inline is asked to stop", async () => {
  const { app, enter, inside, letGo } = doorApp('replace');
  await withWorker(app, async () => {
    const first = enter.run('a');
    await inside('a');
    const lost = assert.rejects(first, { name: 'LockLostError', reason: 'revoked' });
    const second = await enter.delay('b');
    await lost;
    letGo('b');
    assert.equal(await second.get(), 'b was inside');
  });
});

test('onBusy of a call overrides the task', async () => {
  const { app, enter, inside, letGo } = doorApp('message');
  await withWorker(app, async () => {
    const first = await enter.delay('a');
    await inside('a');
    assert.equal(await (await enter.delay('b')).get(), 'enter already running!');
    const waiting = await enter.applyAsync(['c'], { onBusy: 'wait' });
    await queued(app, 1);
    const raising = await enter.applyAsync(['d'], { onBusy: 'raise' });
    await assert.rejects(raising.get(), { name: 'AlreadyRunningError' });
    letGo('a');
    letGo('c');
    await first.get();
    assert.equal(await waiting.get(), 'c was inside');
  });
});

test('a lockId may be a function of the arguments: one lock for each', async () => {
  const app = testApp();
  const gate = latch();
  const submit = app.task(
    { name: 'submit', exclusive: { lockId: (id: number) => `submission/${id}` } },
    async (id: number) => {
      await gate.promise;
      return id;
    },
  );
  await withWorker(app, async () => {
    const [one, two, again] = [await submit.delay(1), await submit.delay(2), await submit.delay(1)];
    assert.equal(one.id, `exclusive/${app.name}/submission/1`);
    assert.equal(await again.get(), 'submit already running!');
    gate.open();
    assert.deepEqual([await one.get(), await two.get()], [1, 2]);
  });
});

test('a lockId that the function should not have given fails the call, before anything is sent', async () => {
  const app = testApp();
  const bad = app.task(
    { name: 'bad', exclusive: { lockId: (id: string) => id } },
    async (id: string) => id,
  );
  await using _app = app;
  const error = {
    name: 'ConfigError',
    message: `task 'bad': lockId: expected 1 to 200 characters of A-Z a-z 0-9 . _ : / -, got "a b"`,
  };
  await assert.rejects(bad.delay('a b'), error);
  await assert.rejects(bad.run('a b'), error);
});

test('a task that waits for a lock that it holds itself is told at once (row 43)', async () => {
  const app = testApp();
  const inner = app.task(
    { name: 'inner', exclusive: { lockId: 'shared', onBusy: 'wait' } },
    async () => 'inner',
  );
  const outer = app.task({ name: 'outer', exclusive: { lockId: 'shared' } }, () => inner.run());
  const polite = app.task({ name: 'polite', exclusive: { lockId: 'shared' } }, () =>
    inner.apply([], { onBusy: 'message' }),
  );
  await using _app = app;
  await assert.rejects(outer.run(), {
    name: 'SelfDeadlockError',
    message: "task 'inner' waits for lock 'shared', which the task that calls it holds",
  });
  assert.equal(await polite.run(), 'inner already running!');
});

test('a chosen id: a second call gives the first one; not for a call whose id is its lock’s', async () => {
  const app = testApp();
  let runs = 0;
  const count = app.task({ name: 'count' }, async () => (runs += 1));
  const alone = app.task({ name: 'alone', exclusive: { lockId: 'alone' } }, async () => 'alone');
  await withWorker(app, async () => {
    const id = uniqueName('chosen');
    const first = await count.applyAsync([], { id });
    const second = await count.applyAsync([], { id });
    assert.deepEqual([await first.get(), await second.get()], [1, 1]);
    // also once it has ended
    assert.equal(await (await count.applyAsync([], { id })).get(), 1);
    await assert.rejects(alone.applyAsync([], { id }), {
      name: 'ConfigError',
      message: `task 'alone': id: expected none for an exclusive task that does not wait, got '${id}'`,
    });
    const waiting = await alone.applyAsync([], { id: `${id}-waits`, onBusy: 'wait' });
    assert.equal(waiting.id, `${id}-waits`);
    assert.equal(await waiting.get(), 'alone');
  });
});

test('options of a lock that would be for nothing are refused', async () => {
  const app = testApp();
  const plain = app.task({ name: 'plain' }, async () => null);
  const alone = app.task({ name: 'alone', exclusive: { lockId: 'alone' } }, async () => null);
  await using _app = app;
  const noLock = {
    name: 'ConfigError',
    message: "task 'plain': onBusy: expected none for a task that is not exclusive",
  };
  await assert.rejects(plain.applyAsync([], { onBusy: 'wait' }), noLock);
  await assert.rejects(plain.apply([], { maxWait: '3s' }), {
    message: "task 'plain': apply(): maxWait: expected none for a task that is not exclusive",
  });
  await assert.rejects(alone.applyAsync([], { maxWait: '3s' }), {
    name: 'ConfigError',
    message:
      "task 'alone': maxWait: expected none for a call that does not wait, got onBusy 'message'",
  });
});

test('countdown and eta hold a call back; wrong options are named', async () => {
  const app = testApp();
  const when = app.task({ name: 'when' }, async () => Date.now());
  await withWorker(app, async () => {
    const before = Date.now();
    const later = await when.applyAsync([], { countdown: '1s' });
    assert.equal(await later.state(), 'PENDING');
    assert.ok((await later.get()) >= before + 1_000);
    const eta = new Date(Date.now() + 500);
    assert.ok((await (await when.applyAsync([], { eta })).get()) >= eta.getTime());
    // in the past is now
    await (await when.applyAsync([], { eta: new Date(0) })).get();
    const wrong = { countdown: '1s', eta } as const;
    await assert.rejects(when.applyAsync([], wrong), {
      message: "task 'when': expected countdown or eta, got both",
    });
    const unknown = { expire: 1 } as object;
    await assert.rejects(when.applyAsync([], unknown), {
      message:
        "task 'when': unknown option 'expire', expected one of id, countdown, eta, onBusy, maxWait",
    });
  });
});

const WAITERS = Number(process.env['WAITERS'] ?? 1_000);
const SLOTS = 10;
const SAMPLES = 100;

test(`${WAITERS} waiting calls hold none of ${SLOTS} slots, and leave other tasks alone (row 39)`, async (t) => {
  const { app, enter, inside } = doorApp('wait');
  const together = latch();
  let running = 0;
  const other = app.task({ name: 'other' }, async () => 'ran');
  const meet = app.task({ name: 'meet' }, async () => {
    running += 1;
    // all slots but the holder's: each waits until all of them are taken
    if (running === SLOTS - 1) together.open(undefined);
    await together.promise;
  });
  await using _app = app;
  await using worker = await startWorker(app, { concurrency: SLOTS, grace: '1s' });
  const holder = await enter.delay('holder');
  await inside('holder');
  const measure = async (beside: string) => {
    const times: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const began = performance.now();
      await (await other.delay()).get();
      times.push(performance.now() - began);
    }
    const [p50, p99] = [percentile(times, 50), percentile(times, 99)].map((ms) => ms.toFixed(0));
    t.diagnostic(`an unrelated call ${beside}: p50 ${p50} ms, p99 ${p99} ms of ${SAMPLES}`);
  };
  await measure('alone');
  const waiting: AsyncResult<string>[] = [];
  for (let start = 0; start < WAITERS; start += 50) {
    const more = Array.from({ length: Math.min(50, WAITERS - start) }, (_, n) => `w${start + n}`);
    waiting.push(...(await Promise.all(more.map((who) => enter.delay(who)))));
  }
  await queued(app, WAITERS);
  const meetings = await Promise.all(Array.from({ length: SLOTS - 1 }, () => meet.delay()));
  await Promise.all(meetings.map((meeting) => meeting.get()));
  await measure(`beside ${WAITERS} waiting ones`);
  for (let start = 0; start < WAITERS; start += 50) {
    const some = waiting.slice(start, start + 50);
    await Promise.all(some.map((result) => result.revoke({ terminate: true })));
  }
  await holder.revoke({ terminate: true });
  await worker.stop({ cold: true });
});
