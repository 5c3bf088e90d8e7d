import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Locks } from '../src/lock/lock.ts';
import type { ParkedTurn } from '../src/lock/parked.ts';
import { latch, Program } from './helpers/harness.ts';
import {
  held,
  lost,
  openLocks,
  openRedis,
  placeOf,
  request,
  until,
  untilWaiting,
} from './helpers/locks.ts';
import { percentile } from './helpers/percentile.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

interface ProcessOptions {
  url: string;
  app: string;
  name: string;
  leaseMs?: number;
}

function startHolder({ url, app, name, leaseMs = 30_000 }: ProcessOptions): Program {
  return new Program('test/fixtures/lock-process.ts', [url, app, String(leaseMs), name, 'hold']);
}

function startWaiters(
  { url, app, name, leaseMs = 30_000 }: ProcessOptions,
  count: number,
): Program {
  const args = [url, app, String(leaseMs), name, 'wait', String(count)];
  return new Program('test/fixtures/lock-process.ts', args);
}

/** What a process was granted, in its order: index and fence. */
function grants({ output }: Program): { index: number; fence: bigint }[] {
  return [...output.matchAll(/^got \S+\/(\d+) (\d+)$/gm)].map(([, index, fence]) => ({
    index: Number(index),
    fence: BigInt(fence ?? 0),
  }));
}

/** A waiter of this process that gives the lock back at once. */
async function pass(locks: Locks, owner: string): Promise<number> {
  const hold = await locks.wait(request(owner));
  const at = performance.now();
  await hold.release();
  return at;
}

test('when the holder dies, ten waiters run in their order (row 35)', async (t) => {
  using a = openLocks({ leaseMs: 1_500 });
  using b = openLocks({ app: a.app, leaseMs: 1_500 });
  const { url, app } = a;
  await using holder = startHolder({ url, app, name: 'holder', leaseMs: 1_500 });
  await holder.sees(/got held/);
  const order: number[] = [];
  const waits = [];
  for (let index = 0; index < 10; index++) {
    const wait = pass(index % 2 ? a.locks : b.locks, `waiter ${index}`);
    waits.push(wait.then((at) => order.push(index) && at));
    await untilWaiting(a.locks, index + 1);
  }
  const since = performance.now();
  await holder.kill();
  const [first = NaN] = await Promise.all(waits);
  const ms = Math.round(first - since);
  t.diagnostic(`first grant after ${ms} ms, lease 1500 ms`);
  assert.ok(ms <= 10_000, `first grant after ${ms} ms`);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a first waiter that is dead costs the next one a claim window (row 36)', async (t) => {
  using a = openLocks({ leaseMs: 30_000 });
  const { url, app } = a;
  const hold = await held(a.locks, 'holder');
  await using first = startWaiters({ url, app, name: 'first' }, 3);
  await first.sees(/queued 3/);
  const second = pass(a.locks, 'second');
  await untilWaiting(a.locks, 4);
  await first.kill();
  const since = performance.now();
  await hold.release();
  const ms = Math.round((await second) - since);
  // the three dead ones are of one process, each has its window
  t.diagnostic(`granted after ${ms} ms`);
  // well before the places of the dead ones end by themselves, after 15 s
  assert.ok(ms > 900 && ms <= 12_000, `granted after ${ms} ms`);
});

test('a first waiter that is stopped when its turn comes runs later (row 37)', async (t) => {
  using a = openLocks({ leaseMs: 30_000 });
  const { url, app } = a;
  const hold = await held(a.locks, 'holder');
  await using first = startWaiters({ url, app, name: 'first' }, 1);
  await first.sees(/queued 1/);
  const second = pass(a.locks, 'second');
  await untilWaiting(a.locks, 2);
  first.process.kill('SIGSTOP');
  const since = performance.now();
  await hold.release();
  const ms = Math.round((await second) - since);
  t.diagnostic(`granted after ${ms} ms`);
  assert.ok(ms > 900 && ms <= 12_000, `granted after ${ms} ms`);
  assert.equal(grants(first).length, 0);
  first.process.kill('SIGCONT');
  await first.sees(/done/);
});

