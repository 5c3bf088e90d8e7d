/** A change of the code that makes it unsafe, and the test that must notice it. */
export interface Mutation {
  /** The safeguard that it takes away. */
  name: string;
  file: string;
  /** Is in the file exactly once. */
  from: string;
  to: string;
  testFile: string;
  test: string;
}

const SCRIPTS = 'src/lock/scripts.ts';
const HOLD = 'src/lock/hold.ts';
const LOCK_TEST = 'test/lock.test.ts';
const FAULTS_TEST = 'test/lock-faults.test.ts';
const QUEUE_TEST = 'test/lock-queue.test.ts';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'nonce of a hold',
    file: SCRIPTS,
    from: 'if held[3] == nonce then',
    to: 'if false then',
    testFile: FAULTS_TEST,
    test: 'a lost reply to acquire, renew or release changes nothing (rows 12, 13, 14)',
  },
  {
    name: 'nonce of a hold that has ended',
    file: SCRIPTS,
    from: "if last_nonce == nonce then return reply('LATE') end",
    to: '',
    testFile: FAULTS_TEST,
    test: 'a copy of a request that comes after its hold has ended takes nothing (row 9)',
  },
  {
    name: 'end of a request',
    file: SCRIPTS,
    from: "if ms > tonumber(not_after) then return reply('LATE') end",
    to: '',
    testFile: LOCK_TEST,
    test: 'what Redis executes after its caller has ended is granted to nobody (row 31)',
  },
  {
    name: 'deadline timer',
    file: HOLD,
    from: "() => this.#lose('deadline', DEADLINE)",
    to: '() => {}',
    testFile: LOCK_TEST,
    test: 'while Redis is frozen the holder learns by its own clock that its lease is over',
  },
  {
    name: 'isHeld() before the body',
    file: HOLD,
    from: `may be over already
      if (!this.isHeld()) throw this.#lossError();`,
    to: '',
    testFile: LOCK_TEST,
    test: 'a grant whose reply comes after its lease enters no body',
  },
  {
    name: 'isHeld() after the body',
    file: HOLD,
    from: `must not pass for a result
      if (!this.isHeld()) throw this.#lossError();`,
    to: '',
    testFile: LOCK_TEST,
    test: 'during() refuses a value that was computed without the lock',
  },
  {
    name: 'wall clock in isHeld()',
    file: HOLD,
    from: 'Date.now() < this.#deadline.wall',
    to: 'true',
    testFile: 'test/lock-processes.test.ts',
    test: 'whose clock is set forward by an hour is only over early (row 34)',
  },
  {
    name: 'recovery guard',
    file: SCRIPTS,
    from: "if guard ~= '1' then return 0 end",
    to: 'do return 0 end',
    testFile: FAULTS_TEST,
    test: 'a Redis that is emptied (row 24) does not make two holders',
  },
  {
    name: 'rev',
    file: SCRIPTS,
    from: `if held[2] then
  local why`,
    to: `if false then
  local why`,
    testFile: LOCK_TEST,
    test: 'a holder that hears no messages is told by its next renewal that it is taken over',
  },
  {
    name: 'claim window',
    file: SCRIPTS,
    from: 'ms - given >= CLAIM then',
    to: 'false then',
    testFile: QUEUE_TEST,
    test: 'a first waiter that is stopped when its turn comes runs later (row 37)',
  },
  {
    name: 'order of the queue',
    file: SCRIPTS,
    from: 'if first and first ~= owner then',
    to: 'if false then',
    testFile: LOCK_TEST,
    test: 'nobody jumps the queue of a free lock',
  },
  {
    name: 'release latch of the holder',
    file: HOLD,
    from: 'this.#released = true;',
    to: '',
    testFile: LOCK_TEST,
    test: 'a second owner is told who holds the lock, and gets it after its release',
  },
  {
    name: 'release latch in Redis',
    file: SCRIPTS,
    from: `if last_fence == fence and word ~= 'forced' then return reply('OK') end
return reply('GONE')`,
    to: `return reply('GONE')`,
    testFile: LOCK_TEST,
    test: 'scripts bear being sent twice, and their loss from the cache (row 25)',
  },
  {
    name: 'end by force in Redis',
    file: SCRIPTS,
    from: "last_fence == fence and word ~= 'forced'",
    to: 'last_fence == fence',
    testFile: FAULTS_TEST,
    test: 'a hold that was ended by force is not given back as if it had been held (row 75)',
  },
  {
    name: 'call to queue again',
    file: 'src/lock/parked.ts',
    from: 'await this.#calls.wakeAll();',
    to: '',
    testFile: QUEUE_TEST,
    test: 'where Redis has lost the places of parked calls, one worker wakes them all',
  },
  {
    name: 'answer to a release',
    file: HOLD,
    from: "return word !== 'GONE';",
    to: 'return true;',
    testFile: FAULTS_TEST,
    test: 'an inline call whose lock was lost fails, though its body has ended well (row 47)',
  },
  {
    name: 'fence by the counter',
    file: SCRIPTS,
    from: "math.max((tonumber(redis.call('GET', F)) or 0) + 1, us)",
    to: 'us',
    testFile: FAULTS_TEST,
    test: 'a backward jump of Redis’s clock keeps a dead holder in for as long, unless it is ended by hand; fences grow (row 33)',
  },
  {
    name: 'fence by the clock',
    file: SCRIPTS,
    from: "math.max((tonumber(redis.call('GET', F)) or 0) + 1, us)",
    to: "(tonumber(redis.call('GET', F)) or 0) + 1",
    testFile: LOCK_TEST,
    test: 'fences grow with every grant, also when Redis lost its data',
  },
  {
    name: 'first gate',
    file: 'src/client.ts',
    from: "workflowIdConflictPolicy: 'FAIL',",
    to: "workflowIdConflictPolicy: 'USE_EXISTING',",
    testFile: 'test/exclusive.test.ts',
    test: 'a second delay() is refused at once, before a worker sees it',
  },
];
