import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { LockLostError } from '../../src/errors.ts';
import type { Hold } from '../../src/lock/hold.ts';
import { Locks, type LockRequest } from '../../src/lock/lock.ts';
import type { LockPlace } from '../../src/lock/scripts.ts';
import { uniqueName } from './harness.ts';
import { PrivateRedis } from './private-redis.ts';

const SHARED_URL = process.env['REDIS_URL'] ?? 'redis://localhost:6379';

interface OpenLocks {
  app?: string;
  url?: string;
  leaseMs?: number;
  recoveryGuard?: boolean;
}

/** Locks of an app of their own, each with connections of its own, as two processes have. */
export function openLocks({
  app = uniqueName('locks'),
  url = SHARED_URL,
  leaseMs = 2_000,
  recoveryGuard = false,
}: OpenLocks = {}) {
  const locks = new Locks({ app, url: { url, where: 'REDIS_URL' }, leaseMs, recoveryGuard });
  return { app, url, locks, [Symbol.dispose]: () => locks.close() };
}

/** A connection of the test's own. */
export function openRedis(url = SHARED_URL): Redis & Disposable {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  // some tests break the server on purpose
  redis.on('error', () => {});
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() });
}

/** A lock as its scripts address it. */
export function placeOf(app: string, lockId = 'L'): LockPlace {
  const base = `{sedano:${app}}:`;
  const own = ['h', 'f', 'q', 'w', 'l'].map((part) => `${base}v1:${lockId}:${part}`);
  return {
    id: lockId,
    keys: [...own, `${base}epoch`, `${base}v1:locks`, `${base}v1:parked`],
    inboxes: `${base}inbox:`,
  };
}

interface RequestOptions {
  lockId?: string;
  round?: number;
  attempt?: number;
  queue?: 'no' | 'process' | 'parked';
}

export function request(
  owner: string,
  { lockId = 'L', round = 1, attempt = 1, queue = 'no' }: RequestOptions = {},
): LockRequest {
  return {
    lockId,
    owner,
    attempt: { round, attempt },
    holder: { task: 'task', id: `id-of-${owner}`, runId: 'run' },
    queue,
  };
}

/** Takes a lock that is free. */
export async function held(
  locks: Locks,
  owner: string,
  options: RequestOptions = {},
): Promise<Hold> {
  const answer = await locks.acquire(request(owner, options));
  if (answer.kind !== 'held') throw new Error(`expected the lock, got ${answer.kind}`);
  return answer.hold;
}

/** Takes a lock as soon as it is free, without a place in the queue. */
export async function heldAtLast(locks: Locks, owner: string, withinMs = 10_000): Promise<Hold> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await locks.acquire(request(owner)).catch(() => undefined);
    if (answer?.kind === 'held') return answer.hold;
    assert.ok(performance.now() < deadline, `not free within ${withinMs} ms: ${answer?.kind}`);
    await delay(20);
  }
}

/** Looks every 10 ms until it is so. */
export async function until(
  what: string,
  isSo: () => Promise<unknown>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${withinMs / 1_000} s`);
    await delay(10);
  }
}

const LOSS_TIMEOUT_MS = 10_000;

/** Resolves with the reason when the hold is lost. */
export function lost({ signal }: Pick<Hold, 'signal'>): Promise<LockLostError> {
  return new Promise((resolve, reject) => {
    const tell = () => resolve(signal.reason as LockLostError);
    if (signal.aborted) return tell();
    const late = new Error(`not lost within ${LOSS_TIMEOUT_MS} ms`);
    const timer = setTimeout(() => reject(late), LOSS_TIMEOUT_MS);
    signal.addEventListener('abort', () => (clearTimeout(timer), tell()), { once: true });
  });
}

/** Resolves when that many wait for the lock. */
export async function untilWaiting(locks: Locks, count: number, lockId = 'L'): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const state = await locks.inspect(lockId);
    if (state?.waiters.count === count) return;
    assert.ok(performance.now() < deadline, `expected ${count}, got ${state?.waiters.count}`);
    await delay(10);
  }
}

/** Resolves when the lease was begun anew that many times. */
export async function untilRenewed(redis: Redis, app: string, times: number): Promise<void> {
  const [holder = ''] = placeOf(app).keys;
  let leftMs = await redis.pttl(holder);
  for (let renewals = 0; renewals < times;) {
    await delay(20);
    const nowMs = await redis.pttl(holder);
    assert.ok(nowMs > 0, 'the lock is free');
    if (nowMs > leftMs) renewals++;
    leftMs = nowMs;
  }
}

/** Resolves when these locks hear what is told them. */
export async function untilListening(app: string, url = SHARED_URL): Promise<void> {
  using redis = openRedis(url);
  const deadline = performance.now() + 5_000;
  for (;;) {
    const channels = (await redis.pubsub('CHANNELS', `{sedano:${app}}:inbox:*`)) as string[];
    if (channels.length > 0) return;
    assert.ok(performance.now() < deadline, 'nobody listens');
    await delay(5);
  }
}

/** A user with no more rights than the lock needs. */
export const LEAST_RIGHTS =
  '-@all +eval +evalsha +get +set +del +hget +hset +hmget +hdel +hexists +pexpire +pttl +zadd +zrange +zrank +zrem ' +
  '+zscore +zcard +exists +publish +subscribe +unsubscribe +info +time +ping +client|setname';

/** A server that lets in nobody but a user with the least rights for the locks of one app. */
export async function startRestricted(
  app: string,
): Promise<{ server: PrivateRedis; url: string; adminUrl: string }> {
  const server = await PrivateRedis.start();
  const rules = [...LEAST_RIGHTS.split(' '), `~{sedano:${app}}:*`, `&{sedano:${app}}:inbox:*`];
  {
    using admin = openRedis(server.url);
    await admin.call(
      'ACL',
      'SETUSER',
      'lock',
      'on',
      '>secret',
      'resetkeys',
      'resetchannels',
      ...rules,
    );
    await admin.call('ACL', 'SETUSER', 'admin', 'on', '>secret', '~*', '&*', '+@all');
    await admin.call('ACL', 'SETUSER', 'default', 'off');
  }
  return {
    server,
    url: `redis://lock:secret@${server.address}`,
    adminUrl: `redis://admin:secret@${server.address}`,
  };
}
