import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BaseTask, crontab, Sedano, type TaskOptions } from 'sedano';
import { startWorker } from 'sedano/worker';
import { testApp, withWorker } from './helpers/harness.ts';

const folder = (name: string) => new URL(`./fixtures/discovery/${name}/`, import.meta.url);

test('discovery imports task modules in name order, without tests and declarations', async () => {
  const { app } = await import('./fixtures/discovery/app.ts');
  assert.deepEqual(app.tasks, []);
  await app.loadTasks();
  await app.loadTasks();
  assert.deepEqual(
    app.tasks.map(({ name }) => name),
    ['first', 'second'],
  );
});

test('a task module that throws names its file', async () => {
  const app = testApp();
  app.autodiscoverTasks(folder('broken'));
  await assert.rejects(app.loadTasks(), {
    name: 'ConfigError',
    message:
      'task module test/fixtures/discovery/broken/breaks.ts: failed to load: RangeError: no database today',
    hint: 'Run with --debug to see where it was thrown.',
  });
});

test('a task defined twice under one name is an error that names both places', async () => {
  const { app } = await import('./fixtures/discovery/app.ts');
  await app.loadTasks();
  app.autodiscoverTasks(folder('twice'));
  const again = new URL('./fixtures/discovery/twice/again.ts', import.meta.url).href;
  await assert.rejects(import(again), {
    name: 'ConfigError',
    message:
      "task 'first' is defined twice: at test/fixtures/discovery/good/a-first.ts:3 and at test/fixtures/discovery/twice/again.ts:3",
    hint: 'Give one of them another name.',
  });
});

test('a task folder that is not there is named', async () => {
  const app = testApp();
  app.autodiscoverTasks(new URL('file:///nowhere/tasks/'));
  await assert.rejects(app.loadTasks(), {
    message: /^task folder file:\/\/\/nowhere\/tasks\/: cannot be read: Error: ENOENT/,
    hint: "Pass a URL that ends in a slash: new URL('./tasks/', import.meta.url).",
  });
});

test('task names that Temporal or Sedano could not bear are refused', () => {
  const name = (value: unknown) => testApp().task({ name: value } as TaskOptions, async () => null);
  const cases: [unknown, string][] = [
    ['', 'a non-empty string, got ""'],
    [undefined, 'a non-empty string, got undefined'],
    ['a\nb', 'printable characters only, got "a\\nb"'],
    ['é'.repeat(101), `at most 200 bytes, got "${'é'.repeat(101)}"`],
    ...['constructor', 'toString', '__proto__', '__temporal_x', 'default', 'afterFailure'].map(
      (text): [string, string] => [
        text,
        `another name than default, afterFailure, those of Object.prototype and those that start with __, got "${text}"`,
      ],
    ),
  ];
  for (const [value, rest] of cases) {
    assert.throws(
      () => name(value),
      (error: Error) => {
        assert.equal(error.name, 'ConfigError');
        assert.match(error.message, /^test\/app\.test\.ts:\d+: task name: expected /);
        assert.equal(error.message.replace(/^.*?: task name: expected /, ''), rest);
        return true;
      },
    );
  }
  assert.equal(name('Fetch USI status').name, 'Fetch USI status');
});

test('wrong task options are named', () => {
  const task = (options: object) => () =>
    testApp().task({ name: 'add', ...options }, async () => null);
  assert.throws(task({ retries: 3 }), {
    message:
      "task 'add': unknown option 'retries', expected one of name, description, queue, exclusive, autoretryFor, maxRetries, retryDelay, maxCrashes, redact",
  });
  assert.throws(task({ maxRetries: 1.5 }), {
    message: "task 'add': maxRetries: expected a whole number from 0 up, got 1.5",
  });
  assert.throws(task({ maxCrashes: 0 }), {
    message: "task 'add': maxCrashes: expected a whole number from 1 up, got 0",
  });
  assert.throws(task({ retryDelay: 30 }), {
    message: /^task 'add': retryDelay: expected a duration with a unit/,
  });
  assert.throws(task({ exclusive: { lockId: 'a b' } }), {
    message: `task 'add': lockId: expected 1 to 200 characters of A-Z a-z 0-9 . _ : / -, got "a b"`,
    hint: 'Other characters could end a Redis key early.',
  });
  assert.throws(task({ exclusive: { lockId: 'a', ttl: 3 } }), {
    message:
      "task 'add': exclusive: unknown option 'ttl', expected one of lockId, taskName, onBusy, maxWait",
  });
});

