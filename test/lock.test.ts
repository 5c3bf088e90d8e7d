import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { releaseScript, renewScript } from '../src/lock/scripts.ts';
import { latch } from './helpers/harness.ts';
import {
  held,
  heldAtLast,
  untilListening,
  lost,
  openLocks,
  openRedis,
  placeOf,
  request,
  startRestricted,
  until,
  untilWaiting,
} from './helpers/locks.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

/** The shared server, and one that lets in only a user with the least rights. */
const accounts = [
  {
    name: 'any user',
    open: async () => ({ url: undefined, adminUrl: undefined, close: async () => {} }),
  },
  {
    name: 'a user with the least rights',
    open: async () => {
      const { server, url, adminUrl } = await startRestricted('locks-*');
      return { url, adminUrl, close: () => server[Symbol.asyncDispose]() };
    },
  },
];

for (const account of accounts) {
  describe(`a lock of ${account.name}`, () => {
    let url: string | undefined;
    let adminUrl: string | undefined;
    let close = async () => {};
    before(async () => ({ url, adminUrl, close } = await account.open()));
    after(() => close());
    const open = (options: Parameters<typeof openLocks>[0] = {}) =>
      openLocks({ ...options, ...(url === undefined ? {} : { url }) });

    test('a second owner is told who holds the lock, and gets it after its release', async () => {
      using a = open();
      using b = open({ app: a.app });
      const first = await held(a.locks, 'a');
      assert.ok(first.isHeld());
      const answer = await b.locks.acquire(request('b'));
      assert.equal(answer.kind, 'busy');
      assert.equal(answer.holder.id, 'id-of-a');
      assert.equal(answer.holder.pid, process.pid);
      assert.ok(answer.leftMs > 0 && answer.leftMs <= 2_000);
      await first.release();
      assert.equal(first.isHeld(), false);
      const second = await held(b.locks, 'b');
      assert.ok(BigInt(second.fence) > BigInt(first.fence));
      await second.release();
    });

    test('fences grow with every grant, also when Redis lost its data', async () => {
      using a = open();
      using redis = openRedis(adminUrl);
      const fences: bigint[] = [];
      for (let grant = 0; grant < 5; grant++) {
        const hold = await held(a.locks, 'a');
        fences.push(BigInt(hold.fence));
        await hold.release();
        if (grant === 2) await redis.del(fenceKey(a.app));
      }
      assert.deepEqual(
        fences,
        fences.toSorted((x, y) => (x < y ? -1 : 1)),
      );
      assert.equal(new Set(fences).size, 5);
    });

    test('a lock is renewed for as long as it is held', async () => {
      using a = open();
      using b = open({ app: a.app });
      const hold = await held(a.locks, 'a');
      for (let look = 0; look < 10; look++) {
        await delay(300);
        assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
        assert.ok(hold.isHeld());
      }
      await hold.release();
    });

    test('a lock whose key was deleted is lost within a third of its lease (row 24)', async () => {
      using a = open({ leaseMs: 3_000 });
      using redis = openRedis(adminUrl);
      const hold = await held(a.locks, 'a');
      const loss = lost(hold);
      await redis.del(holderKey(a.app));
      const error = await loss;
      assert.equal(error.name, 'LockLostError');
      assert.equal(error.message, "lock 'L' was lost: it is no longer ours in Redis");
      assert.equal(error.reason, 'gone');
      assert.equal(error.fence, hold.fence);
      assert.equal(hold.isHeld(), false);
      await hold.release();
    });

    test('after a stall of the event loop isHeld() is false at once (row 5)', async () => {
      using a = open();
      const hold = await held(a.locks, 'a');
      const end = performance.now() + 2_100;
      while (performance.now() < end);
      assert.equal(hold.isHeld(), false);
      await hold.release();
    });

    test('during() refuses a value that was computed without the lock', async () => {
      using a = open();
      const hold = await held(a.locks, 'a');
      const stall = async () => {
        const end = performance.now() + 2_100;
        while (performance.now() < end);
        return 'value';
      };
      await assert.rejects(hold.during(stall), {
        name: 'LockLostError',
        message: "lock 'L' was lost: its lease ended before it could be renewed",
      });
    });

    test('during() releases when its body throws, and keeps the body’s error', async () => {
      using a = open();
      const hold = await held(a.locks, 'a');
      await assert.rejects(
        hold.during(async () => {
          throw new RangeError('mine');
        }),
        { name: 'RangeError', message: 'mine' },
      );
      await (await held(a.locks, 'b')).release();
    });

    test('a later attempt of the same owner takes over: the earlier one is told and lets go (row 9)', async () => {
      using a = open();
      using b = open({ app: a.app });
      const first = await held(a.locks, 'run');
      const loss = lost(first);
      assert.equal((await b.locks.acquire(request('run', { attempt: 2 }))).kind, 'takeover');
      assert.equal(
        (await loss).message,
        "lock 'L' was lost: a later attempt of the same call takes over",
      );
      assert.equal((await b.locks.acquire(request('run', { attempt: 2 }))).kind, 'takeover');
      await first.release();
      const second = await held(b.locks, 'run', { attempt: 2 });
      // the zombie can neither take nor renew nor release it
      assert.equal((await a.locks.acquire(request('run'))).kind, 'stale');
      // nor does an older round, whatever the number of its attempt
      const late = await a.locks.acquire(request('run', { round: 0, attempt: 9 }));
      assert.equal(late.kind, 'stale');
      using redis = openRedis(adminUrl);
      const [word] = await renewScript(redis, placeOf(a.app), [first.fence, '1000', '0']);
      assert.equal(word, 'GONE');
      await first.release();
      assert.ok(second.isHeld());
      assert.equal((await a.locks.acquire(request('other'))).kind, 'busy');
      await second.release();
    });

    test('a later round takes over, although its attempts begin with 1 again', async () => {
      using a = open();
      const first = await held(a.locks, 'run', { round: 1, attempt: 10 });
      const loss = lost(first);
      const later = request('run', { round: 2, attempt: 1 });
      assert.equal((await a.locks.acquire(later)).kind, 'takeover');
      assert.equal((await loss).reason, 'revoked');
      await first.release();
      const second = await held(a.locks, 'run', { round: 10, attempt: 1 });
      assert.equal((await a.locks.acquire(request('run', { round: 9, attempt: 1 }))).kind, 'stale');
      await second.release();
    });

    test('an attempt that is taken over is told by message', async (t) => {
      using a = open({ leaseMs: 30_000 });
      using b = open({ app: a.app, leaseMs: 30_000 });
      const first = await held(a.locks, 'run');
      await untilListening(a.app, adminUrl);
      const loss = lost(first);
      await b.locks.acquire(request('warm up', { lockId: 'other' }));
      const since = performance.now();
      assert.equal((await b.locks.acquire(request('run', { attempt: 2 }))).kind, 'takeover');
      await loss;
      const ms = performance.now() - since;
      t.diagnostic(`told after ${ms.toFixed(1)} ms`);
      // long before its next renewal would tell it
      assert.ok(ms <= 5_000, `told after ${ms} ms`);
      await first.release();
    });

    test('a holder that is asked for its lock is told, and the lock is free when it stops', async () => {
      using a = open({ leaseMs: 60_000 });
      using b = open({ app: a.app, leaseMs: 60_000 });
      // its next renewal would come too late to tell it
      const hold = await held(a.locks, 'a');
      await untilListening(a.app, adminUrl);
      assert.equal(await b.locks.release('L', { who: 'paolo', fence: '1' }), false);
      assert.ok(hold.isHeld());
      assert.equal(await b.locks.release('L', { who: 'paolo' }), true);
      const { message, reason } = await lost(hold);
      assert.equal(message, "lock 'L' was lost: paolo has asked for its release");
      assert.equal(reason, 'revoked');
      assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
      assert.equal((await b.locks.inspect('L'))?.revoked, true);
      await hold.release();
      const state = await b.locks.inspect('L');
      assert.deepEqual(state?.lastEnd, { how: 'revoked', fence: hold.fence, who: 'paolo' });
      await (await held(b.locks, 'b')).release();
      assert.equal(await b.locks.release('L', { who: 'paolo' }), false);
    });

    test('a hold can be ended at once, with its fence only (row 75)', async () => {
      using a = open({ leaseMs: 60_000 });
      using b = open({ app: a.app, leaseMs: 60_000 });
      // its next renewal would come too late to tell it
      const hold = await held(a.locks, 'a');
      await untilListening(a.app, adminUrl);
      await assert.rejects(b.locks.release('L', { who: 'paolo', now: true }), {
        name: 'LockError',
        message: "lock 'L': to end a hold now, expected its fence, got none",
      });
      const { fence } = hold;
      assert.equal(await b.locks.release('L', { who: 'paolo', fence: '1', now: true }), false);
      assert.equal(await b.locks.release('L', { who: 'paolo', fence, now: true }), true);
      const next = await held(b.locks, 'b');
      const { message, reason } = await lost(hold);
      assert.equal(message, "lock 'L' was lost: paolo has released it");
      assert.equal(reason, 'forced');
      // what is left of the first hold does no harm to the next
      await hold.release();
      assert.ok(next.isHeld());
      assert.equal(await b.locks.release('L', { who: 'anna', fence, now: true }), false);
      await next.release();
    });

    test('a lock tells who holds it, who waits, and how its last hold ended', async () => {
      using a = open();
      assert.equal(await a.locks.inspect('L'), undefined);
      assert.deepEqual(await a.locks.list(), []);
      const hold = await held(a.locks, 'a');
      await a.locks.acquire(request('b', { queue: 'process' }));
      const queued = await a.locks.acquire(request('wf:ns:id:run', { queue: 'parked' }));
      assert.ok(queued.kind === 'busy' && queued.rank === 1);
      const state = await a.locks.inspect('L');
      assert.ok(state?.since && Math.abs(state.since.getTime() - Date.now()) < 5_000);
      assert.ok(state.leftMs > 0 && state.leftMs <= 2_000);
      assert.deepEqual(state, {
        lockId: 'L',
        holder: { task: 'task', id: 'id-of-a', runId: 'run', host: hostname(), pid: process.pid },
        since: state.since,
        leftMs: state.leftMs,
        fence: hold.fence,
        revoked: false,
        waiters: {
          count: 2,
          first: [
            { rank: 0, owner: 'b', kind: 'process' },
            { rank: 1, owner: 'wf:ns:id:run', kind: 'parked' },
          ],
        },
        lastEnd: undefined,
      });
      await hold.release();
      const other = await held(a.locks, 'a', { lockId: 'other' });
      const listed = await a.locks.list();
      assert.deepEqual(
        listed.map(({ lockId, lastEnd }) => [lockId, lastEnd?.how]),
        [
          ['other', undefined],
          ['L', 'released'],
        ],
      );
      await other.release();
    });

    test('a lease that ran out is said to have expired', async () => {
      using a = open();
      const hold = await held(a.locks, 'a');
      using redis = openRedis(adminUrl);
      await redis.pexpire(holderKey(a.app), 1);
      await lost(hold);
      const state = await a.locks.inspect('L');
      assert.deepEqual(state?.lastEnd, { how: 'expired', fence: hold.fence, who: '' });
      await hold.release();
    });

    test('nobody jumps the queue of a free lock', async () => {
      using a = open();
      using b = open({ app: a.app });
      const hold = await held(a.locks, 'a');
      const queued = await b.locks.acquire(request('b', { queue: 'process' }));
      assert.ok(queued.kind === 'busy' && queued.rank === 0);
      await hold.release();
      const answer = await a.locks.acquire(request('c'));
      assert.deepEqual(answer, { kind: 'queued', leftMs: 50 });
      assert.deepEqual(await a.locks.acquire(request('d', { queue: 'process' })), {
        kind: 'queued',
        leftMs: 50,
        rank: 1,
      });
      await (await held(b.locks, 'b')).release();
      // and when the first has left, it is the next one's turn
      await a.locks.leave('L', 'd');
      await (await held(a.locks, 'c')).release();
    });

    test('waiters get the lock in their order, each told by the one before', async () => {
      using a = open({ leaseMs: 30_000 });
      using b = open({ app: a.app, leaseMs: 30_000 });
      const first = await held(a.locks, 'first');
      const order: string[] = [];
      const waits: Promise<void>[] = [];
      for (const [index, { locks }] of [a, b, a, b, b].entries()) {
        const owner = `waiter ${index}`;
        waits.push(
          locks.wait(request(owner)).then(async (hold) => {
            order.push(owner);
            await hold.release();
          }),
        );
        await untilWaiting(locks, index + 1);
      }
      await first.release();
      await Promise.all(waits);
      assert.deepEqual(order, ['waiter 0', 'waiter 1', 'waiter 2', 'waiter 3', 'waiter 4']);
    });

    test('the guard, a parked call and its turn', async () => {
      using a = open({ leaseMs: 1_000, recoveryGuard: true });
      await a.locks.touch();
      assert.equal((await a.locks.acquire(request('early'))).kind, 'recovering');
      const hold = await heldAtLast(a.locks, 'a');
      const turn = latch<string>();
      const stop = await a.locks.onParkedTurn({
        wakeAll: async () => {},
        wake: async ({ owner }) => {
          turn.open(owner);
          return true;
        },
      });
      await a.locks.acquire(request('wf:ns:id:run', { queue: 'parked' }));
      await hold.release();
      assert.equal(await turn.promise, 'wf:ns:id:run');
      await stop();
    });

    test('scripts bear being sent twice, and their loss from the cache (row 25)', async () => {
      using a = open();
      using redis = openRedis(adminUrl);
      const hold = await held(a.locks, 'a');
      await redis.script('FLUSH');
      const place = placeOf(a.app);
      assert.equal((await renewScript(redis, place, [hold.fence, '1000', '0']))[0], 'OK');
      assert.equal((await releaseScript(redis, place, [hold.fence]))[0], 'OK');
      assert.equal((await releaseScript(redis, place, [hold.fence]))[0], 'OK');
      await hold.release();
    });
  });
}

