import assert from 'node:assert/strict';
import { stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { currentTask, Sedano } from 'sedano';
import type { Hold } from '../src/lock/hold.ts';
import type { Locks } from '../src/lock/lock.ts';
import { acquireScript, forceScript, releaseScript } from '../src/lock/scripts.ts';
import {
  held,
  heldAtLast,
  lost,
  openLocks,
  openRedis,
  placeOf,
  request,
  until,
  untilRenewed,
} from './helpers/locks.ts';
import { temporaryFolder } from './helpers/package.ts';
import { percentile } from './helpers/percentile.ts';
import { PrivateRedis } from './helpers/private-redis.ts';
import { TcpProxy } from './helpers/tcp-proxy.ts';

const LEASE_MS = 1_500;

test('a copy of a request that comes after its hold has ended takes nothing (row 9)', async () => {
  using a = openLocks();
  using redis = openRedis();
  const place = placeOf(a.app);
  const ask = () =>
    acquireScript(redis, place, [
      'a',
      '1',
      '1',
      'nonce',
      '60000',
      '{}',
      'no',
      'inbox',
      '15000',
      '9999999999999',
      '0',
    ]);
  const [word, , fence = ''] = await ask();
  assert.equal(word, 'HELD');
  assert.deepEqual([(await ask())[0], (await ask())[2]], ['HELD', fence]);
  await releaseScript(redis, place, [fence]);
  assert.equal((await ask())[0], 'LATE');
  await (await held(a.locks, 'b')).release();
});

test('a hold that was ended by force is not given back as if it had been held (row 75)', async () => {
  using a = openLocks();
  using redis = openRedis();
  const place = placeOf(a.app);
  const { fence } = await held(a.locks, 'a');
  assert.equal((await forceScript(redis, place, [fence, 'paolo', '1']))[0], 'OK');
  assert.equal((await releaseScript(redis, place, [fence]))[0], 'GONE');
});

/** Breaks the connection when the reply to the next script is under way. */
function loseReply(proxy: TcpProxy): void {
  let isAsked = false;
  proxy.onRequest = (data) => {
    isAsked ||= /evalsha/i.test(String(data));
    return false;
  };
  proxy.onReply = () => {
    if (!isAsked) return false;
    proxy.onRequest = () => false;
    proxy.onReply = () => false;
    proxy.reset();
    return true;
  };
}

const LOST_REPLIES = Number(process.env['LOST_REPLIES'] ?? 100);

test('a lost reply to acquire, renew or release changes nothing (rows 12, 13, 14)', async (t) => {
  await using server = await PrivateRedis.start();
  await using proxy = await TcpProxy.start(server.url);
  using a = openLocks({ app: 'lossy', url: proxy.url, leaseMs: LEASE_MS });
  using redis = openRedis(server.url);
  const counter = '{sedano:lossy}:v1:L:f';
  await (await held(a.locks, 'warm up')).release();
  const times = { acquire: [] as number[], release: [] as number[] };
  for (let round = 0; round < LOST_REPLIES; round++) {
    loseReply(proxy);
    const asked = performance.now();
    const hold = await held(a.locks, 'a');
    times.acquire.push(performance.now() - asked);
    assert.equal(await redis.get(counter), hold.fence);
    if (round < 3) {
      loseReply(proxy);
      await delay(LEASE_MS);
      assert.ok(hold.isHeld(), 'lost with the reply to its renewal');
    }
    loseReply(proxy);
    const given = performance.now();
    await hold.release();
    times.release.push(performance.now() - given);
    assert.match(
      String(await redis.get('{sedano:lossy}:v1:L:l')),
      new RegExp(`^released ${hold.fence} `),
    );
  }
  for (const [what, ms] of Object.entries(times)) {
    const [p50, p99, most] = [50, 99, 100].map((percent) => percentile(ms, percent).toFixed(0));
    t.diagnostic(
      `${what} with a lost reply: p50 ${p50} ms, p99 ${p99} ms, at most ${most} ms of ${ms.length}`,
    );
  }
});

test('where requests arrive and replies do not, another connection brings them (row 11)', async () => {
  await using server = await PrivateRedis.start();
  await using proxy = await TcpProxy.start(server.url);
  using a = openLocks({ app: 'deaf', url: proxy.url, leaseMs: LEASE_MS });
  using redis = openRedis(server.url);
  await (await held(a.locks, 'warm up')).release();
  proxy.onReply = () => true;
  const asking = held(a.locks, 'a');
  // the server has granted it
  const holder = '{sedano:deaf}:v1:L:h';
  await until('granted', () => redis.exists(holder));
  const fence = await redis.hget(holder, 'f');
  proxy.onReply = () => false;
  const hold = await asking;
  assert.equal(hold.fence, fence);
  proxy.onReply = () => true;
  const releasing = hold.release();
  await until('released', async () => !(await redis.exists(holder)));
  proxy.onReply = () => false;
  await releasing;
});

test('a holder cut off from Redis knows it before another is let in (row 10)', async () => {
  await using server = await PrivateRedis.start();
  await using proxy = await TcpProxy.start(server.url);
  using a = openLocks({ app: 'cut', url: proxy.url, leaseMs: LEASE_MS });
  using b = openLocks({ app: 'cut', url: server.url, leaseMs: LEASE_MS });
  const hold = await held(a.locks, 'a');
  proxy.freeze();
  const next = await heldAtLast(b.locks, 'b', LEASE_MS + 500);
  assert.equal(hold.isHeld(), false);
  assert.equal((await lost(hold)).reason, 'deadline');
  proxy.thaw();
  await hold.release();
  assert.ok(next.isHeld());
  await next.release();
});

test('connections that are killed all the time cost time only (row 15)', async (t) => {
  await using server = await PrivateRedis.start();
  const { url } = server;
  using a = openLocks({ app: 'killed', url, leaseMs: 5_000 });
  using b = openLocks({ app: 'killed', url, leaseMs: 5_000 });
  using redis = openRedis(url);
  const isOver = new AbortController();
  let [inside, sections, kills] = [0, 0, 0];
  const work = async (locks: Locks, name: string) => {
    while (!isOver.signal.aborted) {
      const hold = await locks.wait(request(`${name} ${sections}`));
      assert.equal(++inside, 1, 'two inside');
      await delay(5);
      inside--;
      assert.ok(hold.isHeld());
      sections++;
      await hold.release();
    }
  };
  const works = [a, b, a, b].map(({ locks }, index) => work(locks, `worker ${index}`));
  while (kills < 30) {
    await delay(200);
    const type = ++kills % 2 ? 'normal' : 'pubsub';
    await redis.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
  }
  isOver.abort();
  await Promise.all(works);
  t.diagnostic(`${sections} sections, ${kills} kills`);
  assert.ok(sections >= kills);
});

test('a pause of Redis shorter than the lease costs nobody the lock (row 17)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'pause', url: server.url, leaseMs: 8_000 });
  using b = openLocks({ app: 'pause', url: server.url, leaseMs: 8_000 });
  using redis = openRedis(server.url);
  const hold = await held(a.locks, 'a');
  await b.locks.acquire(request('warm up'));
  await redis.call('CLIENT', 'PAUSE', '3000', 'ALL');
  const since = performance.now();
  assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
  assert.ok(performance.now() - since > 2_000);
  assert.ok(hold.isHeld());
  await hold.release();
  await (await held(b.locks, 'b')).release();
});

