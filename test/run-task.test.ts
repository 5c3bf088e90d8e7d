import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crontab, type Sedano } from 'sedano';
import { testApp, uniqueName, withWorker } from './helpers/harness.ts';
import { createSchedule, lastRun, startWorkflow, temporal } from './helpers/temporal-cli.ts';

/** A task with a name for people, that returns what it got. */
function echoApp(): Sedano {
  const app = testApp();
  app.task({ name: 'Echo these values' }, async (...values: unknown[]) => values);
  return app;
}

test('delay() starts a task', async () => {
  const app = echoApp();
  await withWorker(app, async () => {
    const result = await app.sendTask('Echo these values', [1, 'two', { three: [null] }]);
    assert.deepEqual(await result.get(), [1, 'two', { three: [null] }]);
  });
});

test('temporal workflow start starts a task, with and without arguments', async () => {
  const app = echoApp();
  await withWorker(app, async () => {
    const target = { type: 'Echo these values', queue: app.name };
    const bare = await startWorkflow(target);
    assert.deepEqual(await app.result(bare).get(), []);
    const withInputs = await startWorkflow({
      ...target,
      inputs: ['1', '"two"', '{"three":[null]}'],
    });
    assert.deepEqual(await app.result(withInputs).get(), [1, 'two', { three: [null] }]);
  });
});

test("the server's HTTP API starts a task, as the Web UI's form does", async () => {
  const app = echoApp();
  const base = process.env['TEMPORAL_HTTP_URL'];
  assert.ok(
    base,
    'TEMPORAL_HTTP_URL: expected the HTTP API of the server that TEMPORAL_ADDRESS names',
  );
  await withWorker(app, async () => {
    const id = uniqueName('form');
    // what the form sends: payloads as the JSON that was typed, with their encoding
    const payload = (json: string) => ({
      metadata: { encoding: Buffer.from('json/plain').toString('base64') },
      data: Buffer.from(json).toString('base64'),
    });
    const response = await fetch(`${base}/api/v1/namespaces/default/workflows/${id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        workflowType: { name: 'Echo these values' },
        taskQueue: { name: app.name },
        input: { payloads: [payload('{"typed":"by hand"}')] },
      }),
    });
    assert.equal(response.status, 200, await response.text());
    assert.deepEqual(await app.result(id).get(), [{ typed: 'by hand' }]);
  });
});

test('a schedule of ours starts a task', async () => {
  const app = echoApp();
  app.routines({
    echo: { task: 'Echo these values', schedule: crontab({ monthOfYear: 1 }), args: ['routine'] },
  });
  await withWorker(app, async () => {
    const scheduleId = `${app.name}/echo`;
    await temporal('schedule', 'trigger', '--schedule-id', scheduleId);
    const id = await lastRun(scheduleId);
    assert.match(id, new RegExp(`^${scheduleId}-\\d{4}-\\d\\d-\\d\\dT`));
    assert.deepEqual(await app.result(id).get(), ['routine']);
    await temporal('schedule', 'delete', '--schedule-id', scheduleId);
  });
});

test('a schedule made by temporal schedule create starts a task', async () => {
  const app = echoApp();
  await withWorker(app, async () => {
    const id = await createSchedule({
      type: 'Echo these values',
      queue: app.name,
      inputs: ['"made by hand"'],
      runNow: true,
    });
    assert.deepEqual(await app.result(id).get(), ['made by hand']);
  });
});

test('a task named like something of every object, or with odd characters, is found by its own name', async () => {
  const app = testApp();
  const names = [`it's "100 %" $& \`odd\``, 'ünïcode ✓', 'path/../like', 'a'.repeat(200)];
  for (const name of names) app.task({ name }, async () => name);
  await withWorker(app, async () => {
    for (const name of names) assert.equal(await (await app.sendTask(name, [])).get(), name);
  });
});
