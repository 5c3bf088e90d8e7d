import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** What a script asks of Redis. */
export type ScriptRunner = Pick<Redis, 'eval' | 'evalsha'>;

/** One lock as the scripts address it. */
export interface LockPlace {
  id: string;
  /** In the order of {@link PRELUDE}. */
  keys: string[];
  /** What the channels of all inboxes begin with. */
  inboxes: string;
}

/** How long a waiter of a process keeps its place without a sign of life. */
export const WAIT_TTL_MS = 15_000;
/** How long a process that is told of its turn may take to come. */
export const CLAIM_WINDOW_MS = 1_000;
/** How long others wait for a parked call that was told of its turn. */
export const PASS_OVER_MS = 5_000;
/** How long a worker may take to call the parked calls anew before another one does. */
export const MUSTER_MS = 60_000;
/** How long until a workflow that was signalled, and has not come, is signalled again. */
export const SIGNAL_AGAIN_MS = 2_000;

/**
 * What all scripts begin with. Redis has no modules, so each script carries it.
 *
 * KEYS[1] = holder, a hash with the lease as its time to live: o owner, a attempt as round:attempt, n nonce, f fence,
 *           since, meta, ib inbox, rev (why the holder must let go: `takeover <attempt>` or `asked <who>`)
 * KEYS[2] = fence counter
 * KEYS[3] = queue, a sorted set of owners by ticket
 * KEYS[4] = waiters, a hash: owner → `<deadline> <kind> <passed over: 0 or 1> <inbox>`; and `!turn` → whose turn it
 *           is while the lock is free, `<given at> <signalled at> <owner>`; and `!away` → when a parked call had not
 *           come in its turn
 * KEYS[5] = how the last hold ended, kept a day: `<released|revoked|forced> <fence> <nonce> <who>`
 * KEYS[6] = epoch, a hash for all locks of the app: rid run id of the server, at when it was first seen, max longest
 *           lease, mustered run id of the server in which the parked calls have their places, mustering until when,
 *           in which server and in which sweep a worker calls them
 * KEYS[7] = the locks used lately, a sorted set of lock ids by time
 * KEYS[8] = the locks that parked calls wait for, likewise
 * ARGV[1], ARGV[2] = lock id, prefix of the inboxes' channels; each script's own follow
 *
 * Every reply is a list of texts and begins with a word and the time in ms: a number of Lua would lose its digits.
 * Messages to an inbox are JSON: ["go", lock, owner] it is this waiter's turn; ["standby", lock] the one before you
 * may be dead, look in 1.1 s; ["revoked", lock, fence, why, who] let go.
 */