test('a holder that hears no messages is told by its next renewal that it is taken over', async (t) => {
  const { server, url, adminUrl } = await startRestricted('deaf');
  await using _server = server;
  using admin = openRedis(adminUrl);
  await admin.call('ACL', 'SETUSER', 'lock', '-subscribe');
  using a = openLocks({ app: 'deaf', url, leaseMs: 3_000 });
  const first = await held(a.locks, 'run');
  const loss = lost(first);
  const since = performance.now();
  assert.equal((await a.locks.acquire(request('run', { attempt: 2 }))).kind, 'takeover');
  // and not by its deadline
  assert.equal((await loss).reason, 'revoked');
  t.diagnostic(`told after ${Math.round(performance.now() - since)} ms, lease 3000 ms`);
  await first.release();
  await (await held(a.locks, 'run', { attempt: 2 })).release();
});

test('while Redis is frozen the holder learns by its own clock that its lease is over', async (t) => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ url: server.url, leaseMs: 1_500 });
  const hold = await held(a.locks, 'a');
  const loss = lost(hold);
  const since = performance.now();
  server.freeze();
  // told while Redis still answers nobody, so before anybody else can be granted the lock
  const error = await loss;
  t.diagnostic(`told after ${Math.round(performance.now() - since)} ms, lease 1500 ms`);
  assert.equal(error.message, "lock 'L' was lost: its lease ended before it could be renewed");
  assert.equal(hold.isHeld(), false);
  server.thaw();
  await hold.release();
});