interface Stall {
  name: string;
  /** @returns what ends it */
  stall: (server: PrivateRedis) => Promise<() => void | Promise<void>>;
}

const stalls: Stall[] = [
  {
    name: 'is stopped (row 20)',
    stall: async (server: PrivateRedis) => {
      server.freeze();
      return () => server.thaw();
    },
  },
  {
    name: 'sleeps (row 18)',
    stall: async (server: PrivateRedis) => {
      using redis = openRedis(server.url);
      await redis.ping();
      redis.call('DEBUG', 'SLEEP', String((4 * LEASE_MS) / 1_000)).catch(() => {});
      await delay(100);
      return () => {};
    },
  },
  {
    name: 'runs the slow script of somebody else (row 19)',
    stall: async (server: PrivateRedis) => {
      using redis = openRedis(server.url);
      await redis.ping();
      const other = openRedis(server.url);
      await other.ping();
      redis.eval('while true do end', 0).catch(() => {});
      await delay(300);
      return async () => {
        await other.script('KILL');
        other.disconnect();
      };
    },
  },
];

for (const { name, stall } of stalls) {
  test(`while Redis ${name} nobody is let in, and the holder knows in time`, async (t) => {
    await using server = await PrivateRedis.start([
      '--enable-debug-command',
      'yes',
      '--busy-reply-threshold',
      '100',
    ]);
    using a = openLocks({ app: 'stall', url: server.url, leaseMs: LEASE_MS });
    using b = openLocks({ app: 'stall', url: server.url, leaseMs: LEASE_MS });
    const hold = await held(a.locks, 'a');
    await b.locks.acquire(request('warm up'));
    const since = performance.now();
    const goOn = await stall(server);
    const { reason } = await lost(hold);
    const ms = performance.now() - since;
    assert.equal(reason, 'deadline');
    t.diagnostic(`told after ${Math.round(ms)} ms, lease ${LEASE_MS} ms`);
    // well before Redis answers again; by its own clock it is told before the lease ends
    assert.ok(ms <= LEASE_MS + 2_000, `told after ${ms} ms`);
    let isGranted = false;
    const asked = b.locks.acquire(request('b')).then(
      async (answer) => {
        isGranted = answer.kind === 'held';
        if (answer.kind === 'held') await answer.hold.release();
      },
      () => {},
    );
    await delay(300);
    assert.equal(isGranted, false);
    await goOn();
    await asked;
    await (await heldAtLast(b.locks, 'c')).release();
    await hold.release();
  });
}