test('1,000 waiters in 4 processes ask Redis next to nothing, and all run in order (row 38)', async (t) => {
  await using server = await PrivateRedis.start();
  const { url } = server;
  using a = openLocks({ app: 'herd', url, leaseMs: 30_000 });
  using redis = openRedis(url);
  const hold = await held(a.locks, 'holder');
  await using herd = await startHerd({ url, app: 'herd' });

  const [before, sinceIdle] = [await scripts(redis), performance.now()];
  await delay(6_000);
  const perSecond = ((await scripts(redis)) - before) / ((performance.now() - sinceIdle) / 1_000);
  // one in 5 s for each process: what asked once a second would show
  assert.ok(perSecond / 4 <= 0.5, `${perSecond} scripts/s of 4 processes`);

  const since = performance.now();
  await hold.release();
  const granted = await herd.drained();
  const ms = Math.round(performance.now() - since);
  t.diagnostic(`${perSecond.toFixed(2)} scripts/s of 4 processes; drained in ${ms} ms`);
  assert.ok(ms <= 30_000, `drained in ${ms} ms`);
  const times = granted.map(grantedAt);
  const handOffs = times.slice(1).map((at, index) => at - (times[index] ?? at));
  const [p50, p99] = [percentile(handOffs, 50), percentile(handOffs, 99)];
  t.diagnostic(
    `from grant to grant: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; no inversion`,
  );
});

test('when the holder of 1,000 waiters in 4 processes is killed, all of them run in order', async (t) => {
  await using server = await PrivateRedis.start();
  const { url } = server;
  const leaseMs = 3_000;
  await using holder = startHolder({ url, app: 'herd', name: 'holder', leaseMs });
  await holder.sees(/got held/);
  await using herd = await startHerd({ url, app: 'herd', leaseMs });
  const since = Date.now();
  await holder.kill();
  const granted = await herd.drained();
  const [first = NaN, last = NaN] = [granted[0], granted.at(-1)].map((fence = 0n) =>
    Math.round(grantedAt(fence) - since),
  );
  t.diagnostic(`first grant after ${first} ms, last after ${last} ms, lease ${leaseMs} ms`);
});

/** 1,000 waiters in 4 processes, all of them in the queue. */
async function startHerd(options: Omit<ProcessOptions, 'name'>) {
  const programs = ['one', 'two', 'three', 'four'].map((name) =>
    startWaiters({ ...options, name }, 250),
  );
  const end = async () => {
    await Promise.all(programs.map((program) => program[Symbol.asyncDispose]()));
  };
  try {
    await Promise.all(programs.map((program) => program.sees(/queued 250/)));
  } catch (error) {
    await end();
    throw error;
  }
  return {
    /** Resolves when all have run, and in the order in which each process queued them; to the fences of all in their order. */
    async drained(): Promise<bigint[]> {
      await Promise.all(programs.map((program) => program.sees(/done/)));
      const granted = programs.map((program) => grants(program));
      for (const ofProcess of granted) {
        const byFence = ofProcess.toSorted((x, y) => (x.fence < y.fence ? -1 : 1));
        assert.deepEqual(
          byFence.map(({ index }) => index),
          Array.from({ length: 250 }, (_, index) => index),
        );
      }
      for (const { output } of programs) assert.doesNotMatch(output, /Warning/);
      const fences = granted.flat().map(({ fence }) => fence);
      assert.equal(new Set(fences).size, 1_000);
      return fences.toSorted((x, y) => (x < y ? -1 : 1));
    },
    [Symbol.asyncDispose]: end,
  };
}

/** When a fence was granted: it is Redis's time in µs. */
function grantedAt(fence: bigint): number {
  return Number(fence) / 1_000;
}

/** How many scripts the server has run. */
async function scripts(redis: Redis): Promise<number> {
  const info = await redis.info('commandstats');
  return [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)]
    .map(([, calls]) => Number(calls))
    .reduce((sum, calls) => sum + calls, 0);
}

test('a message lost with the subscription is made good (row 16)', async () => {
  await using server = await PrivateRedis.start();
  const { url } = server;
  using a = openLocks({ app: 'gap', url, leaseMs: 30_000 });
  using b = openLocks({ app: 'gap', url, leaseMs: 30_000 });
  using redis = openRedis(url);
  for (let round = 0; round < 10; round++) {
    const hold = await held(a.locks, 'holder');
    const wait = pass(b.locks, 'waiter');
    await untilWaiting(a.locks, 1);
    const since = performance.now();
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await hold.release();
    const ms = Math.round((await wait) - since);
    // before the next refresh, after 5 s, would find it out
    assert.ok(ms < 4_500, `granted after ${ms} ms`);
  }
});

