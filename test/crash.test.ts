import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { BaseTask, Sedano } from 'sedano';
import { TestSmtp } from './helpers/smtp.ts';
import { latch, Program, testApp, uniqueName, withWorker } from './helpers/harness.ts';
import { until } from './helpers/locks.ts';

const APP = 'test/fixtures/crash-app.ts';
const CLI = 'src/cli.ts';
/** Far longer than Temporal's heartbeat time-out. */
const HEARTBEAT_LOST_MS = 120_000;

/** The crash app in processes that can be killed, and a client of it here. */
async function crashApp(more: NodeJS.ProcessEnv = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sedano-crash-'));
  const name = uniqueName('crash');
  const env = { CRASH_APP: name, CRASH_GO: join(folder, 'go'), ...more };
  const app = new Sedano(name, { lock: { lease: '3s' } });
  return {
    app,
    worker: () => new Program(CLI, ['worker', '--app', APP], env),
    program: (file: string) => new Program(file, [], env),
    /** Lets the waiting bodies return. */
    go: () => writeFile(env.CRASH_GO, ''),
    async [Symbol.asyncDispose]() {
      await app.close();
      await rm(folder, { recursive: true });
    },
  };
}

// each waits for Temporal's heartbeat timeout of 20 s, so they wait together
describe('a worker that is killed', { concurrency: true }, () => {
  test('does not lose its call: the body runs again elsewhere and the result arrives', async () => {
    await using crash = await crashApp();
    const result = await crash.app.sendTask<string>('plain', []);
    await using first = crash.worker();
    await first.sees(/began plain attempt 1 resume null/);
    // what has not reached the server cannot be resumed from
    while ((await result.info()) === undefined) await delay(50);
    await first.kill('SIGKILL');
    await using second = crash.worker();
    await second.sees(/began plain attempt 2 resume \{"step":1\}/);
    assert.equal(await result.state(), 'STARTED');
    await crash.go();
    assert.equal(await result.get(), `attempt 2 in process ${second.process.pid}`);
  });

  test('in an exclusive task: the retry waits for whoever took the lock meanwhile, and never answers "already running" (row 2)', async () => {
    await using crash = await crashApp();
    const [has, letGo] = [latch(), latch()];
    const other = crash.app.task(
      { name: 'other', exclusive: { lockId: 'exclusive', onBusy: 'wait' } },
      async () => {
        has.open();
        await letGo.promise;
      },
    );
    const first = crash.worker();
    const id = await crash.app.client.temporal.workflow.start('exclusive', {
      workflowId: uniqueName('exclusive'),
      taskQueue: crash.app.name,
    });
    await first.sees(/began exclusive attempt 1/);
    await first.kill('SIGKILL');
    const between = other.run();
    await has.promise;
    await using second = crash.worker();
    const locks = await crash.app.locks();
    const waits = async () => (await locks.inspect('exclusive'))?.waiters.count === 1;
    await until('the retry waits', waits, HEARTBEAT_LOST_MS);
    letGo.open();
    await between;
    await second.sees(/began exclusive attempt \d/);
    await crash.go();
    const value = await crash.app.result<string>(id.workflowId).get();
    assert.match(value, new RegExp(`^attempt \\d in process ${second.process.pid}$`));
  });

  test('by the task itself is not killed again once the task’s crashes are used up', async () => {
    await using crash = await crashApp();
    const first = crash.worker();
    const result = await crash.app.sendTask('deadly', []);
    await first.sees(/began deadly/);
    assert.equal(await first.exited, 1);
    await using _second = crash.worker();
    await assert.rejects(result.get(), {
      name: 'TaskCrashedError',
      message:
        "task 'deadly' took its worker down, or kept it from answering, once; it is not run again",
    });
  });

  test('for good still tells the admins: another worker sends the mail', async () => {
    await using smtp = await TestSmtp.start();
    await using crash = await crashApp({ CRASH_SMTP: smtp.url });
    const first = crash.worker();
    const result = await crash.app.sendTask('deadly and mailed', []);
    await first.sees(/began deadly and mailed/);
    assert.equal(await first.exited, null);
    await using _second = crash.worker();
    await assert.rejects(result.get(), { name: 'TaskCrashedError' });
    const [mail] = await smtp.received(1);
    assert.deepEqual(mail?.to, ['ops@crash.example']);
    assert.equal(
      mail.parsed.subject,
      `[${crash.app.name}] Error in deadly and mailed: task 'deadly and mailed' took its worker down, or kept it from answering, once; it is not run again`,
    );
  });
});