/** Asks again and again after Redis lost the key, and checks that the first holder is out before the next is in. */
async function untilNextHolder(b: Locks, hold: Hold): Promise<{ ms: number; kinds: Set<string> }> {
  const since = performance.now();
  const kinds = new Set<string>();
  for (;;) {
    const wasHeld = hold.isHeld();
    const answer = await b.acquire(request('b')).catch(() => undefined);
    if (answer) kinds.add(answer.kind);
    if (answer?.kind === 'held') {
      assert.equal(wasHeld && hold.isHeld(), false, 'two holders');
      await answer.hold.release();
      return { ms: performance.now() - since, kinds };
    }
    assert.ok(performance.now() - since < 20_000, `never free: ${[...kinds].join()}`);
    await delay(10);
  }
}

interface Guarded {
  a: ReturnType<typeof openLocks>;
  b: ReturnType<typeof openLocks>;
  hold: Hold;
}

/** Two with the recovery guard, the first holding the lock; the quarantine of the new Redis is over. */
async function guarded(url: string): Promise<Guarded & Disposable> {
  const a = openLocks({ app: 'guard', url, leaseMs: LEASE_MS, recoveryGuard: true });
  const b = openLocks({ app: 'guard', url, leaseMs: LEASE_MS, recoveryGuard: true });
  await a.locks.touch();
  await (await heldAtLast(b.locks, 'warm up')).release();
  const hold = await held(a.locks, 'a');
  const dispose = () => [a, b].forEach(({ locks }) => locks.close());
  return { a, b, hold, [Symbol.dispose]: dispose };
}

const losses = [
  {
    name: 'restarted empty (row 21)',
    lose: async (server: PrivateRedis) => {
      using redis = openRedis(server.url);
      redis.call('SHUTDOWN', 'NOSAVE').catch(() => {});
      await server.ended();
      await server.restart();
    },
  },
  {
    name: 'emptied (row 24)',
    lose: async (server: PrivateRedis) => {
      using redis = openRedis(server.url);
      await redis.flushall();
    },
  },
];

for (const { name, lose } of losses) {
  test(`a Redis that is ${name} does not make two holders`, async (t) => {
    await using server = await PrivateRedis.start();
    using two = await guarded(server.url);
    await lose(server);
    const { ms, kinds } = await untilNextHolder(two.b.locks, two.hold);
    t.diagnostic(`next grant after ${Math.round(ms)} ms, lease ${LEASE_MS} ms`);
    assert.ok(ms >= LEASE_MS - 50 && ms <= LEASE_MS + 10_000, `next grant after ${ms} ms`);
    assert.deepEqual([...kinds].toSorted(), ['held', 'recovering']);
    assert.equal((await lost(two.hold)).reason, 'gone');
    await two.hold.release();
  });
}