test('a message lost without a trace is made good by the next look (row 16)', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using redis = openRedis();
  const hold = await held(a.locks, 'holder');
  const wait = pass(a.locks, 'waiter');
  await untilWaiting(a.locks, 1);
  // as if the message had been sent and lost
  const [holder = '', , , waiters = ''] = placeOf(a.app).keys;
  await redis.multi().del(holder).hset(waiters, '!turn', `${Date.now()} 0 waiter`).exec();
  const since = performance.now();
  const ms = Math.round((await wait) - since);
  assert.ok(ms <= 14_000, `granted after ${ms} ms`);
  await hold.release();
});

test('who gives up leaves the queue, and the next is not delayed (row 40)', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using b = openLocks({ app: a.app, leaseMs: 30_000 });
  const hold = await held(a.locks, 'holder');
  const holders: string[] = [];
  const timed = a.locks.wait(request('timed'), {
    maxWaitMs: 200,
    onBusy: ({ id }) => holders.push(id),
  });
  await untilWaiting(a.locks, 1);
  const aborted = latch();
  const stop = new AbortController();
  const wait = a.locks.wait(request('aborted'), { signal: stop.signal });
  wait.catch(() => aborted.open());
  await untilWaiting(a.locks, 2);
  const next = pass(b.locks, 'next');
  await untilWaiting(a.locks, 3);
  const state = await a.locks.inspect('L');
  await assert.rejects(timed, {
    name: 'LockWaitTimeoutError',
    lockId: 'L',
    message: `lock 'L': not free within 0.2 s; held by 'id-of-holder' (task) on ${state?.holder?.host}:${process.pid} since ${state?.since?.toISOString()}`,
    hint: 'Let it wait longer (maxWait), or look why the holder takes so long.',
    holder: state?.holder,
  });
  assert.deepEqual(holders, ['id-of-holder']);
  stop.abort(new RangeError('enough'));
  await assert.rejects(wait, { name: 'RangeError', message: 'enough' });
  await aborted.promise;
  await untilWaiting(a.locks, 1);
  const since = performance.now();
  await hold.release();
  const ms = Math.round((await next) - since);
  assert.ok(ms <= 4_500, `granted after ${ms} ms`);
  await assert.rejects(a.locks.wait(request('late'), { signal: stop.signal }), {
    message: 'enough',
  });
});

test('a grant that races with giving up is given back (row 40)', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using b = openLocks({ app: a.app, leaseMs: 30_000 });
  let granted = 0;
  for (let round = 0; round < 200; round++) {
    const hold = await b.locks.wait(request(`holder ${round}`));
    const stop = new AbortController();
    const wait = a.locks.wait(request(`waiter ${round}`), { signal: stop.signal }).then(
      async (got) => {
        granted++;
        await got.release();
      },
      () => {},
    );
    await untilWaiting(b.locks, 1);
    const release = hold.release();
    // within the time a grant takes
    await delay(Math.random() * 3);
    stop.abort(new Error('enough'));
    await Promise.all([wait, release]);
  }
  assert.ok(granted > 0 && granted < 200, `${granted} of 200 granted: no race`);
  await pass(b.locks, 'last');
  await untilWaiting(b.locks, 0);
});

test('two that wait for each other are told of it in time (row 44)', async () => {
  using a = openLocks();
  using b = openLocks({ app: a.app });
  const first = await held(a.locks, 'A', { lockId: 'a' });
  const second = await held(b.locks, 'B', { lockId: 'b' });
  const names = await Promise.all([
    a.locks.wait(request('A', { lockId: 'b' }), { maxWaitMs: 300 }).catch(holderOf),
    b.locks.wait(request('B', { lockId: 'a' }), { maxWaitMs: 300 }).catch(holderOf),
  ]);
  assert.deepEqual(names, ['id-of-B', 'id-of-A']);
  await Promise.all([first.release(), second.release()]);
});

function holderOf(error: unknown): string | undefined {
  return (error as { holder?: { id: string } }).holder?.id;
}

test('a waiter keeps waiting while Redis is away, and queues again where its place was lost', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'away', url: server.url, leaseMs: 1_000 });
  using b = openLocks({ app: 'away', url: server.url, leaseMs: 1_000 });
  const hold = await held(a.locks, 'holder');
  const gone = lost(hold);
  const wait = pass(b.locks, 'waiter');
  await untilWaiting(a.locks, 1);
  await server.restart();
  assert.ok(['gone', 'deadline'].includes((await gone).reason));
  await wait;
  await hold.release();
});