test('a grant whose reply comes after its lease enters no body', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ url: server.url });
  await (await held(a.locks, 'warm up')).release();
  server.freeze();
  const late = held(a.locks, 'a');
  await delay(2_100);
  server.thaw();
  let entered = false;
  const hold = await late;
  await assert.rejects(
    hold.during(async () => {
      entered = true;
    }),
    { name: 'LockLostError' },
  );
  assert.equal(entered, false);
});

test('a holder that dies frees the lock when its lease ends', async () => {
  await using server = await PrivateRedis.start();
  using b = openLocks({ app: 'shared', url: server.url });
  const holder = openLocks({ app: 'shared', url: server.url });
  const hold = await held(holder.locks, 'a');
  // cut off from Redis it can neither renew nor release, as if it were dead
  holder.locks.close();
  const next = await heldAtLast(b.locks, 'b', 2_100);
  assert.equal(hold.isHeld(), false);
  await next.release();
});

test('what Redis executes after its caller has given up is not granted (row 31)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  using b = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  await (await held(a.locks, 'warm up')).release();
  await (await held(b.locks, 'warm up')).release();
  server.freeze();
  await assert.rejects(a.locks.acquire(request('a')), {
    name: 'LockUnavailableError',
    message: `lock 'L': Redis at ${server.address} cannot be used: no answer within 5 s`,
    hint: `Check that Redis runs at ${server.address} and that REDIS_URL is right.`,
  });
  server.thaw();
  // the frozen server still has the request, and gets it again when the connection is back
  await a.locks.inspect('L');
  const hold = await held(b.locks, 'b');
  const state = await a.locks.inspect('L');
  assert.equal(state?.lastEnd?.how, 'released');
  await hold.release();
});

test('what Redis executes after its caller has ended is granted to nobody (row 31)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  using redis = openRedis(server.url);
  await (await held(a.locks, 'warm up')).release();
  const clients = async () => String(await redis.client('LIST')).match(/(?<=^id=)\d+/gm) ?? [];
  const own = String(await redis.client('ID'));
  const before = (await clients()).filter((id) => id !== own);
  server.freeze();
  await assert.rejects(a.locks.acquire(request('a')), { name: 'LockUnavailableError' });
  a.locks.close();
  server.thaw();
  // the request was in its connection
  await until('ended', async () => (await clients()).every((id) => !before.includes(id)));
  using b = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  await (await held(b.locks, 'b')).release();
});

function holderKey(app: string): string {
  return `{sedano:${app}}:v1:L:h`;
}

function fenceKey(app: string): string {
  return `{sedano:${app}}:v1:L:f`;
}
