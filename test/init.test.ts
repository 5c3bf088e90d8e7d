import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { missingOptions, TSCONFIG } from '../src/commands/starter.ts';
import { sedano, Shell } from './helpers/command-line.ts';
import { run, temporaryFolder } from './helpers/package.ts';

const shell = new Shell();
after(() => shell[Symbol.asyncDispose]());

const NEXT = `
Start it:
  npx sedano dev
and call the task in another terminal, in the same folder:
  npx sedano call hello '"Ada"' --wait
`;

/** A folder with these files in it. */
async function folderOf(t: TestContext, files: Record<string, string> = {}): Promise<string> {
  const created = await temporaryFolder('sedano-init-');
  t.after(() => created[Symbol.asyncDispose]());
  const folder = join(created.folder, 'shop');
  await mkdir(folder);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** Every file of the folder, with its text. */
async function filesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const texts = await Promise.all(
    paths.toSorted().map(async (path) => [path, await readFile(join(folder, path), 'utf8')]),
  );
  return Object.fromEntries(texts) as Record<string, string>;
}

test('init writes an app, a task, a routine and what they need, and says what to type next', async (t) => {
  const folder = await folderOf(t);
  const ended = await shell.sedano(['init', '--skip-install'], { cwd: folder });
  assert.deepEqual(ended, {
    code: 0,
    stdout: `Wrote    package.json
Wrote    .gitignore
Wrote    app.ts
Wrote    tasks/hello.ts
Wrote    tsconfig.json
${NEXT.replace('  npx', '  npm install\n  npx')}`,
    stderr: '',
  });
  const { version, devDependencies } = JSON.parse(await readFile('package.json', 'utf8')) as {
    version: string;
    devDependencies: Record<string, string>;
  };
  const caret = (name: string) => `^${devDependencies[name]?.replace('^', '')}`;
  const { 'tsconfig.json': tsconfig, ...files } = await filesOf(folder);
  assert.match(tsconfig ?? '', /^\{\n {2}"compilerOptions": \{\n {4}"module": "nodenext",\n/);
  assert.deepEqual(files, {
    '.gitignore': 'node_modules/\n.sedano/\n',
    'app.ts': `import { crontab, Sedano } from 'sedano';

export const app = new Sedano('shop');

// imported when a worker or a command starts, not now: the modules in it import this one
app.autodiscoverTasks(new URL('./tasks/', import.meta.url));

// a worker creates those that Temporal does not have yet; edits in its Web UI are not overwritten
app.routines({
  'hello-every-minute': { task: 'hello', schedule: crontab({ minute: '*' }), args: ['World'] },
});
`,
    'package.json': `{
  "private": true,
  "type": "module",
  "sedano": {
    "app": "app.ts"
  },
  "scripts": {
    "dev": "sedano dev",
    "worker": "sedano worker",
    "typecheck": "tsc --noEmit"
  },
  "dependencies": {
    "sedano": "^${version}"
  },
  "devDependencies": {
    "@types/node": "${caret('@types/node')}",
    "tsx": "${caret('tsx')}",
    "typescript": "${caret('typescript')}"
  }
}
`,
    'tasks/hello.ts': `import { getTaskLogger } from 'sedano';
import { app } from '../app.ts';

const logger = getTaskLogger('hello');

// hello.run('Ada') runs it in this process; hello.delay('Ada') has a worker run it and returns at once
export const hello = app.task(
  { name: 'hello', description: 'Greets someone' },
  async (whom: string) => {
    logger.info(\`Hello, \${whom}!\`);
    return \`Hello, \${whom}!\`;
  },
);
`,
  });
});

test('what a project has stays as it is, in its order and indentation', async (t) => {
  const own = {
    'tsconfig.json': '{}',
    'vite.config.mts': '',
    '.gitignore': '/node_modules\r\ncoverage',
    'package.json': `{
\t"scripts": { "dev": "vite", "test": "node --test" },
\t"devDependencies": { "tsx": "4.20.0" },
\t"type": "commonjs",
\t"name": "shop"
}`.replaceAll('\n', '\r\n'),
  };
  const folder = await folderOf(t, own);
  const { stdout } = await shell.sedano(['init', '--skip-install'], { cwd: folder });
  assert.equal(
    stdout,
    `Changed  package.json: type, sedano.app, scripts.worker, scripts.typecheck, dependencies.sedano, devDependencies.@types/node, devDependencies.typescript
Changed  .gitignore: .sedano/
Wrote    app.ts
Wrote    tasks/hello.ts
Kept     tsconfig.json; to check app.ts it needs "module": "nodenext", "allowImportingTsExtensions": true, "noEmit": true, "skipLibCheck": true
${NEXT.replace('  npx', '  npm install\n  npx')}`,
  );
  const files = await filesOf(folder);
  const text = files['package.json'] ?? '';
  const { dependencies, devDependencies, ...manifest } = JSON.parse(text) as Record<string, object>;
  assert.equal(text, JSON.stringify(JSON.parse(text), undefined, '\t').replaceAll('\n', '\r\n'));
  assert.deepEqual(Object.keys(JSON.parse(text) as object).slice(0, 5), [
    'scripts',
    'devDependencies',
    'type',
    'name',
    'sedano',
  ]);
  assert.deepEqual(
    { ...manifest, packages: Object.keys({ ...dependencies, ...devDependencies }) },
    {
      name: 'shop',
      type: 'module',
      sedano: { app: 'app.ts' },
      scripts: {
        dev: 'vite',
        test: 'node --test',
        worker: 'sedano worker',
        typecheck: 'tsc --noEmit',
      },
      packages: ['sedano', 'tsx', '@types/node', 'typescript'],
    },
  );
  assert.equal((devDependencies as { tsx: string }).tsx, '4.20.0');
  assert.equal(files['.gitignore'], '/node_modules\r\ncoverage\n.sedano/\n');
  assert.equal(files['tsconfig.json'], '{}');
});

const SWITCHES = '"noEmit": true, "allowImportingTsExtensions": true, "skipLibCheck": true';

const TSCONFIGS: { has: string; text: string; lacks: string[] }[] = [
  { has: 'the compiler options of init', text: TSCONFIG, lacks: [] },
  {
    has: 'comments, and commas and slashes that end nothing',
    text: `\uFEFF{ // "skipLibCheck": true
  "compilerOptions": { /* all:
  */ "module": "NodeNext", "outDir": "// \\",}", ${SWITCHES}, // last
  },
}`,
    lacks: [],
  },
  {
    has: 'modules for a bundler',
    text: `{ "compilerOptions": { "module": "esnext", "moduleResolution": "bundler", ${SWITCHES} } }`,
    lacks: [],
  },
  {
    has: 'an emit that rewrites the extensions',
    text: '{ "compilerOptions": { "module": "node20", "rewriteRelativeImportExtensions": true } }',
    lacks: ['"skipLibCheck": true'],
  },
  {
    has: 'options that are off or another, and comments that name the right ones',
    text: `{ "compilerOptions": {
  // "noEmit": true,
  "module": "commonjs", "moduleResolution": "node", "skipLibCheck": false,
  "allowImportingTsExtensions": true
} }`,
    lacks: [
      '"module": "nodenext"',
      '"moduleResolution": "nodenext"',
      '"noEmit": true',
      '"skipLibCheck": true',
    ],
  },
  { has: 'its options in another file', text: '{ "extends": "./base.json" }', lacks: [] },
  { has: 'its options in other projects', text: '{ "files": [], "references": [] }', lacks: [] },
  { has: 'no JSON', text: '{ "compilerOptions": ', lacks: [] },
];

for (const { has, text, lacks } of TSCONFIGS) {
  test(`what is told of a tsconfig.json that has ${has}`, () => {
    assert.deepEqual(missingOptions(text), lacks);
  });
}

test('a byte order mark of package.json stays', async (t) => {
  const cwd = await folderOf(t, { 'package.json': '\uFEFF{ "name": "shop" }\n' });
  const { code } = await shell.sedano(['init', '--skip-install'], { cwd });
  const text = (await filesOf(cwd))['package.json'] ?? '';
  assert.equal(code, 0);
  assert.match(text, /^\uFEFF\{\n {2}"name": "shop",\n {2}"type": "module",\n/);
  assert.match(text, /\}\n$/);
});

test('the folder to enter is one word for a shell', async (t) => {
  const cwd = await folderOf(t);
  for (const name of [`my "app's" $HOME \\ dir`, '-P']) {
    const { stdout } = await shell.sedano(['init', '--skip-install', '--', name], { cwd });
    const line = /^ {2}(cd .*)$/m.exec(stdout)?.[1];
    assert.equal((await run('sh', ['-c', `${line} && pwd`], { cwd })).stdout, `${cwd}/${name}\n`);
  }
});

test('init makes the folder that it is told, and names the app after it or as it is told', async (t) => {
  const cwd = await folderOf(t);
  const [deep, odd] = await Promise.all([
    shell.sedano(['init', 'deep/er', '--skip-install', '-n', "Ada's \\ shop"], { cwd }),
    shell.sedano(['init', 'a\u0007b ', '--skip-install'], { cwd }),
  ]);
  assert.equal(
    deep.stdout.split('\n\n')[1],
    NEXT.trimStart().replace('  npx', "  cd 'deep/er'\n  npm install\n  npx"),
  );
  assert.equal(odd.code, 0);
  const files = await filesOf(cwd);
  const appLine = (path: string) => /new Sedano\(.*/.exec(files[path] ?? '')?.[0];
  assert.equal(appLine('deep/er/app.ts'), String.raw`new Sedano('Ada\'s \\ shop');`);
  assert.equal(appLine('a\u0007b /app.ts'), "new Sedano('ab');");
});

const ELSEWHERE = 'Nothing was written. Name another folder: sedano init FOLDER.';
interface Refusal {
  where: string;
  files: Record<string, string>;
  args?: string[];
  what: string;
  hint: string;
}

const REFUSALS: Refusal[] = [
  {
    where: 'an app is already',
    files: { 'app.ts': '// mine', 'package.json': '{ "type": "module" }' },
    what: 'this folder cannot become a project: app.ts exists',
    hint: ELSEWHERE,
  },
  {
    where: 'tasks is a file',
    files: { tasks: '' },
    what: 'this folder cannot become a project: tasks is not a folder',
    hint: ELSEWHERE,
  },
  {
    where: 'it is a file',
    files: { file: '' },
    args: ['file'],
    what: 'file cannot become a project: file is not a folder',
    hint: ELSEWHERE,
  },
  {
    where: 'it is to be below a file',
    files: { file: '' },
    args: ['file/deep/er'],
    what: 'file/deep/er cannot become a project: file is not a folder',
    hint: ELSEWHERE,
  },
  {
    where: 'CommonJS modules would be read as ES modules',
    files: { 'package.json': '{ "type": "commonjs" }', 'lib/main.js': 'module.exports = 1' },
    what: 'this folder cannot become a project: package.json: "type": expected "module", got "commonjs", by which lib/main.js is read',
    hint: 'Nothing was written. Where all of that is ES modules, write "type": "module" into package.json.',
  },
  {
    where: 'package.json is broken',
    files: { 'package.json': '{ "name": }' },
    what: 'this folder cannot become a project: package.json cannot be read as a JSON object',
    hint: 'Nothing was written. Mend package.json.',
  },
  {
    where: 'several things are wrong, and says all',
    files: {
      'tasks/hello.ts': '',
      'package.json': '{ "scripts": 1, "sedano": { "app": "src/app.ts" } }',
    },
    what:
      'this folder cannot become a project: tasks/hello.ts exists; ' +
      'package.json: "type": expected "module", got none, by which tasks/hello.ts is read; ' +
      'package.json: "sedano.app" is "src/app.ts" already; package.json: "scripts": expected an object, got 1',
    hint:
      `${ELSEWHERE} Where all of that is ES modules, write "type": "module" into package.json. ` +
      'A project has one app. Mend package.json.',
  },
];

for (const { where, files, args = [], what, hint } of REFUSALS) {
  test(`init writes nothing where ${where}`, async (t) => {
    const cwd = await folderOf(t, files);
    const ended = await shell.sedano(['init', '--skip-install', ...args], { cwd });
    assert.deepEqual(ended, { code: 1, stdout: '', stderr: `Error: ${what}\nHint: ${hint}\n` });
    assert.deepEqual(await filesOf(cwd), files);
  });
}

test('init refuses a name that no app may have, and a second init', async (t) => {
  const cwd = await folderOf(t);
  const badName = await shell.sedano(['init', '--skip-install', '--name', 'a/b'], { cwd });
  assert.deepEqual(badName, {
    code: 2,
    stdout: '',
    stderr: `Error: option '-n, --name <app>' argument 'a/b' is invalid. app name: expected 1 to 100 printable characters without '/', got "a/b".
Hint: Run 'sedano init --help' to see how it is used.
`,
  });
  assert.deepEqual(await filesOf(cwd), {});
  await shell.sedano(['init', '--skip-install'], { cwd });
  const once = await filesOf(cwd);
  const second = await shell.sedano(['init', '--skip-install'], { cwd });
  assert.deepEqual(second, {
    code: 1,
    stdout: '',
    stderr: `Error: this folder cannot become a project: app.ts exists; tasks/hello.ts exists\nHint: ${ELSEWHERE}\n`,
  });
  assert.deepEqual(await filesOf(cwd), once);
});

test('where all packages are installed npm is not asked, and the task runs at once', async (t) => {
  const cwd = await folderOf(t);
  const modules = join(cwd, 'node_modules');
  await mkdir(join(modules, '@types'), { recursive: true });
  await symlink(process.cwd(), join(modules, 'sedano'));
  for (const name of ['tsx', 'typescript', '@types/node'])
    await symlink(join(process.cwd(), 'node_modules', name), join(modules, name));
  const { stdout } = await shell.sedano(['init'], { cwd });
  assert.equal(stdout.slice(stdout.indexOf('\n\n') + 1), NEXT);
  await using command = sedano(['call', 'hello', '"Ada"', '--inline'], { cwd });
  assert.deepEqual(await command.ended, { code: 0, stdout: 'Hello, Ada!\n', stderr: '' });
});

test('when npm fails, what was written stays, and the error says what to type', async (t) => {
  const cwd = await folderOf(t, { 'worker/.npmrc': 'offline=true\ncache=.npm\n' });
  await using offline = sedano(['init', 'worker'], { cwd });
  const { code, stdout, stderr } = await offline.ended;
  assert.equal(code, 1);
  assert.match(stdout, /^Installing sedano, @types\/node, tsx, typescript: npm install$/m);
  assert.doesNotMatch(stdout, /Start it/);
  assert.match(stderr, /^npm error code ENOTCACHED$/m);
  assert.equal(
    stderr.slice(stderr.indexOf('Error: ')),
    `Error: npm install ended with exit code 1
Hint: What was written stays. When the cause is mended: cd 'worker' && npm install
`,
  );
  await using missing = sedano(['init', 'other'], { cwd, env: { npm_execpath: '/nowhere/pnpm' } });
  const ended = await missing.ended;
  assert.equal(
    ended.stderr,
    `Error: pnpm install cannot be started: Error: spawn /nowhere/pnpm ENOENT
Hint: What was written stays. When the cause is mended: cd 'other' && pnpm install
`,
  );
  assert.ok(Object.keys(await filesOf(cwd)).includes('other/tasks/hello.ts'));
});