const PRELUDE = `
local H, F, Q, W, L, EPOCH, LOCKS, PARKED = unpack(KEYS)
local lock, inboxes = ARGV[1], ARGV[2]
local DAY, CLAIM, PASS_OVER = 86400000, ${CLAIM_WINDOW_MS}, ${PASS_OVER_MS}
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

local function text(number) return string.format('%.0f', number) end

-- how many processes hear it
local function tell(inbox, ...)
  if not inbox or inbox == '' then return 0 end
  return redis.call('PUBLISH', inboxes .. inbox, cjson.encode({...}))
end

local function note_use()
  redis.call('ZADD', LOCKS, ms, lock)
  local oldest = redis.call('ZRANGE', LOCKS, 0, 0, 'WITHSCORES')
  if tonumber(oldest[2]) < ms - 7 * DAY or redis.call('ZCARD', LOCKS) > 10000 then
    redis.call('ZREM', LOCKS, oldest[1])
  end
end

local function waiter(owner)
  local deadline, kind, passed, inbox =
    string.match(redis.call('HGET', W, owner) or '', '^(%d+) (%a+) (%d) (%S+)$')
  if not deadline then return nil end
  return {deadline = tonumber(deadline), kind = kind, passed = passed == '1', inbox = inbox}
end

local function write_waiter(owner, entry)
  redis.call('HSET', W, owner,
    text(entry.deadline) .. ' ' .. entry.kind .. ' ' .. (entry.passed and 1 or 0) .. ' ' .. entry.inbox)
end

local function tail()
  local last = redis.call('ZRANGE', Q, -1, -1, 'WITHSCORES')
  return text(math.max((tonumber(last[2]) or 0) + 1, us))
end

-- whoever asks again keeps its ticket; where one parked call comes, others may
local function enqueue(owner, kind, inbox, ttl)
  if kind == 'parked' then redis.call('HDEL', W, '!away') end
  if not redis.call('ZSCORE', Q, owner) then redis.call('ZADD', Q, tail(), owner) end
  write_waiter(owner, {deadline = ms + ttl, kind = kind, passed = false, inbox = inbox})
end

local function keep_queue()
  redis.call('PEXPIRE', Q, 8 * DAY)
  redis.call('PEXPIRE', W, 8 * DAY)
end

local function leave(owner)
  redis.call('ZREM', Q, owner)
  redis.call('HDEL', W, owner)
end

local function turn()
  local given, signalled, owner = string.match(redis.call('HGET', W, '!turn') or '', '^(%d+) (%d+) (.+)$')
  return owner, tonumber(given), tonumber(signalled)
end

local function give_turn(owner, signalled) redis.call('HSET', W, '!turn', text(ms) .. ' ' .. signalled .. ' ' .. owner) end

-- If the one whose turn it is were dead, so would be all that wait in its process: another process looks after it.
local function alert_second(rank, inbox)
  for _, owner in ipairs(redis.call('ZRANGE', Q, rank + 1, rank + 10)) do
    local entry = waiter(owner)
    if entry and entry.kind == 'process' and entry.inbox ~= inbox then return tell(entry.inbox, 'standby', lock) end
  end
end

local function pass_over(owner, entry)
  entry.passed = true
  write_waiter(owner, entry)
end

-- Whose turn it is, now that the lock is free; tells it, unless it is the one that asks. The dead are dropped. A
-- process that was told and has not come goes to the tail. A workflow is never demoted: it may only be without a
-- worker. But the lock must not lie idle for it: where no worker hears of its turn, or it has not come within 5 s,
-- others pass it over, and it keeps its ticket: it comes first again when it asks, or a worker begins to hear. Where
-- one has not come, the others are not waited for either, until one asks or a worker begins to hear, for 30 s.
local function next_turn(asking)
  local last, given = turn()
  local away = ms - (tonumber(redis.call('HGET', W, '!away')) or 0) < 30000
  local passed, first_passed = 0, nil
  for _ = 0, redis.call('ZCARD', Q) do
    local owner = redis.call('ZRANGE', Q, passed, passed)[1]
    if not owner then break end
    local entry = waiter(owner)
    if owner == asking then return owner end
    if not entry or entry.deadline < ms then
      leave(owner)
    elseif owner == last and entry.kind == 'process' and ms - given >= CLAIM then
      last = nil
      redis.call('ZADD', Q, tail(), owner)
    elseif entry.kind == 'parked' and owner == last and ms - given >= PASS_OVER and not entry.passed then
      away = true
      redis.call('HSET', W, '!away', text(ms))
      pass_over(owner, entry)
      passed, first_passed = passed + 1, first_passed or owner
    elseif entry.passed or (entry.kind == 'parked' and away) then
      passed, first_passed = passed + 1, first_passed or owner
    elseif owner == last then
      return owner
    elseif tell(entry.inbox, 'go', lock, owner) == 0 and entry.kind == 'parked' then
      pass_over(owner, entry)
      passed, first_passed = passed + 1, first_passed or owner
    else
      give_turn(owner, 0)
      if entry.kind == 'process' then alert_second(passed, entry.inbox) end
      return owner
    end
  end
  -- nobody waits but those: whichever worker hears it signals it, and who asks need not wait for it
  if first_passed and not asking then
    if first_passed ~= last then
      give_turn(first_passed, 0)
      tell('parked', 'go', lock, first_passed)
    end
    return first_passed
  end
  redis.call('HDEL', W, '!turn')
end

-- How long nobody may be granted the lock yet, in ms. Redis may have lost the key of a live holder when its run id is
-- not the one that the epoch names: then one longest lease must pass.
local function quarantine(guard, lease)
  if guard ~= '1' then return 0 end
  local epoch = redis.call('HMGET', EPOCH, 'rid', 'at', 'max')
  local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local at, max = tonumber(epoch[2]), tonumber(epoch[3]) or 0
  if epoch[1] ~= rid then
    at = ms
    redis.call('HSET', EPOCH, 'rid', rid, 'at', text(at))
  end
  if tonumber(lease) > max then
    max = tonumber(lease)
    redis.call('HSET', EPOCH, 'max', text(max))
  end
  return math.max(0, at + max - ms)
end

local function ended() return string.match(redis.call('GET', L) or '', '^(%a+) (%d+) (%S+) ?(.*)$') end

local function end_hold(word, fence, who)
  local nonce = redis.call('HGET', H, 'n')
  redis.call('DEL', H)
  redis.call('SET', L, word .. ' ' .. fence .. ' ' .. nonce .. ' ' .. who, 'PX', DAY)
  next_turn()
end

local function reply(word, ...) return {word, text(ms), ...} end
`;