test('a Redis that lost its last second does not make two holders (row 22)', async (t) => {
  await using folder = await temporaryFolder('sedano-aof-');
  const dir = folder.folder;
  const flags = ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'everysec'];
  const file = join(dir, 'appendonlydir', 'appendonly.aof.1.incr.aof');
  await using server = await PrivateRedis.start(flags);
  using a = openLocks({ app: 'guard', url: server.url, leaseMs: LEASE_MS, recoveryGuard: true });
  using b = openLocks({ app: 'guard', url: server.url, leaseMs: LEASE_MS, recoveryGuard: true });
  const first = await heldAtLast(a.locks, 'warm up');
  await first.release();
  const { size } = await stat(file);
  const hold = await held(a.locks, 'a');
  await server.kill();
  await truncate(file, size);
  await server.restart(flags);
  using redis = openRedis(server.url);
  assert.equal(await redis.get('{sedano:guard}:v1:L:f'), first.fence);
  const { ms } = await untilNextHolder(b.locks, hold);
  t.diagnostic(`next grant after ${Math.round(ms)} ms, lease ${LEASE_MS} ms`);
  await hold.release();
});

test('a Redis that loses nothing when it is killed costs nobody the lock (row 23)', async (t) => {
  await using folder = await temporaryFolder('sedano-aof-');
  const flags = ['--dir', folder.folder, '--appendonly', 'yes', '--appendfsync', 'always'];
  await using server = await PrivateRedis.start(flags);
  const leaseMs = 6_000;
  using a = openLocks({ app: 'always', url: server.url, leaseMs });
  using b = openLocks({ app: 'always', url: server.url, leaseMs });
  using redis = openRedis(server.url);
  const hold = await held(a.locks, 'a');
  const since = performance.now();
  await server.restart(flags);
  assert.equal(await redis.hget('{sedano:always}:v1:L:h', 'f'), hold.fence);
  t.diagnostic(`away for ${Math.round(performance.now() - since)} ms, lease ${leaseMs} ms`);
  await untilRenewed(redis, 'always', 1);
  assert.ok(hold.isHeld());
  assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
  await hold.release();
  await (await held(b.locks, 'b')).release();
});

interface Pair {
  primary: PrivateRedis;
  replica: PrivateRedis;
  /** What the replica hears the primary through. */
  link: TcpProxy;
  /** Of the replica. */
  redis: Redis;
}

/** Runs `work` with a primary that has a replica. */
async function withReplica(flags: string[], work: (pair: Pair) => Promise<void>): Promise<void> {
  await using primary = await PrivateRedis.start(['--repl-diskless-sync-delay', '0', ...flags]);
  // keeps what it gets in memory, and leaves no file
  await using replica = await PrivateRedis.start(['--repl-diskless-load', 'swapdb']);
  await using link = await TcpProxy.start(primary.url);
  using redis = openRedis(replica.url);
  const { hostname, port } = new URL(link.url);
  await redis.replicaof(hostname, port);
  await until('replicating', async () =>
    /master_link_status:up/.test(await redis.info('replication')),
  );
  await work({ primary, replica, link, redis });
}

test('a replica that takes over without the key does not make two holders (row 26)', async (t) => {
  await withReplica([], async ({ primary, replica, link, redis }) => {
    await using proxy = await TcpProxy.start(primary.url);
    using a = openLocks({ app: 'guard', url: proxy.url, leaseMs: LEASE_MS, recoveryGuard: true });
    using b = openLocks({ app: 'guard', url: proxy.url, leaseMs: LEASE_MS, recoveryGuard: true });
    await (await heldAtLast(a.locks, 'warm up')).release();
    await until('replicated', () => redis.exists('{sedano:guard}:epoch'));
    link.freeze();
    const hold = await held(a.locks, 'a');
    await primary.kill();
    await redis.replicaof('NO', 'ONE');
    assert.equal(await redis.exists('{sedano:guard}:v1:L:h'), 0);
    proxy.target = replica.url;
    proxy.reset();
    const { ms } = await untilNextHolder(b.locks, hold);
    t.diagnostic(`next grant after ${Math.round(ms)} ms, lease ${LEASE_MS} ms`);
    assert.ok(ms >= LEASE_MS - 100, `next grant after ${ms} ms`);
    await hold.release();
  });
});

