import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Locks } from '../src/lock/lock.ts';
import { uniqueName } from './helpers/harness.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

async function warningsOf(url: string): Promise<string[]> {
  const locks = new Locks({
    app: uniqueName('check'),
    url: { url, where: 'REDIS_URL' },
    leaseMs: 2_000,
    recoveryGuard: false,
  });
  try {
    return await locks.check();
  } finally {
    locks.close();
  }
}

/** The same server by an address that is not known to be this machine's. */
const elsewhere = (url: string, account = '') => url.replace('127.0.0.1', `${account}0.0.0.0`);

const isVersion = (warning: string) => warning.includes('CVE-2025-49844');

test('a Redis of this machine that keeps what it is given is fine', async () => {
  await using redis = await PrivateRedis.start();
  assert.deepEqual(await warningsOf(redis.url), []);
});

test('a Redis that evicts is told, with the setting (row 29)', async () => {
  await using redis = await PrivateRedis.start(['--maxmemory-policy', 'allkeys-lru']);
  assert.deepEqual(await warningsOf(redis.url), [
    'maxmemory-policy is allkeys-lru: a lock that is evicted can be granted twice. Set maxmemory-policy noeviction',
  ]);
});

test('a Redis elsewhere that lets anybody in is told, one with a password is not', async () => {
  // which version runs the test is another matter
  const others = async (url: string) => (await warningsOf(url)).filter((one) => !isVersion(one));
  await using open = await PrivateRedis.start();
  assert.deepEqual(await others(elsewhere(open.url)), [
    'it lets anybody in who reaches it, without a password. Set requirepass, or an ACL user with `user default off`',
  ]);
  await using closed = await PrivateRedis.start(['--requirepass', 'a-secret']);
  assert.deepEqual(await others(elsewhere(closed.url, 'default:a-secret@')), []);
});