/** A Lua script as a function: sent by its hash, whole where the server does not have it yet. */
function script<Args extends string[]>(lua: string) {
  const whole = `${PRELUDE}${lua}`;
  const sha = createHash('sha1').update(whole).digest('hex');
  return async (redis: ScriptRunner, lock: LockPlace, args: Args): Promise<string[]> => {
    const all = [...lock.keys, lock.id, lock.inboxes, ...args];
    try {
      return (await redis.evalsha(sha, lock.keys.length, ...all)) as string[];
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return (await redis.eval(whole, lock.keys.length, ...all)) as string[];
    }
  };
}

/**
 * Takes the lock when it is free and nobody waits before this owner; otherwise queues, if asked to.
 *
 * ARGV = owner, round, attempt, nonce, lease in ms, meta, queue (no | process | parked), inbox, how long a place in
 *        the queue lasts in ms, not after in ms by Redis's clock, guard (1 | 0)
 * Returns HELD fence | BUSY ms left, rank, meta, since | QUEUED rank | RECOVERING ms left, rank | TAKEOVER ms left |
 *         STALE | LATE. Rank counts from 0, -1 is not in the queue
 *
 * The nonce makes a resent call find what its first copy took: ioredis sends commands again after a reconnect. A copy
 * that arrives when the hold has ended, or after its caller has given up, is LATE and takes nothing.
 * The fence is the larger of counter + 1 and the clock in µs, so it grows across a loss of Redis's data; for the same
 * reason the counter need not be kept for ever.
 */
export const acquireScript = script<
  [
    owner: string,
    round: string,
    attempt: string,
    nonce: string,
    leaseMs: string,
    meta: string,
    queue: string,
    inbox: string,
    waitTtlMs: string,
    notAfterMs: string,
    guard: string,
  ]
>(`
local owner, round, attempt, nonce, lease, meta, queue, inbox, ttl, not_after, guard = unpack(ARGV, 3)
if ms > tonumber(not_after) then return reply('LATE') end

local function line_up()
  if queue == 'no' then return '-1' end
  enqueue(owner, queue, queue == 'parked' and 'parked' or inbox, tonumber(ttl))
  keep_queue()
  note_use()
  if queue == 'parked' then redis.call('ZADD', PARKED, ms, lock) end
  return text(redis.call('ZRANK', Q, owner))
end

local held = redis.call('HMGET', H, 'o', 'a', 'n', 'f', 'meta', 'since', 'ib')
if held[4] then
  if held[3] == nonce then
    redis.call('PEXPIRE', H, lease)
    return reply('HELD', held[4])
  end
  local left = text(redis.call('PTTL', H))
  if held[1] ~= owner then return reply('BUSY', left, line_up(), held[5], held[6]) end
  local held_round, held_attempt = string.match(held[2], '^(%d+):(%d+)$')
  -- a holder of version 0.1 wrote its attempt alone
  if not held_round then held_round, held_attempt = 1, held[2] end
  held_round, held_attempt, round, attempt =
    tonumber(held_round), tonumber(held_attempt), tonumber(round), tonumber(attempt)
  if round < held_round or (round == held_round and attempt <= held_attempt) then return reply('STALE') end
  if redis.call('HEXISTS', H, 'rev') == 0 then
    redis.call('HSET', H, 'rev', 'takeover ' .. round .. ':' .. attempt)
    tell(held[7], 'revoked', lock, held[4], 'takeover', '')
  end
  if queue ~= 'no' then
    redis.call('ZADD', Q, 0, owner)
    line_up()
  end
  return reply('TAKEOVER', left)
end

local _, _, last_nonce = ended()
if last_nonce == nonce then return reply('LATE') end
local wait = quarantine(guard, lease)
if wait > 0 then
  redis.call('HDEL', W, '!turn')
  return reply('RECOVERING', text(wait), line_up())
end
if redis.call('ZCARD', Q) > 0 then
  local rank = line_up()
  local first = next_turn(owner)
  if first and first ~= owner then
    return reply('QUEUED', rank == '-1' and rank or text(redis.call('ZRANK', Q, owner)))
  end
  leave(owner)
  redis.call('HDEL', W, '!turn')
end

local fence = text(math.max((tonumber(redis.call('GET', F)) or 0) + 1, us))
redis.call('SET', F, fence, 'PX', 7 * DAY)
redis.call('HSET', H, 'o', owner, 'a', round .. ':' .. attempt, 'n', nonce, 'f', fence,
  'since', text(ms), 'meta', meta, 'ib', inbox)
redis.call('PEXPIRE', H, lease)
note_use()
return reply('HELD', fence)
`);

