import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** What a script asks of Redis. */
export type ScriptRunner = Pick<Redis, 'eval' | 'evalsha'>;

/** A Lua script as a function: sent by its hash, whole where the server does not have it yet. */
function script<Keys extends string[], Args extends string[]>(lua: string) {
  const sha = createHash('sha1').update(lua).digest('hex');
  return async (redis: ScriptRunner, keys: Keys, args: Args): Promise<unknown> => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await redis.eval(lua, keys.length, ...keys, ...args);
    }
  };
}

/**
 * Takes the lock when it is free.
 *
 * KEYS[1] = holder, a hash with the lease as its time to live: o owner, a attempt, n nonce, f fence, since, meta,
 *           rev (a later attempt of the owner wants it)
 * KEYS[2] = fence counter
 * ARGV    = owner, attempt, nonce, lease in ms, meta
 * Returns {'HELD', fence} | {'BUSY', ms left, meta, since in ms} | {'TAKEOVER', ms left} | {'STALE'}
 *
 * The nonce makes a resent call find what its first copy took: ioredis sends commands again after a reconnect.
 * The fence is the larger of counter + 1 and the clock in µs, so it grows across a loss of Redis's data.
 */
export const acquireScript = script<
  [holder: string, fence: string],
  [owner: string, attempt: string, nonce: string, leaseMs: string, meta: string]
>(`
local held = redis.call('HMGET', KEYS[1], 'o', 'a', 'n', 'f', 'meta', 'since')
if held[4] then
  if held[3] == ARGV[3] then
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return {'HELD', held[4]}
  end
  local left = redis.call('PTTL', KEYS[1])
  if held[1] ~= ARGV[1] then return {'BUSY', left, held[5], held[6]} end
  if tonumber(ARGV[2]) <= tonumber(held[2]) then return {'STALE'} end
  redis.call('HSET', KEYS[1], 'rev', ARGV[2])
  return {'TAKEOVER', left}
end
local time = redis.call('TIME')
local fence = math.max((tonumber(redis.call('GET', KEYS[2])) or 0) + 1, time[1] * 1000000 + time[2])
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[2], fence)
redis.call('HSET', KEYS[1], 'o', ARGV[1], 'a', ARGV[2], 'n', ARGV[3], 'f', fence,
  'since', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'meta', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'HELD', fence}
`);

/**
 * Begins the lease anew.
 *
 * KEYS[1] = holder; ARGV = fence, lease in ms
 * Returns 1, 0 when another or nobody holds it, -1 when a later attempt of the same call wants it
 */
export const renewScript = script<[holder: string], [fence: string, leaseMs: string]>(`
if redis.call('HGET', KEYS[1], 'f') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'rev') == 1 then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`);

/**
 * Gives the lock back.
 *
 * KEYS[1] = holder, KEYS[2] = how the last hold ended, kept a day; ARGV = fence
 * Returns 1, also when an earlier copy of this call did it and its reply was lost; 0 when it was no longer held
 */
export const releaseScript = script<[holder: string, last: string], [fence: string]>(`
if redis.call('HGET', KEYS[1], 'f') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], 'released ' .. ARGV[1], 'PX', 86400000)
  return 1
end
if redis.call('GET', KEYS[2]) == 'released ' .. ARGV[1] then return 1 end
return 0
`);
