import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BaseTask,
  currentTask,
  exclusiveTask,
  NotifyAdminTaskMixin,
  Sedano,
  type FinalState,
  type TaskCall,
} from 'sedano';
import { startWorker } from 'sedano/worker';
import { latch, testApp, uniqueName, withWorker } from './helpers/harness.ts';

class Multiply extends BaseTask {
  override readonly name = 'multiply';
  override readonly description = 'Multiplies two numbers';

  override async run(a: number, b: number): Promise<number> {
    return a * b;
  }
}

test('a function task has a name, a description and its function as run', async () => {
  const app = testApp();
  const add = app.task({ name: 'add', description: 'Adds' }, async (a: number, b: number) => a + b);
  assert.ok(add instanceof BaseTask);
  assert.equal(add.name, 'add');
  assert.equal(add.description, 'Adds');
  assert.equal(await add.run(1, 2), 3);
});

test('a class task runs inline and by a worker', async () => {
  const app = testApp();
  const multiply = app.register(new Multiply());
  await withWorker(app, async () => {
    assert.equal(await multiply.run(6, 7), 42);
    assert.equal(await (await multiply.delay(6, 7)).get(), 42);
  });
});

test('the types of a task come from its function', () => {
  const app = testApp();
  const add = app.task({ name: 'add' }, async (a: number, b: number) => a + b);
  const multiply = app.register(new Multiply());
  // never called: only compiled
  async function compiled() {
    // @ts-expect-error an argument of another type
    await add.delay('1', 2);
    // @ts-expect-error an argument too few
    await add.delay(1);
    // @ts-expect-error an argument too many
    await multiply.delay(1, 2, 3);
    const sum: number = await (await add.delay(1, 2)).get();
    const product: number = await (await multiply.delay(1, 2)).get();
    // @ts-expect-error the result has the function's type
    const text: string = await (await add.delay(1, 2)).get();
    // @ts-expect-error an unknown option
    app.task({ name: 'x', nonsense: true }, async () => null);
    // @ts-expect-error a bare number is no duration
    app.task({ name: 'x', retryDelay: 30 }, async () => null);
    // @ts-expect-error a Date is not JSON
    app.task({ name: 'x' }, async (when: Date) => when.getTime());
    // @ts-expect-error a Map is not JSON
    app.task({ name: 'x' }, async () => new Map<string, string>());
    return [sum, product, text];
  }
  assert.equal(typeof compiled, 'function');
});

test('interfaces, optional members and void results are JSON', async () => {
  interface Animal {
    name: string;
    breed?: string;
  }
  const app = testApp();
  const greet = app.task({ name: 'greet' }, async ({ name }: Animal) => ({
    greeting: `Hello ${name}`,
  }));
  const nothing = app.task({ name: 'nothing' }, async (_animals: Animal[]) => {});
  await withWorker(app, async () => {
    assert.deepEqual(await (await greet.delay({ name: 'Ada' })).get(), { greeting: 'Hello Ada' });
    assert.equal(await (await nothing.delay([])).get(), null);
  });
});

test('arguments that are not JSON are refused before anything is sent', async () => {
  await using app = testApp();
  const any = app.task({ name: 'any' }, async (value: unknown) => value === null);
  await assert.rejects(any.delay({ when: new Date(0) }), {
    name: 'InvalidArgumentsError',
    message: "argument 1 of task 'any', at when: expected JSON, got an instance of Date",
  });
});

test('a result that is not JSON fails the call with its path', async () => {
  const app = testApp();
  const wrong = app.task({ name: 'wrong' }, async (): Promise<unknown> => ({ list: [1n] }));
  await withWorker(app, async () => {
    await assert.rejects((await wrong.delay()).get(), {
      name: 'TaskFailedError',
      type: 'InvalidArgumentsError',
      message: "result of task 'wrong', at list[0]: expected JSON, got a BigInt",
    });
  });
});

