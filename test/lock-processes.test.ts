import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AlreadyRunningError, Sedano, type OnBusy } from 'sedano';
import type { Command, Fares } from './fixtures/exclusive-process.ts';
import { Program } from './helpers/harness.ts';
import {
  held,
  openLocks,
  openRedis,
  placeOf,
  untilRenewed,
  untilWaiting,
} from './helpers/locks.ts';
import { percentile } from './helpers/percentile.ts';

const HOUR_MS = 60 * 60 * 1_000;

interface CallOptions {
  lease: string;
  onBusy?: OnBusy;
  /** How far the process's wall clock is off. */
  clockMs?: number;
}

/** An inline call of an exclusive task in a process of its own; the call does what it is told. */
class InlineCall extends Program {
  #commands = 0;

  constructor(url: string, app: string, { lease, onBusy = 'message', clockMs = 0 }: CallOptions) {
    const env = { CLOCK_SHIFT_MS: String(clockMs) };
    super('test/fixtures/exclusive-process.ts', [url, app, lease, onBusy], env);
  }

  /** Resolves to its fence when the body runs. */
  async began(): Promise<bigint> {
    const [, fence = ''] = await this.sees(/began (\d+)/);
    return BigInt(fence);
  }

  tell(command: Command): number {
    const id = ++this.#commands;
    this.process.send({ id, ...command });
    return id;
  }

  /** Has it done, and resolves to how the lock fares then. */
  async ask(command: Command): Promise<Fares> {
    const [, fares = ''] = await this.sees(new RegExp(`answer ${this.tell(command)} (.+)\n`));
    return JSON.parse(fares) as Fares;
  }

  /** Lets the body return, and resolves to how the call ended. */
  async ended(): Promise<string> {
    this.tell({ do: 'return' });
    const [, how = ''] = await this.sees(/((?:returned|failed) .+)\n/);
    return how;
  }
}

/** The holder's key of a lock. */
function holderKey(app: string): string {
  const [key = ''] = placeOf(app).keys;
  return key;
}

describe('an inline call in a process of its own', { concurrency: true }, () => {
  test('that is killed frees its lock within the lease, and the next call runs (row 1)', async (t) => {
    using locks = openLocks({ leaseMs: 2_000 });
    using redis = openRedis();
    const { url, app } = locks;
    await using first = new InlineCall(url, app, { lease: '2s' });
    const fence = await first.began();
    await using second = new InlineCall(url, app, { lease: '2s', onBusy: 'wait' });
    await untilWaiting(locks.locks, 1);
    const killedAt = Date.now();
    await first.kill();
    const leftMs = await redis.pttl(holderKey(app));
    assert.ok(leftMs > 0 && leftMs <= 2_000, `${leftMs} ms of the lease left`);
    const next = await second.began();
    assert.ok(next > fence);
    assert.equal(await second.ended(), 'returned value');
    t.diagnostic(`next grant after ${msBetween(killedAt, next)} ms, lease 2000 ms`);
  });

  test('that is stopped for half a lease goes on (row 4)', async () => {
    using locks = openLocks();
    using redis = openRedis();
    const { url, app } = locks;
    await using call = new InlineCall(url, app, { lease: '10s' });
    const fence = await call.began();
    call.process.kill('SIGSTOP');
    await delay(5_000);
    call.process.kill('SIGCONT');
    const fares = await call.ask({ do: 'look' });
    assert.deepEqual(fares, { isHeld: true, aborted: false, stalls: 0 });
    await untilRenewed(redis, app, 1);
    assert.equal((await locks.locks.inspect('L'))?.fence, String(fence));
    assert.equal(await call.ended(), 'returned value');
  });

  test('whose event loop is blocked for three leases fails, and another has run since (row 5)', async () => {
    using locks = openLocks();
    const { url, app } = locks;
    await using first = new InlineCall(url, app, { lease: '3s' });
    const fence = await first.began();
    await using second = new InlineCall(url, app, { lease: '3s', onBusy: 'wait' });
    await untilWaiting(locks.locks, 1);
    const blocked = first.ask({ do: 'block', ms: 9_000 });
    const next = await second.began();
    assert.ok(next > fence);
    assert.equal((await blocked).isHeld, false);
    assert.equal(await first.ended(), 'failed LockLostError deadline');
    // what is left of the first does no harm to the second
    assert.equal((await second.ask({ do: 'look' })).isHeld, true);
    assert.equal(await second.ended(), 'returned value');
  });

  test('whose event loop stalls for 100 ms every 300 ms keeps its lock (row 6)', async (t) => {
    using redis = openRedis();
    using locks = openLocks();
    const { url, app } = locks;
    await using call = new InlineCall(url, app, { lease: '30s' });
    await call.began();
    await call.ask({ do: 'stall', ms: 100, everyMs: 300 });
    await untilRenewed(redis, app, 2);
    const { isHeld, aborted, stalls } = await call.ask({ do: 'look' });
    assert.deepEqual({ isHeld, aborted }, { isHeld: true, aborted: false });
    assert.ok(stalls > 20, `${stalls} stalls`);
    assert.equal(await call.ended(), 'returned value');
    t.diagnostic(`${stalls} stalls, 2 renewals`);
  });

  for (const [off, clockMs] of [
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ] as const) {
    test(`whose clock is an hour ${off} keeps its lock (row 34)`, async () => {
      using redis = openRedis();
      using locks = openLocks();
      const { url, app } = locks;
      await using call = new InlineCall(url, app, { lease: '3s', clockMs });
      await call.began();
      // longer than a lease
      await untilRenewed(redis, app, 4);
      const fares = await call.ask({ do: 'look' });
      assert.deepEqual(fares, { isHeld: true, aborted: false, stalls: 0 });
      assert.equal(await call.ended(), 'returned value');
    });
  }

  test('whose clock is set back by an hour keeps its lock (row 34)', async () => {
    using redis = openRedis();
    using locks = openLocks();
    const { url, app } = locks;
    await using call = new InlineCall(url, app, { lease: '3s' });
    await call.began();
    await call.ask({ do: 'jump', ms: -HOUR_MS });
    await untilRenewed(redis, app, 4);
    const fares = await call.ask({ do: 'look' });
    assert.deepEqual(fares, { isHeld: true, aborted: false, stalls: 0 });
    assert.equal(await call.ended(), 'returned value');
  });

  test('whose clock is set forward by an hour is only over early (row 34)', async () => {
    using locks = openLocks();
    const { url, app } = locks;
    await using first = new InlineCall(url, app, { lease: '30s' });
    const fence = await first.began();
    await using second = new InlineCall(url, app, { lease: '30s', onBusy: 'wait' });
    await untilWaiting(locks.locks, 1);
    assert.equal((await first.ask({ do: 'jump', ms: HOUR_MS })).isHeld, false);
    assert.equal(await first.ended(), 'failed LockLostError deadline');
    // given back, so that nobody waits for the lease
    assert.ok((await second.began()) > fence);
    assert.equal(await second.ended(), 'returned value');
  });
});

