import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Locks, type LockRequest } from '../src/lock/lock.ts';
import type { Hold } from '../src/lock/hold.ts';
import { renewScript, releaseScript } from '../src/lock/scripts.ts';
import { uniqueName } from './helpers/harness.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

const URL = process.env['REDIS_URL'] ?? 'redis://localhost:6379';

/** Locks of an app of their own; each with a connection of its own, as two processes have. */
function openLocks({ app = uniqueName('locks'), url = URL, leaseMs = 2_000 } = {}) {
  const locks = new Locks({ app, url: { url, where: 'REDIS_URL' }, leaseMs });
  return { app, locks, prefix: `{sedano:${app}}:v1:`, [Symbol.dispose]: () => locks.close() };
}

function request(owner: string, attempt = 1): LockRequest {
  return {
    lockId: 'L',
    owner,
    attempt,
    holder: { task: 'task', id: `id-of-${owner}`, runId: 'run' },
  };
}

async function held(locks: Locks, owner: string, attempt = 1): Promise<Hold> {
  const answer = await locks.acquire(request(owner, attempt));
  if (answer.kind !== 'held') throw new Error(`expected the lock, got ${answer.kind}`);
  return answer.hold;
}

function lost(hold: Hold): Promise<Error> {
  const { signal } = hold;
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(signal.reason as Error)),
  );
}

test('a second owner is told who holds the lock, and gets it after its release', async () => {
  using a = openLocks();
  using b = openLocks({ app: a.app });
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
  using a = openLocks();
  using redis = closing(new Redis(URL));
  const fences: bigint[] = [];
  for (let grant = 0; grant < 5; grant++) {
    const hold = await held(a.locks, 'a');
    fences.push(BigInt(hold.fence));
    await hold.release();
    if (grant === 2) await redis.del(`${a.prefix}L:f`);
  }
  assert.deepEqual(
    fences,
    fences.toSorted((x, y) => (x < y ? -1 : 1)),
  );
  assert.equal(new Set(fences).size, 5);
});

test('a lock is renewed for as long as it is held', async () => {
  using a = openLocks();
  using b = openLocks({ app: a.app });
  const hold = await held(a.locks, 'a');
  for (let look = 0; look < 10; look++) {
    await delay(300);
    assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
    assert.ok(hold.isHeld());
  }
  await hold.release();
});

test('a lock whose key was deleted is lost within a third of its lease', async () => {
  using a = openLocks({ leaseMs: 3_000 });
  using redis = closing(new Redis(URL));
  const hold = await held(a.locks, 'a');
  const loss = lost(hold);
  await redis.del(`${a.prefix}L:h`);
  const error = await loss;
  assert.equal(error.name, 'LockLostError');
  assert.equal(error.message, "lock 'L' was lost: it is no longer ours in Redis");
  assert.equal(hold.isHeld(), false);
  await hold.release();
});

test('while Redis is frozen the holder learns by its own clock that its lease is over', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ url: server.url, leaseMs: 1_500 });
  const hold = await held(a.locks, 'a');
  const loss = lost(hold);
  server.freeze();
  // told while Redis still answers nobody, so before anybody else can be granted the lock
  const error = await loss;
  assert.equal(error.message, "lock 'L' was lost: its lease ended before it could be renewed");
  assert.equal(hold.isHeld(), false);
  server.thaw();
  await hold.release();
});

test('after a stall of the event loop isHeld() is false at once', async () => {
  using a = openLocks();
  const hold = await held(a.locks, 'a');
  const end = performance.now() + 2_100;
  while (performance.now() < end);
  assert.equal(hold.isHeld(), false);
  await hold.release();
});

test('during() refuses a value that was computed without the lock', async () => {
  using a = openLocks();
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

test('during() releases when its body throws, and keeps the body’s error', async () => {
  using a = openLocks();
  const hold = await held(a.locks, 'a');
  await assert.rejects(
    hold.during(async () => {
      throw new RangeError('mine');
    }),
    { name: 'RangeError', message: 'mine' },
  );
  await (await held(a.locks, 'b')).release();
});

test('a later attempt of the same owner takes over: the earlier one is told and lets go', async () => {
  using a = openLocks();
  using b = openLocks({ app: a.app });
  const first = await held(a.locks, 'run', 1);
  const loss = lost(first);
  assert.equal((await b.locks.acquire(request('run', 2))).kind, 'takeover');
  assert.equal(
    (await loss).message,
    "lock 'L' was lost: a later attempt of the same call takes over",
  );
  assert.equal((await b.locks.acquire(request('run', 2))).kind, 'takeover');
  await first.release();
  const second = await held(b.locks, 'run', 2);
  // the zombie can neither take nor renew nor release it
  assert.equal((await a.locks.acquire(request('run', 1))).kind, 'stale');
  using redis = closing(new Redis(URL));
  assert.equal(await renewScript(redis, [`${a.prefix}L:h`], [first.fence, '1000']), 0);
  await first.release();
  assert.ok(second.isHeld());
  assert.equal((await a.locks.acquire(request('other'))).kind, 'busy');
  await second.release();
});

test('a holder that dies frees the lock when its lease ends', async () => {
  await using server = await PrivateRedis.start();
  using b = openLocks({ app: 'shared', url: server.url });
  const holder = openLocks({ app: 'shared', url: server.url });
  const hold = await held(holder.locks, 'a');
  // cut off from Redis it can neither renew nor release, as if it were dead
  holder.locks.close();
  const deadline = Date.now() + 5_000;
  for (;;) {
    const answer = await b.locks.acquire(request('b'));
    if (answer.kind === 'held') {
      assert.equal(hold.isHeld(), false);
      await answer.hold.release();
      break;
    }
    assert.ok(Date.now() < deadline, 'never freed');
    await delay(20);
  }
  await hold.release();
});

test('scripts bear being sent twice, and their loss from the cache', async () => {
  using a = openLocks();
  using redis = closing(new Redis(URL));
  const hold = await held(a.locks, 'a');
  await redis.script('FLUSH');
  assert.equal(await renewScript(redis, [`${a.prefix}L:h`], [hold.fence, '1000']), 1);
  const release = () => releaseScript(redis, [`${a.prefix}L:h`, `${a.prefix}L:l`], [hold.fence]);
  assert.equal(await release(), 1);
  assert.equal(await release(), 1);
  await hold.release();
});

test('without Redis acquire() fails within its time, and a late grant is given back', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  using b = openLocks({ app: 'late', url: server.url, leaseMs: 60_000 });
  await (await held(a.locks, 'warm up')).release();
  server.freeze();
  await assert.rejects(a.locks.acquire(request('a')), {
    name: 'LockUnavailableError',
    message: `lock 'L': Redis at ${server.address} cannot be used: no answer within 5 s`,
    hint: `Check that Redis runs at ${server.address} and that REDIS_URL is right.`,
  });
  server.thaw();
  // the frozen server still had the request: granted when it woke up, it must not stay for the whole lease
  const deadline = Date.now() + 5_000;
  for (;;) {
    const answer = await b.locks.acquire(request('b'));
    if (answer.kind === 'held') return await answer.hold.release();
    assert.ok(Date.now() < deadline, 'the late grant stayed');
    await delay(20);
  }
});

function closing(redis: Redis): Redis & Disposable {
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
}