/**
 * Begins the lease anew. A hold that is gone may be the first to see that Redis has lost its data.
 *
 * ARGV = fence, lease in ms, guard
 * Returns OK | GONE another or nobody holds it | TAKEOVER a later attempt of the same call wants it | ASKED who, to let
 *         go | FORCED who, has ended this hold
 */
export const renewScript = script<[fence: string, leaseMs: string, guard: string]>(`
local fence, lease, guard = unpack(ARGV, 3)
local held = redis.call('HMGET', H, 'f', 'rev')
if held[1] ~= fence then
  local word, last_fence, _, who = ended()
  if word == 'forced' and last_fence == fence then return reply('FORCED', who) end
  quarantine(guard, lease)
  return reply('GONE')
end
if held[2] then
  local why, who = string.match(held[2], '^(%a+) (.*)$')
  return why == 'asked' and reply('ASKED', who) or reply('TAKEOVER')
end
redis.call('PEXPIRE', H, lease)
return reply('OK')
`);

/**
 * Gives the lock back, and tells the next waiter.
 *
 * ARGV = fence
 * Returns OK, also when an earlier copy of this call did it and its reply was lost; GONE when it was no longer held, or
 *         somebody has ended it
 */
export const releaseScript = script<[fence: string]>(`
local fence = ARGV[3]
local held = redis.call('HMGET', H, 'f', 'rev')
if held[1] == fence then
  if held[2] then end_hold('revoked', fence, string.match(held[2], '^%a+ (.*)$')) else end_hold('released', fence, '') end
  return reply('OK')
end
local word, last_fence = ended()
if last_fence == fence and word ~= 'forced' then return reply('OK') end
return reply('GONE')
`);

/**
 * A sign of life of all waiters of one process for one lock. Who has lost its place gets a new one. Where the lock is
 * free it also sees to it that somebody has the turn: this covers messages that were lost, and holders that died.
 *
 * ARGV = inbox, how long a place lasts in ms, lease in ms, guard, owners in their order
 * Returns BUSY ms left | RECOVERING ms left | FREE, each followed by 1 when the first in line is one of these owners;
 *         FREE also by the owner whose turn it is, or nothing
 */
export const refreshScript = script<
  [inbox: string, waitTtlMs: string, leaseMs: string, guard: string, ...owners: string[]]
>(`
local inbox, ttl, lease, guard = unpack(ARGV, 3, 6)
local holder = redis.call('HGET', H, 'o')
local mine = {}
for i = 7, #ARGV do
  -- a grant whose reply is under way has left the queue
  if ARGV[i] ~= holder then
    mine[ARGV[i]] = true
    enqueue(ARGV[i], 'process', inbox, tonumber(ttl))
  end
end
keep_queue()
local first = mine[redis.call('ZRANGE', Q, 0, 0)[1]] and '1' or '0'
if holder then return reply('BUSY', text(redis.call('PTTL', H)), first) end
local wait = quarantine(guard, lease)
if wait > 0 then return reply('RECOVERING', text(wait), first) end
local last = turn()
-- late, but alive: it may not have got its message
if last and mine[last] then
  give_turn(last, 0)
  return reply('FREE', '0', first, last)
end
return reply('FREE', '0', first, next_turn() or '')
`);

/**
 * A waiter gives up its place; where it had the turn, the next is told.
 *
 * ARGV = owner
 * Returns OK
 */
export const leaveScript = script<[owner: string]>(`
leave(ARGV[3])
if turn() == ARGV[3] then redis.call('HDEL', W, '!turn') end
if redis.call('EXISTS', H) == 0 then next_turn() end
return reply('OK')
`);

