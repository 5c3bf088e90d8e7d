import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadDevFile } from '../src/embedded/dev-file.ts';
import { isAlive, type ProcessIdentity } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { pathWithTemporal, SILENT } from './helpers/command-line.ts';
import { uniqueName } from './helpers/harness.ts';
import { Foreground, packInto, run, temporaryFolder } from './helpers/package.ts';

const QUICK = {
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
};

/** What a new user does: an empty folder, npm init, npm install, sedano init. */
async function newProject(folder: string, tarball: string) {
  await mkdir(folder);
  const options = { cwd: folder, env: QUICK };
  await run('npm', ['init', '-y'], options);
  return {
    folder,
    install: await run('npm', ['install', tarball], options),
    init: await run('npx', ['sedano', 'init'], options),
    home: join(folder, '.sedano'),
    write: (path: string, text: string) => writeFile(join(folder, path), text),
    /** Runs a program of the project. */
    run: (program: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
      run(program, args, { cwd: folder, env }),
  };
}

let temporary: Awaited<ReturnType<typeof temporaryFolder>>;
let packed: Awaited<ReturnType<typeof packInto>>;
let shop: Awaited<ReturnType<typeof newProject>>;

before(async () => {
  temporary = await temporaryFolder('sedano-package-');
  packed = await packInto(join(temporary.folder, 'packed'));
  shop = await newProject(join(temporary.folder, 'shop'), packed.tarball);
});

after(() => temporary[Symbol.asyncDispose]());

test('the package holds the modules, their types, the bundle, the pinned Temporal, and nothing else', async () => {
  assert.deepEqual(
    packed.paths,
    [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      ...packed.modules.flatMap((path) => [`dist/${path}.d.ts`, `dist/${path}.js`]),
      'dist/workflow-bundle.js',
      'dist/workflow-bundle.json',
      'package.json',
      'tools/temporal/go.mod',
      'tools/temporal/go.sum',
    ].toSorted(),
  );
  // its entry points and their types
  await run('npx', ['publint', '--strict', packed.tarball], { cwd: process.cwd() });
});

test('it is installed without a word about peers, and init installs the tools it names', () => {
  const { install, init } = shop;
  assert.doesNotMatch(install.stderr + init.stderr, /peer|ERESOLVE|EBADENGINE/);
  const [wrote, npm, next] = init.stdout.split(/\n\n(?=Installing|Start)/);
  assert.equal(
    wrote,
    `Changed  package.json: type, sedano.app, scripts.dev, scripts.worker, scripts.typecheck, devDependencies.@types/node, devDependencies.tsx, devDependencies.typescript
Wrote    .gitignore
Wrote    app.ts
Wrote    tasks/hello.ts
Wrote    tsconfig.json`,
  );
  assert.match(npm ?? '', /^Installing .*tsx, typescript: npm install\n\nadded \d+ packages/);
  assert.equal(
    next,
    `Start it:
  npx sedano dev
and call the task in another terminal, in the same folder:
  npx sedano call hello '"Ada"' --wait
`,
  );
});

const READY = /Working\. Ctrl-C stops the worker and what was started here\.\n/;

describe('in an empty project', { concurrency: true }, () => {
  test('dev runs what init wrote: the task is called, the routine runs, Ctrl-C stops all of it', async (t) => {
    const env = { ...SILENT, SEDANO_LOG_LEVEL: undefined, PATH: await pathWithTemporal() };
    const recorded = (): ProcessIdentity[] => {
      const file = loadDevFile(shop.home);
      return [file?.process, file?.temporal?.process, file?.redis?.process].filter(
        (found) => found !== undefined,
      );
    };
    t.after(() => Promise.all(recorded().map((left) => endProcess(left))));
    await using dev = new Foreground('npx', ['sedano', 'dev'], { cwd: shop.folder, env });
    await dev.sees(READY);
    const { temporal, redis } = loadDevFile(shop.home) ?? {};
    assert.equal(
      dev.stdout.replace(/\d{4}-\d\d-\d\d \d\d:\d\d/, 'YYYY-MM-DD hh:mm'),
      `App        app.ts
Temporal   ${temporal?.address}, namespace default (started)
Web UI     ${temporal?.uiUrl}
Redis      ${redis?.url} (started)
Data       .sedano
Guard      off: a Redis that loses its data may let a second holder in
Queue      shop
Tasks      hello

ROUTINE             TASK   CRONTAB    ZONE  ON   NEXT
hello-every-minute  hello  * * * * *  UTC   yes  YYYY-MM-DD hh:mm

Working. Ctrl-C stops the worker and what was started here.
`,
    );
    const called = await shop.run('npx', ['sedano', 'call', 'hello', '"Ada"', '--wait'], env);
    assert.deepEqual(called, { stdout: 'SUCCESS\nHello, Ada!\n', stderr: '' });
    await dev.sees(/"taskId":"shop\/hello-every-minute-[^"]+","msg":"Hello, World!"/);
    const processes = recorded();
    assert.equal(processes.length, 3);
    await dev.interrupt();
    assert.deepEqual(processes.filter(isAlive), []);
  });

  test('a JavaScript program defines, runs and calls a task', async () => {
    await shop.write(
      'calls.js',
      `import { Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';

const app = new Sedano(process.argv[2]);
const add = app.task({ name: 'add' }, async (x, y) => x + y);
const worker = await startWorker(app);
const result = await add.delay(1, 2);
console.log(await result.get({ timeout: '30s' }));
await worker.stop();
await app.close();
`,
    );
    const { stdout } = await shop.run('node', ['calls.js', uniqueName('js')]);
    assert.equal(stdout, '3\n');
  });

  test('a TypeScript program does, type-checked under nodenext and bundler', async () => {
    await shop.write(
      'calls.ts',
      `import { BaseTask, exclusiveTask, NotifyAdminTaskMixin, Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';
export { startServers } from 'sedano/dev';

await using app = new Sedano(process.argv[2] ?? '');
const add = app.task({ name: 'add' }, async (x: number, y: number) => x + y);

class Multiply extends NotifyAdminTaskMixin(BaseTask) {
  override readonly name = 'multiply';

  @exclusiveTask({ lockId: 'multiply' })
  override async run(x: number, y: number): Promise<number> {
    return x * y;
  }
}
const multiply = app.register(new Multiply());

await using _worker = await startWorker(app);
const sum: number = await (await add.delay(1, 2)).get({ timeout: '30s' });
console.log(sum, await (await multiply.delay(sum, 4)).get(), await multiply.run(5, 6));

export const wrong = [
  // @ts-expect-error: a text is no number
  () => add.delay('1', 2),
  // @ts-expect-error: nor is nothing
  () => multiply.delay(1),
  // @ts-expect-error: what only the package needs is not offered
  () => [app.client],
  // @ts-expect-error: nor this
  () => [app.tasks],
];
`,
    );
    const tsc = (...options: string[]) => shop.run('npx', ['tsc', '--noEmit', ...options]);
    const bundler = ['--module', 'esnext', '--moduleResolution', 'bundler'];
    const [ran] = await Promise.all([
      shop.run('npx', ['tsx', 'calls.ts', uniqueName('ts')]),
      shop.run('npm', ['run', 'typecheck']),
      tsc(...bundler),
    ]);
    assert.equal(ran.stdout, '3 12 30\n');
    // our own types check without it as well
    for (const options of [[], bundler]) {
      const checked = tsc('--skipLibCheck', 'false', '--pretty', 'false', ...options);
      const { stdout } = await checked.catch((error: unknown) => error as { stdout: string });
      const wrong = stdout.match(/^\S+(?=\(.*error TS)/gm) ?? [];
      assert.deepEqual(
        wrong.filter((file) => !file.startsWith('node_modules/@temporalio/')),
        [],
      );
    }
  });

  test('a CommonJS program imports it, or requires the same modules, and nothing deeper', async () => {
    await shop.write(
      'calls.cjs',
      `const { Sedano } = require('sedano');
import('sedano').then(async (sedano) => {
  const { startWorker } = await import('sedano/worker');
  const app = new sedano.Sedano(process.argv[2]);
  const add = app.task({ name: 'add' }, async (x, y) => x + y);
  const worker = await startWorker(app);
  console.log(sedano.Sedano === Sedano, await (await add.delay(1, 2)).get());
  await worker.stop();
  await app.close();
  await import('sedano/dist/app.js').catch((error) => console.log(error.code));
});
`,
    );
    const ran = await shop.run('node', ['calls.cjs', uniqueName('cjs')]);
    assert.deepEqual(ran, { stdout: 'true 3\nERR_PACKAGE_PATH_NOT_EXPORTED\n', stderr: '' });
  });

  test('the command line is there', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    const [told, help] = await Promise.all([
      shop.run('npx', ['sedano', '--version']),
      shop.run('node_modules/.bin/sedano', ['--help']),
    ]);
    assert.equal(told.stdout, `${version}\n`);
    assert.match(help.stdout, /^Usage: sedano \[options\] \[command\]\n/);
  });
});
