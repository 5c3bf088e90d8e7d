import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BaseTask,
  currentTask,
  ResultTimeoutError,
  type AsyncResult,
  type FinalState,
  type TaskState,
} from 'sedano';
import { startWorker } from 'sedano/worker';
import { latch, testApp, withWorker } from './helpers/harness.ts';

/** Waits until the call is in a state; a deadline only against hanging. */
async function reaches(result: AsyncResult, wanted: TaskState): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const state = await result.state();
    if (state === wanted) return;
    if (Date.now() > deadline) throw new Error(`expected ${wanted}, still ${state}`);
    await delay(20);
  }
}

test('a call goes from PENDING over STARTED to SUCCESS', async () => {
  await using app = testApp();
  const go = latch();
  const wait = app.task({ name: 'wait' }, async () => {
    await go.promise;
    return 'went';
  });
  const result = await wait.delay();
  assert.equal(await result.state(), 'PENDING');
  assert.equal(await result.ready(), false);
  assert.equal(await result.info(), undefined);
  await using _worker = await startWorker(app);
  await reaches(result, 'STARTED');
  go.open();
  assert.equal(await result.get(), 'went');
  assert.equal(await result.state(), 'SUCCESS');
  assert.equal(await result.ready(), true);
  assert.equal(await result.successful(), true);
  assert.equal(await result.failed(), false);
  assert.equal(await result.info(), 'went');
});

test('an exception fails the call once and get() throws it', async () => {
  const app = testApp();
  let runs = 0;
  const fail = app.task({ name: 'fail' }, async () => {
    runs += 1;
    throw new TypeError('no such animal');
  });
  await withWorker(app, async () => {
    const result = await fail.delay();
    await assert.rejects(
      result.get(),
      (error: Error & { type?: string; remoteStack?: string; taskId?: string }) => {
        assert.equal(error.name, 'TaskFailedError');
        assert.equal(error.message, 'no such animal');
        assert.equal(error.type, 'TypeError');
        assert.equal(error.taskId, result.id);
        assert.match(
          error.remoteStack ?? '',
          /TypeError: no such animal\n.*async-result\.test\.ts/,
        );
        return true;
      },
    );
    assert.equal(runs, 1);
    assert.equal(await result.state(), 'FAILURE');
    assert.equal(await result.failed(), true);
    const info = await result.info();
    assert.ok(info instanceof Error);
    assert.equal(info.message, 'no such animal');
  });
});

test('a failure keeps its causes, and survives what cannot be sent', async () => {
  const app = testApp();
  const causes = app.task({ name: 'causes' }, async () => {
    const root = new RangeError('root');
    throw new Error('middle', { cause: root });
  });
  const cyclic = app.task({ name: 'cyclic' }, async () => {
    const error = new Error('x'.repeat(1_000_000));
    error.cause = error;
    throw Object.assign(error, { data: 10n });
  });
  const text = app.task({ name: 'text' }, async () => {
    // oxlint-disable-next-line typescript/only-throw-error -- anything can be thrown
    throw 'just a text';
  });
  await withWorker(app, async () => {
    await assert.rejects((await causes.delay()).get(), (error: Error) => {
      assert.equal((error.cause as Error).message, 'root');
      return true;
    });
    await assert.rejects((await cyclic.delay()).get(), (error: Error) => {
      assert.ok(Buffer.byteLength(error.message) <= 4_096);
      assert.ok(error.message.startsWith('xxxx') && error.message.endsWith('…'));
      return true;
    });
    await assert.rejects((await text.delay()).get(), { message: 'just a text', type: 'Error' });
  });
});