/**
 * Lets exactly one of all workers signal the workflow whose turn it is; another may do it again 2 s later.
 *
 * ARGV = lease in ms, guard, begins (1 where this worker begins to hear: who was passed over is not any more | 0)
 * Returns TURN owner | LATER ms until it is worth asking again | NONE
 */
export const claimScript = script<[leaseMs: string, guard: string, begins: string]>(`
if redis.call('ZCARD', Q) == 0 then redis.call('ZREM', PARKED, lock) end
if ARGV[5] == '1' then
  redis.call('HDEL', W, '!away')
  for _, owner in ipairs(redis.call('ZRANGE', Q, 0, 999)) do
    local entry = waiter(owner)
    if entry and entry.passed then
      entry.passed = false
      write_waiter(owner, entry)
    end
  end
end
if redis.call('EXISTS', H) == 1 then return reply('NONE') end
local wait = quarantine(ARGV[4], ARGV[3])
if wait > 0 then return reply('LATER', text(wait)) end
local first = next_turn()
if not first or waiter(first).kind ~= 'parked' then return reply('NONE') end
local _, given, signalled = turn()
local again = signalled + ${SIGNAL_AGAIN_MS} - ms
if again > 0 then return reply('LATER', text(again)) end
redis.call('HSET', W, '!turn', text(given) .. ' ' .. text(ms) .. ' ' .. first)
return reply('TURN', first)
`);

/**
 * Lets exactly one of all workers call the parked calls anew, where Redis may have lost their places: it is another
 * server than the one that they queued in, or it was emptied.
 *
 * ARGV = sweep a name for this worker's try, done (1 when they were called | 0)
 * Returns CALL | NONE | LATER another worker is at it
 */
export const musterScript = script<[sweep: string, done: string]>(`
local sweep, done = ARGV[3], ARGV[4]
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local epoch = redis.call('HMGET', EPOCH, 'mustered', 'mustering')
if epoch[1] == rid then return reply('NONE') end
local till, by = string.match(epoch[2] or '', '^(%d+) (.+)$')
if done == '1' then
  -- what was lost after the sweep began is called by another one
  if by == rid .. ' ' .. sweep then redis.call('HSET', EPOCH, 'mustered', rid) end
  return reply('NONE')
end
if till and tonumber(till) > ms then return reply('LATER') end
redis.call('HSET', EPOCH, 'mustering', text(ms + ${MUSTER_MS}) .. ' ' .. rid .. ' ' .. sweep)
return reply('CALL')
`);

/**
 * What is known of a lock; changes nothing.
 *
 * Returns STATE ms left, fence counter, how the last hold ended, length of the queue; then fence, owner, meta, since
 *         and rev of the holder, or five empty texts; then owner and kind of the first ten waiters
 */
export const inspectScript = script<[]>(`
local held = redis.call('HMGET', H, 'f', 'o', 'meta', 'since', 'rev')
local state = reply('STATE', text(redis.call('PTTL', H)), redis.call('GET', F) or '', redis.call('GET', L) or '',
  text(redis.call('ZCARD', Q)))
for i = 1, 5 do state[#state + 1] = held[i] or '' end
for _, owner in ipairs(redis.call('ZRANGE', Q, 0, 9)) do
  local entry = waiter(owner)
  state[#state + 1] = owner
  state[#state + 1] = entry and entry.kind or 'process'
end
return state
`);

/**
 * Asks the holder to let go, or ends its hold. Bears being sent twice, for the fence names one hold.
 *
 * ARGV = fence, who, now (1 | 0)
 * Returns OK | GONE when no hold has this fence
 */
export const forceScript = script<[fence: string, who: string, now: string]>(`
local fence, who, now = ARGV[3], ARGV[4], ARGV[5]
local held = redis.call('HMGET', H, 'f', 'ib')
if held[1] ~= fence then
  local word, last_fence, _, last_who = ended()
  return reply(word == 'forced' and last_fence == fence and last_who == who and 'OK' or 'GONE')
end
if now == '1' then end_hold('forced', fence, who) else redis.call('HSET', H, 'rev', 'asked ' .. who) end
tell(held[2], 'revoked', lock, fence, now == '1' and 'forced' or 'asked', who)
return reply('OK')
`);

/**
 * Writes the epoch, so that a quarantine begins now and not at the first call.
 *
 * ARGV = lease in ms, guard
 * Returns OK ms of quarantine left
 */
export const touchScript = script<[leaseMs: string, guard: string]>(`
return reply('OK', text(quarantine(ARGV[4], ARGV[3])))
`);
