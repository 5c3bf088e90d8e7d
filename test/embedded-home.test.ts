import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { removeDevFile, writeDevFile, type DevFile } from '../src/embedded/dev-file.ts';
import { takeLock } from '../src/embedded/file-lock.ts';
import { programCache, projectHome, readDevFile } from '../src/embedded/index.ts';
import { identify, isAlive, type ProcessIdentity } from '../src/embedded/process-identity.ts';

const LOCK = new URL('../src/embedded/file-lock.ts', import.meta.url).href;
const DEV_FILE = new URL('../src/embedded/dev-file.ts', import.meta.url).href;

function newFolder(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sedano-home-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function self(): ProcessIdentity {
  const identity = identify(process.pid);
  assert.ok(identity);
  return identity;
}

/** A process that has ended. */
const GONE: ProcessIdentity = { pid: process.pid, started: 'another time' };

/** Starts a module in a process of its own. */
function startModule(script: string) {
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--test'));
  return spawn(process.execPath, [...flags, '--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

test('the home of a project lies beside the nearest package.json', (t) => {
  const folder = newFolder(t);
  const deep = join(folder, 'app', 'src', 'tasks');
  mkdirSync(deep, { recursive: true });
  assert.equal(projectHome({}, deep), join(deep, '.sedano'));
  writeFileSync(join(folder, 'app', 'package.json'), '{}');
  assert.equal(projectHome({}, deep), join(folder, 'app', '.sedano'));
});

test('SEDANO_HOME moves the data and the cache', () => {
  assert.equal(projectHome({ SEDANO_HOME: '/data/here' }), '/data/here');
  assert.equal(projectHome({ SEDANO_HOME: 'here' }, '/data'), '/data/here');
  assert.equal(programCache({ SEDANO_HOME: '/data/here' }), '/data/here/cache');
});

test('the cache follows XDG_CACHE_HOME', () => {
  assert.equal(programCache({ XDG_CACHE_HOME: '/caches' }), '/caches/sedano');
  assert.equal(programCache({}), join(homedir(), '.cache', 'sedano'));
});

test('a process is itself, and a later one with its number is not', async (t) => {
  const child = spawn('sleep', ['60']);
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const identity = identify(child.pid ?? 0);
  assert.ok(identity);
  assert.equal(isAlive(identity), true);
  assert.equal(isAlive({ ...identity, started: 'another time' }), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isAlive(identity), false);
  assert.equal(identify(child.pid ?? 0), undefined);
});

function devFile(change: Partial<DevFile> = {}): DevFile {
  return {
    process: self(),
    since: '2026-01-01T00:00:00.000Z',
    ready: true,
    temporal: { address: '127.0.0.1:7233', namespace: 'default', version: '1.31.2', process: GONE },
    redis: { url: 'redis://:secret@127.0.0.1:6379', process: GONE },
    ...change,
  };
}

test('dev.json is believed while its process or its servers live', (t) => {
  const home = newFolder(t);
  const servers = {
    pid: process.pid,
    temporal: { address: '127.0.0.1:7233', namespace: 'default' },
    redis: { url: 'redis://:secret@127.0.0.1:6379' },
  };
  assert.equal(readDevFile(home), undefined);
  writeDevFile(home, devFile());
  assert.deepEqual(readDevFile(home), servers);

  const { temporal, redis } = devFile();
  assert.ok(temporal && redis);
  const orphan = { process: GONE, temporal: { ...temporal, process: self() } };
  writeDevFile(home, devFile({ ...orphan, redis: { ...redis, process: self() } }));
  assert.deepEqual(readDevFile(home), servers);
  writeDevFile(home, devFile(orphan));
  assert.equal(readDevFile(home), undefined, 'only one of the two servers lives');
  // named by the environment of a process that is gone: nobody knows whether they live
  const named = { temporal: { ...temporal, process: undefined }, redis: { url: redis.url } };
  writeDevFile(home, devFile({ process: GONE, ...named }));
  assert.equal(readDevFile(home), undefined);
  writeDevFile(home, devFile({ ready: false }));
  assert.equal(readDevFile(home), undefined, 'they are still starting');

  writeFileSync(join(home, 'dev.json'), '{"process":');
  assert.equal(readDevFile(home), undefined);
  removeDevFile(home);
  assert.equal(readDevFile(home), undefined);
});

test('dev.json can be read by its owner only', (t) => {
  const home = newFolder(t);
  writeDevFile(home, devFile());
  assert.equal(statSync(join(home, 'dev.json')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(home), ['dev.json']);
});

test('reading dev.json loads neither Temporal nor Redis', async () => {
  const { stdout } = startModule(`
    import { createRequire } from 'node:module';
    import { readDevFile } from ${JSON.stringify(DEV_FILE)};
    readDevFile('/nowhere');
    const cache = createRequire(import.meta.url).cache;
    console.log(Object.keys(cache).filter((path) => /temporalio|ioredis/.test(path)).length);`);
  const [loaded] = await once(stdout, 'data');
  assert.equal(String(loaded), '0\n');
});

test('a lock names its owner until it is released', (t) => {
  const path = join(newFolder(t), 'lock');
  const first = takeLock(path);
  assert.ok('lock' in first);
  const second = takeLock(path);
  assert.deepEqual(second, { owner: { process: self(), since: first.lock.owner.since } });
  first.lock.release();
  assert.ok('lock' in takeLock(path));
});

test('a lock is taken over from a process that is gone, by exactly one of many', async (t) => {
  const folder = newFolder(t);
  const path = join(folder, 'lock');
  const owner = { process: GONE, since: '2026-01-01T00:00:00.000Z' };
  writeFileSync(`${path}.7`, JSON.stringify(owner));
  const script = `
    import { once } from 'node:events';
    import { takeLock } from ${JSON.stringify(LOCK)};
    console.log('up');
    await once(process.stdin, 'data');
    console.log(Object.keys(takeLock(${JSON.stringify(path)}))[0]);
    await once(process.stdin, 'end');`;
  const contenders = Array.from({ length: 4 }, () => startModule(script));
  for (const { stdout } of contenders) await once(stdout, 'data');
  const answers = contenders.map(({ stdout }) => once(stdout, 'data'));
  for (const { stdin } of contenders) stdin.write('go');
  const said = (await Promise.all(answers)).map(([text]) => String(text));
  assert.deepEqual(said.sort(), ['lock\n', 'owner\n', 'owner\n', 'owner\n']);
  const ends = contenders.map((contender) => once(contender, 'close'));
  for (const { stdin } of contenders) stdin.end();
  await Promise.all(ends);
  assert.deepEqual(readdirSync(folder), ['lock.8']);
});
