import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { uniqueName } from './helpers/harness.ts';

const run = promisify(execFile);

before(async () => {
  await run('npm', ['run', 'build']);
});

/** Runs a JavaScript program as a user of the built package does: without tsx, without the source condition. */
async function runBuilt(program: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const args = ['--input-type=module', '--eval', program];
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, ...env } });
  return stdout;
}

test('the built package runs a task, with the workflow bundle that was built with it', async () => {
  const output = await runBuilt(
    `
    import { createRequire } from 'node:module';
    import { Sedano } from 'sedano';
    import { startWorker } from 'sedano/worker';
    const app = new Sedano(process.env.APP);
    const add = app.task({ name: 'add' }, async (a, b) => a + b);
    const worker = await startWorker(app);
    console.log(await (await add.delay(1, 2)).get());
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.filter((file) => file.includes('/webpack/lib/Compilation.js')).length);
    await worker.stop();
    await app.close();
    `,
    { APP: uniqueName('built') },
  );
  const [sum, bundlers] = output.trim().split('\n');
  assert.equal(sum, '3');
  // bundling afresh would have loaded webpack's compiler
  assert.equal(bundlers, '0');
});

test('a client loads no worker code, and no Redis before a lock is needed', async () => {
  const output = await runBuilt(
    `
    import { createRequire } from 'node:module';
    import { Sedano } from 'sedano';
    const loaded = (part) => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes(part));
    const app = new Sedano(process.env.APP);
    const add = app.task({ name: 'add' }, async (a, b) => a + b);
    const locked = app.task({ name: 'locked', exclusive: { lockId: 'locked' } }, async () => 'ran');
    await add.run(1, 2);
    const result = await add.delay(1, 2);
    await result.revoke();
    console.log(loaded('/@temporalio/worker/'), loaded('/@temporalio/core-bridge/'), loaded('/ioredis/'));
    await locked.run();
    console.log(loaded('/ioredis/'));
    await app.close();
    `,
    { APP: uniqueName('client') },
  );
  assert.equal(output, 'false false false\ntrue\n');
});

test('the built command line runs', async () => {
  const { stdout } = await run(process.execPath, ['dist/cli.js', '--version']);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});