/** A hold on a primary that its replica has left behind, and the next one on the replica, which was promoted. */
async function splitBrain(
  { primary, replica, link, redis }: Pair,
  work: (split: { old: Locks; hold: Hold; next: Hold; sinceCut: number }) => Promise<void>,
): Promise<void> {
  const options = { app: 'split', leaseMs: LEASE_MS, recoveryGuard: true };
  using a = openLocks({ ...options, url: primary.url });
  using b = openLocks({ ...options, url: replica.url });
  await (await heldAtLast(a.locks, 'warm up')).release();
  await until('replicated', () => redis.exists('{sedano:split}:epoch'));
  link.freeze();
  const sinceCut = performance.now();
  const hold = await held(a.locks, 'a');
  await redis.replicaof('NO', 'ONE');
  const next = await heldAtLast(b.locks, 'b');
  await work({ old: a.locks, hold, next, sinceCut });
  await Promise.all([hold.release(), next.release()]);
}

test('two primaries at once let two in, and only the fence tells them apart (row 27)', async () => {
  await withReplica([], async (pair) => {
    await splitBrain(pair, async ({ hold, next }) => {
      assert.ok(hold.isHeld() && next.isHeld());
      assert.ok(BigInt(next.fence) > BigInt(hold.fence));
    });
  });
});

test('with min-replicas-to-write 1 a primary that was left behind loses its holder (row 27)', async (t) => {
  const flags = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '1'];
  await withReplica(flags, async (pair) => {
    await splitBrain(pair, async ({ old, hold, next, sinceCut }) => {
      assert.equal((await lost(hold)).reason, 'deadline');
      const ms = Math.round(performance.now() - sinceCut);
      t.diagnostic(`the old holder was out ${ms} ms after the cut, lease ${LEASE_MS} ms`);
      assert.ok(next.isHeld());
      assert.ok(BigInt(next.fence) > BigInt(hold.fence));
      await assert.rejects(old.acquire(request('c')), {
        name: 'LockUnavailableError',
        message: /cannot be used: NOREPLICAS /,
      });
    });
  });
});

/** Lets clients live by a clock of Redis that is `ms` off; without `ms` by its own again. */
function showClock(proxy: TcpProxy, ms = 0): void {
  const shift = (data: Buffer, by: number) => {
    const text = data
      .toString('latin1')
      .replaceAll(/(?<=\$10\r\n)\d{10}(?=\r\n)/g, (seconds) => String(Number(seconds) + by / 1_000))
      .replaceAll(/(?<=\$13\r\n)\d{13}(?=\r\n)/g, (millis) => String(Number(millis) + by));
    data.write(text, 'latin1');
    return false;
  };
  proxy.onReply = (data) => shift(data, ms);
  proxy.onRequest = (data) => shift(data, -ms);
}

const JUMP_MS = 60_000;

// Redis keeps moments: to set its clock is the same as to move all that it keeps, and what clients know of its clock, the
// other way
test('a forward jump of Redis’s clock lets the next one in, with a larger fence; the holder is told (row 32)', async (t) => {
  await using server = await PrivateRedis.start();
  await using proxy = await TcpProxy.start(server.url);
  using a = openLocks({ app: 'jump', url: proxy.url, leaseMs: 3_000 });
  using b = openLocks({ app: 'jump', url: proxy.url, leaseMs: 3_000 });
  using redis = openRedis(server.url);
  showClock(proxy, -JUMP_MS);
  const hold = await held(a.locks, 'a');
  assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
  const since = performance.now();
  showClock(proxy);
  await redis.pexpire('{sedano:jump}:v1:L:h', -JUMP_MS);
  const next = await held(b.locks, 'b');
  assert.ok(BigInt(next.fence) > BigInt(hold.fence));
  assert.equal((await lost(hold)).reason, 'gone');
  t.diagnostic(`told after ${Math.round(performance.now() - since)} ms, lease 3000 ms`);
  await Promise.all([hold.release(), next.release()]);
});

