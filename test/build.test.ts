import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { uniqueName } from './helpers/harness.ts';
import { copyRepository, run } from './helpers/package.ts';

let built: Awaited<ReturnType<typeof copyRepository>>;

before(async () => {
  built = await copyRepository();
  await run('npm', ['run', 'build'], { cwd: built.folder });
});

after(() => built[Symbol.asyncDispose]());

/** Runs a JavaScript program as a user of the built package does: without tsx, without the source condition. */
async function runBuilt(program: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const args = ['--input-type=module', '--eval', program];
  const { stdout } = await run(process.execPath, args, { cwd: built.folder, env });
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

// the rest of mail/ hands mails over, for a worker to send
const CLIENT_FOLDERS = /^(crontab|mail|routines)\/(?!smtp\.js|django\/)/;

/** What was loaded: packages that we depend on, and modules of ours in folders, but for the client's own. */
async function loaded(urls: string[]) {
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const dist = pathToFileURL(join(built.folder, 'dist/')).href;
  const packages = urls.map((url) => /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]);
  return {
    packages: Object.keys(dependencies).filter((name) => packages.includes(name)),
    modules: urls
      .filter((url) => url.startsWith(dist))
      .map((url) => url.slice(dist.length))
      .filter((path) => path.includes('/') && !CLIENT_FOLDERS.test(path))
      .toSorted(),
  };
}

const LOCK = [
  'hold',
  'inbox',
  'line',
  'lock',
  'parked',
  'redis',
  'scripts',
  'server-check',
  'state',
  'store',
  'wait',
].map((file) => `lock/${file}.js`);

test('a client loads no worker code, and no Redis before a lock is needed', async () => {
  const output = await runBuilt(
    `
    import { Session } from 'node:inspector';
    // V8 tells of each script that it has parsed, whether a CommonJS or an ES module
    const urls = new Set();
    const session = new Session();
    session.connect();
    session.on('Debugger.scriptParsed', ({ params }) => urls.add(params.url));
    session.post('Debugger.enable');
    const show = () => console.log(JSON.stringify([...urls]));
    const { Sedano } = await import('sedano');
    const app = new Sedano(process.env.APP);
    const add = app.task({ name: 'add' }, async (a, b) => a + b);
    const locked = app.task({ name: 'locked', exclusive: { lockId: 'locked' } }, async () => 'ran');
    await add.run(1, 2);
    const result = await add.delay(1, 2);
    await result.revoke();
    show();
    await locked.run();
    show();
    const { startWorker } = await import('sedano/worker');
    await (await startWorker(app)).stop();
    show();
    await app.close();
    `,
    { APP: uniqueName('client') },
  );
  const [client, holder, worker] = await Promise.all(
    output
      .trim()
      .split('\n')
      .map((line) => loaded(JSON.parse(line) as string[])),
  );
  const clientPackages = [
    '@temporalio/client',
    '@temporalio/common',
    '@temporalio/envconfig',
    'pino',
    'protobufjs',
    'uuid',
  ];
  // what reads dev.json
  const clientModules = [
    'embedded/dev-file.js',
    'embedded/home.js',
    'embedded/process-identity.js',
  ];
  assert.deepEqual(client, { packages: clientPackages, modules: clientModules });
  assert.deepEqual(holder, {
    packages: [...clientPackages, 'ioredis'].toSorted(),
    modules: [...clientModules, ...LOCK].toSorted(),
  });
  // a worker would have been seen
  assert.ok(worker);
  assert.ok(worker.packages.includes('@temporalio/worker'));
  assert.ok(worker.modules.includes('worker/worker.js'));
  assert.ok(worker.modules.includes('activities/index.js'));
});

test('the built command line runs', async () => {
  const args = ['dist/cli.js', '--version'];
  const { stdout } = await run(process.execPath, args, { cwd: built.folder });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});