/** From a moment of the wall clock to the grant of a fence, which is Redis's time in µs. */
function msBetween(at: number, fence: bigint): number {
  return Math.round(Number(fence) / 1_000 - at);
}

const CALLS = 10_000;
const WARM_UP = 500;

/** Prints p50 and p99 of what `work` takes. */
async function measure(
  t: TestContext,
  what: string,
  { samples, work }: { samples: number; work: (sample: number) => Promise<unknown> },
): Promise<void> {
  for (let sample = 0; sample < WARM_UP; sample++) await work(sample);
  const times: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    const began = performance.now();
    await work(sample);
    times.push(performance.now() - began);
  }
  const [p50, p99] = [percentile(times, 50), percentile(times, 99)];
  t.diagnostic(`${what}: p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms of ${samples}`);
}

test('10,000 calls beside one that runs are all told that it runs, and who it is (row 41)', async (t) => {
  using locks = openLocks();
  await using app = new Sedano(locks.app, { redis: locks.url });
  await using holder = new InlineCall(locks.url, locks.app, { lease: '30s' });
  const fence = await holder.began();
  const options = { name: 'hold', exclusive: { lockId: 'L' } };
  const hold = app.task(options, async () => assert.fail('two run'));
  let told = 0;
  const work = async (sample: number) => {
    // the text names nobody; the error does
    if (sample % 2) {
      const error: unknown = await hold.apply([], { onBusy: 'raise' }).catch((e: unknown) => e);
      assert.ok(error instanceof AlreadyRunningError);
      assert.equal(error.holder?.pid, holder.process.pid);
    } else assert.equal(await hold.run(), 'hold already running!');
    told++;
  };
  await measure(t, 'busy answer', { samples: CALLS, work });
  assert.equal(told, CALLS + WARM_UP);
  assert.equal((await locks.locks.inspect('L'))?.fence, String(fence));
  assert.equal(await holder.ended(), 'returned value');
});

test('a free lock is taken and given back 2,000 times', async (t) => {
  using a = openLocks({ leaseMs: 30_000 });
  let last = 0n;
  const work = async () => {
    const hold = await held(a.locks, 'a');
    assert.ok(BigInt(hold.fence) > last);
    last = BigInt(hold.fence);
    await hold.release();
  };
  await measure(t, 'acquire and release', { samples: 2_000, work });
});