test('wrong app options are named', () => {
  const app =
    (options: object, name = 'shop') =>
    () =>
      new Sedano(name, options);
  assert.throws(app({}, 'a/b'), {
    message: `app name: expected 1 to 100 printable characters without '/', got "a/b"`,
  });
  assert.throws(app({ timzone: 'UTC' }), {
    message:
      "app 'shop': unknown option 'timzone', expected one of queue, namespace, timezone, release, redis, lock, mail",
  });
  assert.throws(app({ lock: { lease: '10ms' } }), {
    message: "app 'shop': lock.lease: expected 1s to 1h, got 10ms",
  });
  assert.throws(app({ release: '1.0\n' }), {
    message: String.raw`app 'shop': release: expected 1 to 100 printable characters, got "1.0\n"`,
  });
  assert.throws(app({ timezone: 'Europe/Roma' }), {
    name: 'ConfigError',
    message: /^app 'shop': timezone: .*'Europe\/Roma'/,
  });
  assert.throws(app({ timezone: 'Local' }), {
    name: 'ConfigError',
    message: /^app 'shop': timezone: .*'Local'/,
  });
});

test('wrong routines are named with their field', () => {
  const routine =
    (row: object, name = 'nightly') =>
    () =>
      testApp().routines({ [name]: { task: 'clear', schedule: crontab(), ...row } });
  assert.throws(routine({ every: 3 }), {
    message:
      "routine 'nightly': unknown option 'every', expected one of task, schedule, args, timezone, enabled, queue, overlap, missed, startAt, endAt, jitter, expires, description",
  });
  assert.throws(routine({ schedule: '0 12 * * *' }), {
    message: `routine 'nightly': schedule: expected what crontab(…), every(…) or at(…) returns, got '0 12 * * *'`,
  });
  assert.throws(routine({ timezone: 'Mars/Olympus' }), {
    message: /^routine 'nightly': timezone: /,
  });
  assert.throws(routine({ args: [new Date(0)] }), {
    name: 'InvalidArgumentsError',
    message: "argument 1 of routine 'nightly': expected JSON, got an instance of Date",
  });
  assert.throws(routine({}, 'a\tb'), {
    message: "routine 'a\tb': name: expected 1 to 200 bytes of printable characters",
  });
  const app = testApp();
  app.routines({ nightly: { task: 'clear', schedule: crontab() } });
  assert.throws(() => app.routines({ nightly: { task: 'clear', schedule: crontab() } }), {
    message: "routine 'nightly' is in the table twice",
  });
});

test('a routine for a task that does not exist stops the worker before anything is created', async () => {
  await using app = testApp();
  app.task({ name: 'clear' }, async () => null);
  app.routines({
    right: { task: 'clear', schedule: crontab() },
    wrong: { task: 'claer', schedule: crontab() },
  });
  await assert.rejects(startWorker(app), {
    name: 'ConfigError',
    message: "routine 'wrong': task 'claer': expected a registered task ('clear')",
    hint: 'Check the spelling in the routine table, and that the task is in a folder given to autodiscoverTasks().',
  });
  const ids = app.client.temporal.schedule.getHandle(`${app.name}/right`);
  await assert.rejects(ids.describe(), { name: 'ScheduleNotFoundError' });
});

test('a routine for a task that joins stops the worker', async () => {
  await using app = testApp();
  app.task({ name: 'join', exclusive: { lockId: 'join', onBusy: 'join' } }, async () => null);
  app.routines({ nightly: { task: 'join', schedule: crontab() } });
  await assert.rejects(startWorker(app), {
    name: 'ConfigError',
    message:
      "routine 'nightly': task 'join' has onBusy 'join', expected another: a routine has nobody to give the other call's result to",
    hint: "Use 'message' (its run is told who runs), 'raise', 'wait' or 'replace'.",
  });
});

test('broken environment variables are one clear error each', async () => {
  const withEnvironment = async (name: string, value: string, work: () => unknown) => {
    const before = process.env[name];
    process.env[name] = value;
    try {
      await work();
    } finally {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    }
  };
  const plain = testApp().task({ name: 'plain' }, async () => 1);
  const locked = testApp().task({ name: 'locked', exclusive: { lockId: 'locked' } }, async () => 1);
  await withEnvironment('TEMPORAL_ADDRESS', 'http://localhost:7233', () =>
    assert.rejects(plain.delay(), {
      name: 'ConfigError',
      message: "TEMPORAL_ADDRESS: expected host:port, got 'http://localhost:7233'",
      hint: 'Write for example TEMPORAL_ADDRESS=localhost:7233, without http://.',
    }),
  );
  await withEnvironment('REDIS_URL', 'localhost:6379', () =>
    assert.rejects(locked.run(), {
      name: 'ConfigError',
      message: 'REDIS_URL: expected a URL such as redis://localhost:6379, got one of localhost:',
      hint: 'Write redis://[user:password@]host:port[/database], or rediss:// for TLS.',
    }),
  );
});