test('without Redis a waiter is not let into the queue (row 31)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'none', url: server.url });
  await server.kill();
  const since = performance.now();
  await assert.rejects(a.locks.wait(request('waiter')), { name: 'LockUnavailableError' });
  const ms = performance.now() - since;
  assert.ok(ms > 4_900 && ms < 15_000, `after ${ms} ms`);
});

/** Hears of the turns of parked calls, and says whether their workflows are there. */
async function hearing(locks: Locks, isThere: (turn: ParkedTurn) => Promise<boolean>) {
  const heard: string[] = [];
  const stop = await locks.onParkedTurn({
    wake: async (turn) => {
      heard.push(turn.owner);
      return await isThere(turn);
    },
    wakeAll: async () => {},
  });
  return { heard, [Symbol.asyncDispose]: stop };
}

async function park(locks: Locks, owner: string): Promise<void> {
  const answer = await locks.acquire(request(owner, { queue: 'parked' }));
  assert.notEqual(answer.kind, 'held');
}

test('one of several workers is told of the turn of a parked call', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using b = openLocks({ app: a.app, leaseMs: 30_000 });
  using c = openLocks({ app: a.app, leaseMs: 30_000 });
  const taken = latch();
  const take = async ({ owner }: ParkedTurn) => {
    await (await held(a.locks, owner, { round: 2, queue: 'parked' })).release();
    taken.open();
    return true;
  };
  await using one = await hearing(a.locks, take);
  await using two = await hearing(b.locks, take);
  await using three = await hearing(c.locks, take);
  const hold = await held(a.locks, 'holder');
  await park(a.locks, 'wf:ns:id:run');
  await hold.release();
  await taken.promise;
  assert.deepEqual([...one.heard, ...two.heard, ...three.heard], ['wf:ns:id:run']);
});

test('a parked call whose workflow is gone makes way for the next', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  const heardAlive = latch();
  const hold = await held(a.locks, 'holder');
  for (const owner of ['wf:ns:gone:1', 'wf:ns:gone:2', 'wf:ns:alive:3']) await park(a.locks, owner);
  await using hears = await hearing(a.locks, async ({ owner }) => {
    if (owner === 'wf:ns:alive:3') heardAlive.open();
    return owner === 'wf:ns:alive:3';
  });
  await hold.release();
  await heardAlive.promise;
  assert.deepEqual(hears.heard, ['wf:ns:gone:1', 'wf:ns:gone:2', 'wf:ns:alive:3']);
  assert.equal((await a.locks.inspect('L'))?.waiters.count, 1);
  await (await held(a.locks, 'wf:ns:alive:3', { queue: 'parked' })).release();
});

test('a parked call that has not come is signalled again', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  const hold = await held(a.locks, 'holder');
  await park(a.locks, 'wf:ns:id:run');
  const again = latch();
  const times: number[] = [];
  await using _hears = await hearing(a.locks, async () => {
    // at first the request itself fails, as when Temporal is away
    if (times.push(performance.now()) === 1) throw new Error('not now');
    again.open();
    return true;
  });
  await hold.release();
  await again.promise;
  const [first = 0, second = 0] = times;
  assert.ok(second - first >= 1_990 && second - first < 20_000, `again after ${second - first} ms`);
});

test('a turn that came while no worker listened is found by the next one', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  const hold = await held(a.locks, 'holder');
  await park(a.locks, 'wf:ns:id:run');
  await hold.release();
  const heard = latch();
  await using _hears = await hearing(a.locks, async () => {
    heard.open();
    return true;
  });
  await heard.promise;
});

test('a parked call that does not come is passed over after 5 s, and keeps its ticket', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using redis = openRedis();
  // a worker hears of its turn, and that is all
  await using _hears = await hearing(a.locks, async () => true);
  const hold = await held(a.locks, 'holder');
  await park(a.locks, 'wf:ns:id:run');
  await hold.release();
  assert.equal((await a.locks.acquire(request('try'))).kind, 'queued');
  // 5 s later
  const [, , , waiters = ''] = placeOf(a.app).keys;
  await redis.hset(waiters, '!turn', `${Date.now() - 5_001} ${Date.now()} wf:ns:id:run`);
  // once, not before each of the others
  await pass(a.locks, 'first');
  await pass(a.locks, 'second');
  const third = await held(a.locks, 'third');
  const answer = await a.locks.acquire(request('fourth', { queue: 'process' }));
  assert.ok(answer.kind === 'busy' && answer.rank === 1);
  await park(a.locks, 'wf:ns:id:run');
  await third.release();
  assert.equal((await a.locks.acquire(request('fourth', { queue: 'process' }))).kind, 'queued');
  await (await held(a.locks, 'wf:ns:id:run', { queue: 'parked' })).release();
  await (await held(a.locks, 'fourth', { queue: 'process' })).release();
});