/** A mixin that notes each hook it sees, then lets the next one see it. */
type Constructor = abstract new (...args: any[]) => BaseTask; // oxlint-disable-line typescript/no-explicit-any
function Noting<Base extends Constructor>(base: Base, label: string, notes: string[]) {
  abstract class Noted extends base {
    override async beforeStart(call: TaskCall): Promise<void> {
      notes.push(`${label} beforeStart ${JSON.stringify(call.args)}`);
      await super.beforeStart(call);
    }
    override async onSuccess(value: unknown, call: TaskCall): Promise<void> {
      notes.push(`${label} onSuccess ${JSON.stringify(value)}`);
      await super.onSuccess(value, call);
    }
    override async onFailure(error: Error, call: TaskCall): Promise<void> {
      notes.push(`${label} onFailure ${error.message}`);
      await super.onFailure(error, call);
    }
    override async onRetry(error: Error, call: TaskCall): Promise<void> {
      notes.push(`${label} onRetry ${error.message}`);
      await super.onRetry(error, call);
    }
    override async afterReturn(state: FinalState, outcome: unknown, call: TaskCall): Promise<void> {
      notes.push(`${label} afterReturn ${state}`);
      await super.afterReturn(state, outcome, call);
    }
  }
  return Noted;
}

test('hooks run in order, and mixins stack by super', async () => {
  const notes: string[] = [];
  class Flaky extends Noting(
    NotifyAdminTaskMixin(Noting(BaseTask, 'inner', notes)),
    'outer',
    notes,
  ) {
    override readonly name = 'flaky';
    override readonly autoretryFor = [RangeError];
    override readonly retryDelay = '10ms';
    override readonly maxRetries = 1;

    override async run(fail: boolean): Promise<string> {
      if (currentTask().retries === 0) throw new RangeError('not yet');
      if (fail) throw new TypeError('broken');
      return 'done';
    }
  }
  const app = testApp();
  const flaky = app.register(new Flaky());
  await withWorker(app, async () => {
    assert.equal(await (await flaky.delay(false)).get(), 'done');
    await assert.rejects((await flaky.delay(true)).get(), { message: 'broken' });
  });
  const twice = (text: string) => [`outer ${text}`, `inner ${text}`];
  const started = (fail: boolean) => [
    ...twice(`beforeStart [${fail}]`),
    ...twice('onRetry not yet'),
    ...twice(`beforeStart [${fail}]`),
  ];
  assert.deepEqual(notes, [
    ...started(false),
    ...twice('onSuccess "done"'),
    ...twice('afterReturn SUCCESS'),
    ...started(true),
    ...twice('onFailure broken'),
    ...twice('afterReturn FAILURE'),
  ]);
});

test('a hook that throws changes nothing', async () => {
  class Careless extends BaseTask {
    override readonly name = 'careless';
    override async run(): Promise<string> {
      return 'done';
    }
    override onSuccess(): void {
      throw new Error('hook');
    }
  }
  const app = testApp();
  const careless = app.register(new Careless());
  await withWorker(app, async () => assert.equal(await (await careless.delay()).get(), 'done'));
});

test('hooks do not run inline', async () => {
  const notes: string[] = [];
  class Plain extends Noting(BaseTask, 'plain', notes) {
    override readonly name = 'plain';
    override async run(): Promise<number> {
      return 1;
    }
  }
  const plain = testApp().register(new Plain());
  assert.equal(await plain.run(), 1);
  assert.deepEqual(notes, []);
});

test('debugTask is safe inline and in a worker', async () => {
  const app = testApp();
  const probe: BaseTask & { run(text: string): Promise<string> } = app.task(
    { name: 'probe' },
    async (text: string) => {
      probe.debugTask();
      return text;
    },
  );
  await withWorker(app, async () => {
    assert.equal(await probe.run('inline'), 'inline');
    assert.equal(await (await probe.delay('durable')).get(), 'durable');
  });
});