test('get() gives up at its timeout or signal, and the call goes on', async () => {
  await using app = testApp();
  const echo = app.task({ name: 'echo' }, async (value: string) => value);
  const result = await echo.delay('late');
  await assert.rejects(result.get({ timeout: '200ms' }), (error: unknown) => {
    assert.ok(error instanceof ResultTimeoutError);
    assert.equal(error.message, `call '${result.id}' has not ended within 0.2 s; it goes on`);
    return true;
  });
  const stop = new AbortController();
  const waiting = result.get({ signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  await using _worker = await startWorker(app);
  assert.equal(await result.get(), 'late');
});

test('progress shows in info() and resumes the next attempt', async () => {
  const app = testApp();
  const seen = latch();
  const count = app.task(
    { name: 'count', autoretryFor: [RangeError], retryDelay: '10ms' },
    async () => {
      const { resume, retries } = currentTask();
      if (retries > 0) return resume as { done: number };
      currentTask().progress({ done: 3 });
      await seen.promise;
      throw new RangeError('again');
    },
  );
  await withWorker(app, async () => {
    const result = await count.delay();
    const deadline = Date.now() + 10_000;
    while ((await result.info()) === undefined && Date.now() < deadline) await delay(20);
    assert.deepEqual(await result.info(), { done: 3 });
    seen.open();
    assert.deepEqual(await result.get(), { done: 3 });
  });
});

test('revoke() ends a call that no worker has begun, at once', async () => {
  await using app = testApp();
  const never = app.task({ name: 'never' }, async () => 'ran');
  const result = await never.delay();
  await result.revoke();
  assert.equal(await result.state(), 'REVOKED');
  await assert.rejects(result.get(), {
    name: 'TaskRevokedError',
    message: `call '${result.id}' was revoked: revoked`,
  });
  const info = await result.info();
  assert.ok(info instanceof Error);
  assert.equal(info.name, 'TaskRevokedError');
});

test('revoke() aborts the signal of a running call and waits for its code', async () => {
  const app = testApp();
  const began = latch();
  let cleanedUp = false;
  const long = app.task({ name: 'long' }, async () => {
    began.open();
    try {
      await delay(60_000, undefined, { signal: currentTask().signal });
    } finally {
      cleanedUp = true;
    }
  });
  await withWorker(app, async () => {
    const result = await long.delay();
    await began.promise;
    await result.revoke();
    await assert.rejects(result.get(), {
      name: 'TaskRevokedError',
      message: `call '${result.id}' was revoked`,
    });
    assert.equal(await result.state(), 'REVOKED');
    assert.ok(cleanedUp);
  });
});

test('revoke({ terminate }) ends a running call without asking it', async () => {
  const app = testApp();
  const [began, aborted] = [latch(), latch()];
  const deaf = app.task({ name: 'deaf' }, async () => {
    began.open();
    currentTask().signal.addEventListener('abort', () => aborted.open());
    await aborted.promise;
  });
  await withWorker(app, async () => {
    const result = await deaf.delay();
    await began.promise;
    await result.revoke({ terminate: true });
    assert.equal(await result.state(), 'REVOKED');
    await aborted.promise;
  });
});

test('a call that has ended stays as it is when it is revoked', async () => {
  const app = testApp();
  const done = app.task({ name: 'done' }, async () => 'value');
  await withWorker(app, async () => {
    const result = await done.delay();
    await result.get();
    await result.revoke();
    assert.equal(await result.state(), 'SUCCESS');
  });
});

test('an id that was never seen is UNKNOWN', async () => {
  await using app = testApp();
  const result = app.result('never/seen');
  assert.equal(await result.state(), 'UNKNOWN');
  assert.equal(await result.ready(), false);
  const notFound = {
    name: 'ResultNotFoundError',
    message: "call 'never/seen' was never seen, or its result is no longer kept",
    hint: 'Temporal keeps results for the retention of its namespace (7 days under sedano dev).',
  };
  await assert.rejects(result.get(), notFound);
  await assert.rejects(result.revoke(), notFound);
});

test('a result can be read elsewhere by its id, without the task', async () => {
  const app = testApp();
  const double = app.task({ name: 'double' }, async (x: number) => 2 * x);
  await withWorker(app, async () => {
    const { id } = await double.delay(21);
    await using other = testApp();
    assert.equal(await other.result<number>(id).get(), 42);
  });
});

test('autoretryFor runs the task again as often as maxRetries says, with Celery counting', async () => {
  const app = testApp();
  const runs: number[] = [];
  const flaky = app.task(
    { name: 'flaky', autoretryFor: [RangeError], maxRetries: 3, retryDelay: '10ms' },
    async (succeedAt: number) => {
      runs.push(currentTask().retries);
      if (runs.length < succeedAt) throw new RangeError('not yet');
      return runs.length;
    },
  );
  await withWorker(app, async () => {
    assert.equal(await (await flaky.delay(3)).get(), 3);
    assert.deepEqual(runs.splice(0), [0, 1, 2]);
    await assert.rejects((await flaky.delay(99)).get(), {
      name: 'TaskFailedError',
      type: 'RangeError',
      message: 'not yet',
    });
    assert.deepEqual(runs, [0, 1, 2, 3]);
  });
});

test('currentTask().retry() runs the task again, with its own countdown and limit', async () => {
  const app = testApp();
  const polite = app.task({ name: 'polite', maxRetries: 0 }, async (limit: number) => {
    const task = currentTask();
    if (task.retries < 2) throw task.retry({ countdown: '10ms', maxRetries: limit });
    return task.attempt;
  });
  await withWorker(app, async () => {
    assert.equal(await (await polite.delay(2)).get(), 3);
    await assert.rejects((await polite.delay(1)).get(), {
      name: 'TaskFailedError',
      message: "task 'polite' asked to be run again, but maxRetries is 1",
    });
  });
});

test('a call that waits for its retry is in state RETRY, and can be revoked', async () => {
  const app = testApp();
  const later = app.task({ name: 'later' }, async () => {
    throw currentTask().retry({ countdown: '1h', cause: new RangeError('busy') });
  });
  await withWorker(app, async () => {
    const result = await later.delay();
    await reaches(result, 'RETRY');
    await result.revoke();
    await assert.rejects(result.get(), { name: 'TaskRevokedError' });
  });
});

test('retry() inline throws the original error', async () => {
  const again = testApp().task({ name: 'again' }, async () => {
    throw currentTask().retry({ cause: new RangeError('busy') });
  });
  await assert.rejects(again.run(), { name: 'RangeError', message: 'busy' });
});

test('a task that no worker knows stays PENDING until one does, at no cost', async () => {
  await using app = testApp();
  await using _old = await startWorker(app, { grace: '1s' });
  const result = await app.sendTask('new in this release', [1]);
  const deadline = Date.now() + 10_000;
  // the old worker has refused it at least once
  for (;;) {
    const { raw } = await app.client.temporal.workflow.getHandle(result.id).describe();
    if ((raw.pendingActivities?.[0]?.attempt ?? 0) > 1) break;
    assert.ok(Date.now() < deadline, 'never refused');
    await delay(20);
  }
  assert.equal(await result.state(), 'PENDING');
  await _old.stop();
  app.task({ name: 'new in this release' }, async (x: number) => [x, currentTask().retries]);
  await using _new = await startWorker(app, { grace: '1s' });
  assert.deepEqual(await result.get(), [1, 0]);
});

test('an unreachable server is one clear error', async () => {
  const before = process.env['TEMPORAL_ADDRESS'];
  process.env['TEMPORAL_ADDRESS'] = '127.0.0.1:1';
  try {
    await using app = testApp();
    const add = app.task({ name: 'add' }, async () => 1);
    const unreachable = {
      name: 'TemporalUnavailableError',
      message: 'Temporal at 127.0.0.1:1 cannot be reached; tried for 5 s',
      hint: 'Check that Temporal runs at 127.0.0.1:1 and that TEMPORAL_ADDRESS is right, or start one with: sedano dev',
    };
    await assert.rejects(add.delay(), unreachable);
    await assert.rejects(app.result('add/1').state(), unreachable);
  } finally {
    process.env['TEMPORAL_ADDRESS'] = before;
  }
});

test('wrong options of retry() fail the call with what is wrong, once', async () => {
  const app = testApp();
  let runs = 0;
  const wrong = app.task({ name: 'wrong' }, async (options: object) => {
    runs += 1;
    throw currentTask().retry(options);
  });
  await withWorker(app, async () => {
    await assert.rejects((await wrong.delay({ countdown: 5 })).get(), {
      type: 'ConfigError',
      message: /^task 'wrong': retry\(\): countdown: expected a duration with a unit/,
    });
    await assert.rejects((await wrong.delay({ maxRetries: 'x' })).get(), {
      message: `task 'wrong': retry(): maxRetries: expected a whole number from 0 up, got "x"`,
    });
    assert.equal(runs, 2);
  });
});

test('a revoked call ends as REVOKED, also when its code ignores the signal and asks to be run again', async () => {
  const app = testApp();
  const notes: string[] = [];
  const began = latch();
  class Stubborn extends BaseTask {
    override readonly name = 'stubborn';
    override readonly autoretryFor = [Error];

    override async run(): Promise<void> {
      began.open();
      const { signal } = currentTask();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      throw new RangeError('I was busy');
    }
    override onRetry(): void {
      notes.push('onRetry');
    }
    override onFailure(): void {
      notes.push('onFailure');
    }
    override afterReturn(state: FinalState): void {
      notes.push(`afterReturn ${state} in ${currentTask().name}`);
    }
  }
  const stubborn = app.register(new Stubborn());
  await withWorker(app, async () => {
    const result = await stubborn.delay();
    await began.promise;
    await result.revoke();
    await assert.rejects(result.get(), { name: 'TaskRevokedError' });
  });
  assert.deepEqual(notes, ['afterReturn REVOKED in stubborn']);
});

test('closing the app ends the waiting for a result with one clear error', async () => {
  const app = testApp();
  const never = app.task({ name: 'never' }, async () => null);
  const result = await never.delay();
  const waiting = result.get();
  await app.close();
  await assert.rejects(waiting, {
    name: 'SedanoError',
    message: 'the app was closed while the call was waited for; it goes on',
  });
  await result.revoke();
  await app.close();
});

test('a request that the server refuses is told with the server and its words', async () => {
  await using app = testApp();
  await assert.rejects(app.result('x', { runId: 'no run id' }).state(), {
    name: 'SedanoError',
    message: `Temporal at ${process.env['TEMPORAL_ADDRESS']} refused: Invalid RunId.`,
    hint: 'Check the id, and that TEMPORAL_ADDRESS and TEMPORAL_API_KEY are those of the same server.',
  });
});