test('a backward jump of Redis’s clock keeps a dead holder in for as long, unless it is ended by hand; fences grow (row 33)', async () => {
  await using server = await PrivateRedis.start();
  await using proxy = await TcpProxy.start(server.url);
  using b = openLocks({ app: 'jump', url: proxy.url, leaseMs: 3_000 });
  using redis = openRedis(server.url);
  showClock(proxy, JUMP_MS);
  const dead = openLocks({ app: 'jump', url: server.url, leaseMs: 3_000 });
  const { fence: before } = await held(dead.locks, 'a');
  dead.locks.close();
  assert.equal((await b.locks.acquire(request('b'))).kind, 'busy');
  showClock(proxy);
  const [holder = '', counter = ''] = placeOf('jump').keys;
  const fence = String(BigInt(before) + BigInt(JUMP_MS * 1_000));
  await redis
    .multi()
    .hset(holder, 'f', fence)
    .set(counter, fence)
    .pexpire(holder, 3_000 + JUMP_MS)
    .exec();
  const answer = await b.locks.acquire(request('b'));
  assert.ok(answer.kind === 'busy' && answer.leftMs > JUMP_MS);
  assert.equal(await b.locks.release('L', { who: 'paolo', fence, now: true }), true);
  const next = await held(b.locks, 'b');
  assert.equal(next.fence, String(BigInt(fence) + 1n));
  await next.release();
});

test('an inline call whose lock was lost fails, though its body has ended well (row 47)', async () => {
  await using server = await PrivateRedis.start();
  await using app = new Sedano('late', { redis: server.url, lock: { lease: '1500ms' } });
  using redis = openRedis(server.url);
  type How = 'at once' | 'when it was told' | 'well';
  const work = app.task({ name: 'work', exclusive: { lockId: 'L' } }, async (ends: How) => {
    const { lock } = currentTask();
    assert.ok(lock);
    if (ends !== 'well') await redis.flushall();
    if (ends === 'when it was told') await lost(lock);
    return 'value';
  });
  await assert.rejects(work.run('when it was told'), { name: 'LockLostError', reason: 'gone' });
  await assert.rejects(work.run('at once'), { name: 'LockLostError', reason: 'gone' });
  assert.equal(await work.run('well'), 'value');
});

test('the longest lease of all processes is what they wait', async () => {
  await using server = await PrivateRedis.start();
  using long = openLocks({ app: 'g', url: server.url, leaseMs: 4_000, recoveryGuard: true });
  using short = openLocks({ app: 'g', url: server.url, leaseMs: 1_000, recoveryGuard: true });
  using off = openLocks({ app: 'g', url: server.url, leaseMs: 1_000, recoveryGuard: false });
  const leftMs = async () => {
    const answer = await short.locks.acquire(request('a', { queue: 'process' }));
    assert.ok(answer.kind === 'recovering' && answer.rank === 0);
    return answer.leftMs;
  };
  assert.ok((await leftMs()) <= 1_000);
  await long.locks.touch();
  const ms = await leftMs();
  assert.ok(ms > 1_000 && ms <= 4_000, `${ms} ms left`);
  await short.locks.leave('L', 'a');
  await (await held(off.locks, 'without the guard')).release();
});

test('a waiter waits out the recovery', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'g', url: server.url, leaseMs: 1_000, recoveryGuard: true });
  const since = performance.now();
  const [first, second] = [a.locks.wait(request('1')), a.locks.wait(request('2'))];
  await (await first).release();
  const ms = performance.now() - since;
  assert.ok(ms >= 1_000 && ms < 11_000, `granted after ${ms} ms`);
  await (await second).release();
});