test('a namespace that does not exist is one clear error', async () => {
  await using app = testApp({ namespace: 'nowhere' });
  const plain = app.task({ name: 'plain' }, async () => 1);
  await assert.rejects(plain.delay(), {
    name: 'ConfigError',
    message: `Temporal at ${process.env['TEMPORAL_ADDRESS']} has no namespace 'nowhere'`,
    hint: 'Create it with: temporal operator namespace create nowhere',
  });
});

test('a task with a queue of its own is run from that queue', async () => {
  const app = testApp();
  const slow = app.task({ name: 'slow', queue: `${app.name}-slow` }, async () => 'ran');
  await withWorker(app, async () => assert.equal(await (await slow.delay()).get(), 'ran'));
});

test('what JavaScript callers may get wrong is named too', () => {
  const task =
    (options: object, code: unknown = async () => null) =>
    () =>
      testApp().task({ name: 'add', ...options }, code as () => Promise<null>);
  assert.throws(task({}, 'code'), { message: "task 'add': expected a function, got string" });
  assert.throws(task({ queue: '' }), { message: `task 'add': queue: expected a text, got ""` });
  assert.throws(task({ autoretryFor: [undefined] }), {
    message: "task 'add': autoretryFor: expected a list of error classes",
    hint: 'A class that is undefined here may come from modules that import each other.',
  });
  assert.throws(task({ exclusive: { lockId: 'a', onBusy: 'queue' } }), {
    message: `task 'add': exclusive: onBusy: expected one of 'message', 'raise', 'join', 'wait', 'replace', got "queue"`,
  });
  const row = { task: 'clear', schedule: crontab() };
  const routine = (value: unknown) => () => testApp().routines({ nightly: value as typeof row });
  assert.throws(routine(null), { message: "routine 'nightly': expected an object, got null" });
  assert.throws(routine({ ...row, args: { a: 1 } }), {
    message: `routine 'nightly': args: expected a list, got {"a":1}`,
  });
  assert.throws(routine({ ...row, enabled: 'no' }), {
    message: `routine 'nightly': enabled: expected true or false, got "no"`,
  });
});

test('one instance of a class task belongs to one app', () => {
  class Once extends BaseTask {
    override readonly name = 'once';
    override async run(): Promise<void> {}
  }
  const once = testApp().register(new Once());
  const other = testApp();
  assert.throws(() => other.register(once), {
    name: 'ConfigError',
    message: /^task 'once' is registered already, at test\/app\.test\.ts:\d+$/,
  });
  assert.deepEqual(other.tasks, []);
});

test('a database of Redis that is no number is refused, and one that is not there is not replaced by another', async () => {
  const base = process.env['REDIS_URL'] ?? 'redis://localhost:6379';
  const locked = (redis: string) => {
    const app = testApp({ redis });
    return {
      app,
      task: app.task({ name: 'locked', exclusive: { lockId: 'locked' } }, async () => 1),
    };
  };
  await assert.rejects(locked(`${base}/injecttool`).task.run(), {
    name: 'ConfigError',
    message: "the app's redis: expected a database number after the port, got 'injecttool'",
    hint: 'Write for example redis://localhost:6379/1, or nothing for database 0.',
  });
  const missing = locked(`${base}/9999`);
  await assert.rejects(missing.task.run(), {
    name: 'LockUnavailableError',
    message: /^lock 'locked': Redis at .+ cannot be used: /,
  });
  await missing.app.close();
});

test('a worker with exclusive tasks does not start with a wrong Redis URL', async () => {
  await using app = testApp({ redis: 'localhost:6379' });
  app.task({ name: 'locked', exclusive: { lockId: 'locked' } }, async () => 1);
  await assert.rejects(startWorker(app), {
    name: 'ConfigError',
    message:
      "the app's redis: expected a URL such as redis://localhost:6379, got one of localhost:",
  });
});

test('what a worker needs is checked when one starts, in order, and keeps it from starting', async () => {
  const app = testApp();
  const checked: string[] = [];
  app.onWorkerStart(() => void checked.push('first'));
  app.onWorkerStart(async () => {
    checked.push('second');
    throw new RangeError('no database');
  });
  await using _app = app;
  await app.loadTasks();
  assert.deepEqual(checked, []);
  await assert.rejects(startWorker(app), { name: 'RangeError', message: 'no database' });
  assert.deepEqual(checked, ['first', 'second']);
});