test('a hook that takes longer than a heartbeat time-out runs once', async () => {
  const app = testApp();
  let runs = 0;
  class Slow extends BaseTask {
    override readonly name = 'slow hook';
    override async run(): Promise<void> {
      throw new RangeError('failed');
    }
    override async onFailure(): Promise<void> {
      runs += 1;
      await delay(22_000);
    }
  }
  const slow = app.register(new Slow());
  await withWorker(app, async () => {
    await assert.rejects((await slow.delay()).get(), { message: 'failed' });
    assert.equal(runs, 1);
  });
});

test('a killed inline holder frees its lock within the lease', async () => {
  await using crash = await crashApp();
  await using holder = crash.program('test/fixtures/hold-lock.ts');
  await holder.sees(/began exclusive attempt 1/);
  const other = crash.app.task(
    { name: 'other', exclusive: { lockId: 'exclusive', taskName: 'exclusive' } },
    async () => 'ran',
  );
  assert.equal(await other.run(), 'exclusive already running!');
  await holder.kill('SIGKILL');
  const redis = new Redis(process.env['REDIS_URL'] ?? 'redis://localhost:6379');
  const leftMs = await redis.pttl(`{sedano:${crash.app.name}}:v1:exclusive:h`);
  redis.disconnect();
  assert.ok(leftMs > 0 && leftMs <= 3_000, `the lease of 3 s has ${leftMs} ms left`);
  const deadline = Date.now() + 30_000;
  while ((await other.run()) !== 'ran') {
    assert.ok(Date.now() < deadline, 'never freed');
    await delay(50);
  }
});

test('the first signal lets running calls finish and release their locks, and the worker leaves with exit code 0 (row 51)', async () => {
  await using crash = await crashApp();
  await using worker = crash.worker();
  const result = await crash.app.sendTask<string>('exclusive', []);
  await worker.sees(/began exclusive/);
  worker.process.kill('SIGTERM');
  await worker.sees(/Stopping: running calls may finish/);
  const locks = await crash.app.locks();
  const held = await locks.inspect('exclusive');
  await crash.go();
  assert.match(await result.get(), /^attempt 1 in process/);
  assert.equal(await worker.exited, 0);
  const { lastEnd } = (await locks.inspect('exclusive')) ?? {};
  assert.deepEqual(lastEnd, { how: 'released', fence: held?.fence, who: '' });
});

test('the second signal leaves running calls to other workers at once, at no cost of a crash', async () => {
  await using crash = await crashApp();
  await using first = crash.worker();
  await using second = crash.worker();
  await Promise.all([first, second].map((worker) => worker.sees(/Worker of/)));
  const result = await crash.app.sendTask<string>('exclusive', []);
  const [holder, other] = await Promise.any([
    first.sees(/began exclusive/).then(() => [first, second] as const),
    second.sees(/began exclusive/).then(() => [second, first] as const),
  ]);
  holder.process.kill('SIGTERM');
  await holder.sees(/Stopping/);
  holder.process.kill('SIGTERM');
  assert.equal(await holder.exited, 0);
  await other.sees(/began exclusive attempt 2/);
  await crash.go();
  assert.match(await result.get(), new RegExp(`in process ${other.process.pid}$`));
});