test('a Redis that has become a replica grants nothing and keeps nobody in (row 28)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'replica', url: server.url, leaseMs: LEASE_MS });
  using redis = openRedis(server.url);
  const hold = await held(a.locks, 'a');
  await redis.replicaof('127.0.0.1', '1');
  assert.equal((await lost(hold)).reason, 'deadline');
  // the holder knows a moment before its lease ends
  const [holder = ''] = placeOf(a.app).keys;
  await until('its lease is over', async () => (await redis.pttl(holder)) < 0);
  await assert.rejects(a.locks.acquire(request('b')), {
    name: 'LockUnavailableError',
    message: /^lock 'L': Redis at 127\.0\.0\.1:\d+ cannot be used: READONLY /,
  });
  await redis.replicaof('NO', 'ONE');
  await hold.release();
  await (await heldAtLast(a.locks, 'b')).release();
});

test('a Redis without memory refuses with its reason, and bears a release (row 30)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'oom', url: server.url, leaseMs: LEASE_MS });
  using redis = openRedis(server.url);
  const hold = await held(a.locks, 'a');
  await redis.config('SET', 'maxmemory', '1');
  await assert.rejects(a.locks.acquire(request('b', { lockId: 'other' })), {
    name: 'LockUnavailableError',
    message: /cannot be used: OOM command not allowed/,
  });
  await delay(LEASE_MS);
  assert.ok(hold.isHeld());
  await hold.release();
  assert.equal(await redis.exists('{sedano:oom}:v1:L:h'), 0);
  await redis.config('SET', 'maxmemory', '0');
  await (await held(a.locks, 'b')).release();
});

test('without Redis a body keeps its result and its error (rows 31, 46)', async () => {
  await using server = await PrivateRedis.start();
  using a = openLocks({ app: 'down', url: server.url, leaseMs: 30_000 });
  const hold = await held(a.locks, 'a');
  const other = await held(a.locks, 'a', { lockId: 'other' });
  await server.kill();
  const [value] = await Promise.all([
    hold.during(async () => 'value'),
    assert.rejects(
      other.during(async () => {
        throw new RangeError('mine');
      }),
      { name: 'RangeError', message: 'mine' },
    ),
    // and at a worker's start
    assert.rejects(a.locks.touch(), {
      name: 'LockUnavailableError',
      message: /^lock '\*': Redis at 127\.0\.0\.1:\d+ cannot be used: no answer within 5 s$/,
    }),
  ]);
  assert.equal(value, 'value');
});

const RACES = Number(process.env['RACES'] ?? 2_000);
const RACES_AT_ONCE = 200;

test(`nothing outlives ${RACES} releases and aborts (row 79)`, async (t) => {
  using a = openLocks({ leaseMs: 1_000 });
  using redis = openRedis();
  const ids = Array.from({ length: RACES }, (_, index) => `race/${index}`);
  let aborted = 0;
  // finds by itself what makes about half of the grants come too late
  let patienceMs = 10;
  const race = async (lockId: string, index: number) => {
    if (index % 2) {
      const wait = a.locks.wait(request('a', { lockId }), {
        signal: AbortSignal.timeout(Math.round(Math.random() * patienceMs)),
      });
      const hold = await wait.catch(() => undefined);
      patienceMs *= hold ? 0.95 : 1.05;
      if (!hold) aborted++;
      await hold?.release();
    } else {
      // released at about the time of the first renewal
      const hold = await held(a.locks, 'a', { lockId });
      await delay(320 + Math.random() * 30);
      await hold.release();
    }
  };
  for (let start = 0; start < RACES; start += RACES_AT_ONCE) {
    const some = ids.slice(start, start + RACES_AT_ONCE);
    await Promise.all(some.map((lockId, index) => race(lockId, index)));
  }
  // two leases
  await delay(2_000);
  const left = ids.map(async (id) => {
    const [holder = '', , queue = '', waiters = ''] = placeOf(a.app, id).keys;
    return await redis.exists(holder, queue, waiters);
  });
  const keys = (await Promise.all(left)).reduce((sum, count) => sum + count, 0);
  t.diagnostic(`${RACES} races, ${aborted} of them aborted before the grant: ${keys} keys left`);
  assert.ok(aborted > 0 && aborted < RACES / 2, 'no race');
  assert.equal(keys, 0);
});