test('where one parked call has not come, nobody waits for the others until one comes', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  using redis = openRedis();
  await using hears = await hearing(a.locks, async () => true);
  const hold = await held(a.locks, 'holder');
  for (const owner of ['wf:ns:1:run', 'wf:ns:2:run', 'wf:ns:3:run']) await park(a.locks, owner);
  await hold.release();
  const [, , , waiters = ''] = placeOf(a.app).keys;
  await redis.hset(waiters, '!turn', `${Date.now() - 5_001} ${Date.now()} wf:ns:1:run`);
  await pass(a.locks, 'first');
  await pass(a.locks, 'second');
  const third = await held(a.locks, 'third');
  await park(a.locks, 'wf:ns:2:run');
  hears.heard.length = 0;
  await third.release();
  assert.equal((await a.locks.acquire(request('fourth'))).kind, 'queued');
  await until('woken', async () => hears.heard.includes('wf:ns:2:run'));
  await (await held(a.locks, 'wf:ns:2:run', { queue: 'parked' })).release();
});

test('without a worker nobody waits for a parked call; the first worker that comes wakes it', async () => {
  using a = openLocks({ leaseMs: 30_000 });
  const hold = await held(a.locks, 'holder');
  await park(a.locks, 'wf:ns:id:run');
  await hold.release();
  await pass(a.locks, 'waiter');
  await (await held(a.locks, 'try')).release();
  const second = await held(a.locks, 'second holder');
  const behind = await a.locks.acquire(request('behind', { queue: 'process' }));
  assert.ok(behind.kind === 'busy' && behind.rank === 1);
  const heard = latch();
  await using _hears = await hearing(a.locks, async () => {
    heard.open();
    return true;
  });
  // before those who came after it
  await second.release();
  await heard.promise;
  assert.equal((await a.locks.acquire(request('behind', { queue: 'process' }))).kind, 'queued');
});

test('where Redis has lost the places of parked calls, one worker wakes them all', async () => {
  await using server = await PrivateRedis.start();
  const { url } = server;
  const calls: string[] = [];
  // the first use of a Redis looks like a loss too
  let heard = latch();
  const open = async (name: string) => {
    const { locks } = openLocks({ app: 'lost', url, leaseMs: 30_000 });
    const wakeAll = async () => {
      calls.push(name);
      heard.open();
    };
    const stop = await locks.onParkedTurn({ wake: async () => true, wakeAll });
    return {
      locks,
      [Symbol.asyncDispose]: async () => {
        await stop();
        locks.close();
      },
    };
  };
  await using _one = await open('one');
  await heard.promise;
  await using _two = await open('two');
  using redis = openRedis(url);
  for (const lose of [() => redis.flushall(), () => server.restart()]) {
    await until('noted as done', async () => {
      const [, runId] = /run_id:(\w+)/.exec(await redis.info('server')) ?? [];
      return (await redis.hget('{sedano:lost}:epoch', 'mustered')) === runId;
    });
    const before = calls.length;
    heard = latch();
    await lose();
    await heard.promise;
    assert.equal(calls.length, before + 1);
  }
});

test('what Redis loses while a worker wakes the parked calls is not counted as done', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'lost', url: server.url, leaseMs: 30_000 });
  using redis = openRedis(server.url);
  const twice = latch();
  let calls = 0;
  const stop = await a.locks.onParkedTurn({
    wake: async () => true,
    wakeAll: async () => {
      calls += 1;
      if (calls === 1) await redis.flushall();
      else twice.open();
    },
  });
  await twice.promise;
  await stop();
});

test('a waiter hears of its turn at once', async (t) => {
  using a = openLocks({ leaseMs: 30_000 });
  using b = openLocks({ app: a.app, leaseMs: 30_000 });
  const times: number[] = [];
  for (let round = 0; round < 100; round++) {
    const hold = await held(a.locks, 'holder');
    const wait = pass(b.locks, 'waiter');
    await untilWaiting(a.locks, 1);
    const since = performance.now();
    await hold.release();
    times.push((await wait) - since);
  }
  const [p50, p99] = [percentile(times, 50), percentile(times, 99)];
  t.diagnostic(`hand-over p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
});