test('currentTask tells the call, inline and in a worker', async () => {
  const app = testApp();
  const tell = app.task({ name: 'tell' }, async (_argument: string) => {
    const { id, name, args, queue, routine, attempt, retries } = currentTask();
    return {
      id,
      name,
      args: [...args] as string[],
      queue: queue ?? null,
      routine: routine ?? null,
      attempt,
      retries,
    };
  });
  await withWorker(app, async () => {
    const inline = await tell.run('a');
    assert.match(inline.id, /^inline\/tell\/[0-9a-f-]{36}$/);
    assert.deepEqual(
      { ...inline, id: '' },
      { id: '', name: 'tell', args: ['a'], queue: null, routine: null, attempt: 1, retries: 0 },
    );
    const result = await tell.delay('b');
    assert.match(result.id, /^tell\/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
    assert.deepEqual(await result.get(), {
      id: result.id,
      name: 'tell',
      args: ['b'],
      queue: app.name,
      routine: null,
      attempt: 1,
      retries: 0,
    });
  });
  assert.throws(() => currentTask(), {
    name: 'SedanoError',
    message: 'currentTask() was called outside of a task',
    hint: 'Call it in the code of a task, or in what that code calls.',
  });
});

test('an unregistered task cannot be called later', async () => {
  assert.throws(() => new Multiply().delay(1, 2), {
    name: 'ConfigError',
    message: "task 'multiply' is not registered with an app",
    hint: 'Register it with app.register(…) and use what that returns.',
  });
});

test('run of an unregistered exclusive task is an error', async () => {
  class Alone extends BaseTask {
    override readonly name = 'alone';
    @exclusiveTask({ lockId: 'alone' })
    override async run(): Promise<string> {
      return 'ran';
    }
  }
  assert.throws(() => new Alone().run(), {
    name: 'ConfigError',
    message: "task 'alone' is exclusive but not registered, so its lock does not guard it",
    hint: 'Register it with app.register(…) and call run() of what that returns.',
  });
});

const droppedMessage =
  "task 'alone': its run is not the one that @exclusiveTask decorates: a subclass overrides it, or another decorator replaces it";

test('@exclusiveTask as an experimental decorator is refused with what to change', () => {
  const decorate = exclusiveTask({ lockId: 'alone' });
  // what experimentalDecorators calls it with: the prototype, the name and the descriptor
  const call = () => Reflect.apply(decorate, undefined, [BaseTask.prototype, 'run', {}]);
  assert.throws(call, {
    name: 'ConfigError',
    message:
      '@exclusiveTask: expected to be called as a standard decorator, got the call of an experimental one',
    hint: 'Take experimentalDecorators out of tsconfig.json.',
  });
});

test('an override of run that drops @exclusiveTask is refused', () => {
  class Alone extends BaseTask {
    override readonly name: string = 'alone';
    @exclusiveTask({ lockId: 'alone' })
    override async run(): Promise<string> {
      return 'ran';
    }
  }
  class Dropped extends Alone {
    override async run(): Promise<string> {
      return await super.run();
    }
  }
  assert.throws(() => testApp().register(new Dropped()), {
    name: 'ConfigError',
    message: droppedMessage,
    hint: 'Put @exclusiveTask on the run that is called, as its topmost decorator.',
  });
});

test('a decorator above @exclusiveTask that replaces run is refused, one below is not', () => {
  function replacing<T, Args extends unknown[], R>(
    method: (this: T, ...args: Args) => R,
    _context: ClassMethodDecoratorContext,
  ) {
    return function replaced(this: T, ...args: Args): R {
      return method.apply(this, args);
    };
  }
  class Above extends BaseTask {
    override readonly name = 'alone';
    @replacing
    @exclusiveTask({ lockId: 'alone' })
    override async run(): Promise<string> {
      return 'ran';
    }
  }
  class Below extends BaseTask {
    override readonly name = 'below';
    @exclusiveTask({ lockId: 'below' })
    @replacing
    override async run(): Promise<string> {
      return 'ran';
    }
  }
  assert.throws(() => testApp().register(new Above()), { message: droppedMessage });
  const app = testApp();
  app.register(new Below());
  assert.equal(app.registered('below')?.exclusive?.lockIdOf([]), 'below');
});

test('opening is lazy: an app that never calls closes at once', async () => {
  const app = new Sedano('lazy', { redis: 'redis://127.0.0.1:1' });
  await app.close();
  await app.close();
});

test('a worker that stops cold does not wait for a hook; another worker runs it', async () => {
  const name = uniqueName('test');
  const [began, ran] = [latch(), latch()];
  const define = (onFailure: () => Promise<void>) => {
    const app = new Sedano(name);
    class Fails extends BaseTask {
      override readonly name = 'fails';
      override async run(): Promise<void> {
        throw new RangeError('failed');
      }
      override async onFailure(): Promise<void> {
        await onFailure();
      }
    }
    app.register(new Fails());
    return app;
  };
  await using first = define(async () => {
    began.open();
    await latch().promise;
  });
  await using second = define(async () => ran.open());
  const worker = await startWorker(first);
  const result = await first.sendTask('fails');
  await began.promise;
  await worker.stop({ cold: true });
  await using _other = await startWorker(second);
  await ran.promise;
  await assert.rejects(result.get(), { message: 'failed' });
});
