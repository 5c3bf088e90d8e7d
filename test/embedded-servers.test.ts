import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { startServers, readDevFile, type Environment } from '../src/embedded/index.ts';
import { loadDevFile, writeDevFile } from '../src/embedded/dev-file.ts';
import { isAlive, type ProcessIdentity } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { SedanoError } from '../src/errors.ts';

const EMBEDDED = new URL('../src/embedded/index.ts', import.meta.url).href;

/** The environment of this test without servers, so that they are started. */
function bareEnvironment(extra: Environment = {}): Environment {
  const { TEMPORAL_ADDRESS: _a, TEMPORAL_NAMESPACE: _n, REDIS_URL: _r, ...rest } = process.env;
  return { ...rest, ...extra };
}

/** A data folder of its own. Whatever still runs in it at the end of the test is ended, by number. */
function newHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'sedano-embedded-'));
  t.after(async () => {
    const left = [loadDevFile(home)?.temporal?.process, loadDevFile(home)?.redis?.process];
    await Promise.all(
      left.filter((process) => process !== undefined).map((process) => endProcess(process)),
    );
    rmSync(home, { recursive: true, force: true });
  });
  return home;
}

function processesOf(home: string): { temporal: ProcessIdentity; redis: ProcessIdentity } {
  const file = loadDevFile(home);
  assert.ok(file?.temporal?.process && file.redis?.process);
  return { temporal: file.temporal.process, redis: file.redis.process };
}

/** All processes that have the folder in their command line. */
function running(home: string): string[] {
  const all = execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' });
  return all.split('\n').filter((line) => line.includes(home));
}

function groupOf(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }));
}

async function rejection(promise: Promise<unknown>): Promise<SedanoError> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(error instanceof SedanoError, `expected a SedanoError, got ${String(error)}`);
  return error;
}

test('servers start and answer, keep calls for seven days, and are gone after stop', async (t) => {
  const home = newHome(t);
  const servers = await startServers({ home, yes: true, env: bareEnvironment() });
  const { temporal, redis } = processesOf(home);
  assert.equal(servers.temporal.origin, 'started');
  assert.equal(servers.redis.origin, 'started');
  assert.equal(servers.temporal.pid, temporal.pid);
  assert.equal(servers.redis.pid, redis.pid);
  assert.match(servers.temporal.version ?? '', /^\d+\.\d+\.\d+$/);
  // each leads a process group of its own: Ctrl-C in the terminal does not reach it
  assert.deepEqual([groupOf(temporal.pid), groupOf(redis.pid)], [temporal.pid, redis.pid]);

  const connection = await Connection.connect({ address: servers.temporal.address });
  const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
  await connection.close();
  assert.equal(Number(config?.workflowExecutionRetentionTtl?.seconds), 7 * 24 * 3600);

  const client = new Redis(servers.redis.url);
  const settings: unknown[] = [];
  for (const name of ['appendonly', 'appendfsync', 'maxmemory-policy', 'bind', 'dir']) {
    settings.push(await client.config('GET', name));
  }
  client.disconnect();
  assert.deepEqual(settings, [
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['maxmemory-policy', 'noeviction'],
    ['bind', '127.0.0.1'],
    ['dir', join(home, 'redis')],
  ]);

  const page = await fetch(servers.temporal.uiUrl ?? '');
  assert.equal(page.status, 200);
  const api = await fetch(`${servers.temporal.httpUrl}/api/v1/namespaces/default`);
  assert.equal(api.status, 200);

  await Promise.all([servers.stop(), servers.stop()]);
  assert.equal(isAlive(temporal), false);
  assert.equal(isAlive(redis), false);
  assert.equal(existsSync(join(home, 'dev.json')), false);
  assert.equal(readDevFile(home), undefined);
  await servers.stop();
});

test('a second start in the same home refuses and names the first', async (t) => {
  const home = newHome(t);
  await using servers = await startServers({ home, yes: true, env: bareEnvironment() });
  assert.deepEqual(readDevFile(home), {
    pid: process.pid,
    temporal: {
      address: servers.temporal.address,
      namespace: 'default',
      uiUrl: servers.temporal.uiUrl,
      httpUrl: servers.temporal.httpUrl,
    },
    redis: { url: servers.redis.url },
  });
  const error = await rejection(startServers({ home, env: bareEnvironment() }));
  assert.equal(
    error.message,
    `the servers of ${home} belong to process ${process.pid}, since ${loadDevFile(home)?.since}, ` +
      `with Temporal at ${servers.temporal.address} and Redis at ${servers.redis.url.replace('redis://', '')}`,
  );
  assert.equal(
    error.hint,
    `Use them: commands in this project find them by themselves. To stop them: kill ${process.pid}`,
  );
  assert.notEqual(readDevFile(home), undefined);
});

test('of two starts at the same moment exactly one wins', async (t) => {
  const home = newHome(t);
  const starts = await Promise.allSettled([
    startServers({ home, yes: true, env: bareEnvironment() }),
    startServers({ home, yes: true, env: bareEnvironment() }),
  ]);
  const started = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const refused = starts.flatMap((start) => (start.status === 'rejected' ? [start.reason] : []));
  assert.equal(started.length, 1);
  assert.match(
    String(refused[0]),
    new RegExp(
      `^SedanoError: the servers of ${home} belong to process ${process.pid}, since .*, which is starting$`,
    ),
  );
  await started[0]?.stop();
  assert.deepEqual(running(home), []);
});

test('servers that a killed process left are adopted, and ended at the end', async (t) => {
  const home = newHome(t);
  const killed = await startAndKill(home);
  const left = processesOf(home);
  assert.deepEqual([isAlive(left.temporal), isAlive(left.redis)], [true, true]);
  assert.equal(readDevFile(home)?.pid, killed);

  const lines: string[] = [];
  const report = (line: string) => lines.push(line);
  const servers = await startServers({ home, report, env: bareEnvironment() });
  assert.deepEqual([servers.temporal.origin, servers.redis.origin], ['adopted', 'adopted']);
  assert.deepEqual([servers.temporal.pid, servers.redis.pid], [left.temporal.pid, left.redis.pid]);
  assert.deepEqual(lines.sort(), [
    `adopting the Redis at ${servers.redis.url}, which a killed process left running`,
    `adopting the Temporal at ${servers.temporal.address}, which a killed process left running`,
  ]);
  assert.equal(readDevFile(home)?.pid, process.pid);

  await servers.stop();
  assert.deepEqual([isAlive(left.temporal), isAlive(left.redis)], [false, false]);
});

test('a server that was left and does not answer is ended and started anew', async (t) => {
  const home = newHome(t);
  await startAndKill(home);
  const left = processesOf(home);
  process.kill(left.temporal.pid, 'SIGSTOP');
  process.kill(left.redis.pid, 'SIGSTOP');
  const lines: string[] = [];
  const report = (line: string) => lines.push(line);
  await using servers = await startServers({ home, report, env: bareEnvironment() });
  assert.deepEqual([servers.temporal.origin, servers.redis.origin], ['started', 'started']);
  assert.deepEqual([isAlive(left.temporal), isAlive(left.redis)], [false, false]);
  assert.deepEqual(lines.sort(), [
    `ending process ${left.redis.pid}, a Redis that a killed process left running`,
    `ending process ${left.temporal.pid}, a Temporal that a killed process left running`,
  ]);
});

test('a process that got the number of a dead server is left alone', async (t) => {
  const home = newHome(t);
  const stranger = spawn('sleep', ['60']);
  t.after(() => stranger.kill('SIGKILL'));
  await once(stranger, 'spawn');
  const namesake = { pid: stranger.pid ?? 0, started: 'another time' };
  writeDevFile(home, {
    process: { pid: process.pid, started: 'another time' },
    since: '2026-01-01T00:00:00.000Z',
    ready: true,
    temporal: { address: '127.0.0.1:1', namespace: 'default', process: namesake },
    redis: { url: 'redis://127.0.0.1:1', process: namesake },
  });
  assert.equal(readDevFile(home), undefined);
  await using servers = await startServers({ home, yes: true, env: bareEnvironment() });
  assert.equal(servers.temporal.origin, 'started');
  assert.equal(stranger.exitCode ?? stranger.signalCode, null);
});

test('other ports are taken when the usual ones are occupied', async (t) => {
  const home = newHome(t);
  for (const port of [7233, 8233, 6379]) await occupy(t, port);
  await using servers = await startServers({ home, yes: true, env: bareEnvironment() });
  const ports = [servers.temporal.address, servers.temporal.uiUrl ?? '', servers.redis.url].map(
    (place) => Number(/:(\d+)$/.exec(place)?.[1]),
  );
  assert.equal(new Set(ports).size, 3);
  assert.deepEqual(
    ports.filter((port) => [7233, 8233, 6379].includes(port)),
    [],
  );
});

test('servers that the environment names are used and not ended', async (t) => {
  const home = newHome(t);
  await using named = await startServers({ home, yes: true, env: bareEnvironment() });
  const env = bareEnvironment({
    TEMPORAL_ADDRESS: named.temporal.address,
    REDIS_URL: named.redis.url,
  });
  const other = newHome(t);
  const servers = await startServers({ home: other, env });
  const { address } = named.temporal;
  assert.deepEqual(servers.temporal, { address, namespace: 'default', origin: 'environment' });
  assert.deepEqual(servers.redis, { url: named.redis.url, origin: 'environment' });
  assert.deepEqual(readDevFile(other), {
    pid: process.pid,
    temporal: { address, namespace: 'default' },
    redis: { url: named.redis.url },
  });
  await servers.stop();
  assert.ok(isAlive(processesOf(home).temporal) && isAlive(processesOf(home).redis));

  const wrong = await rejection(
    startServers({ home: other, env: { ...env, TEMPORAL_NAMESPACE: 'nowhere' } }),
  );
  assert.equal(
    wrong.message,
    `TEMPORAL_ADDRESS: the Temporal at ${address} refuses namespace 'nowhere': Namespace nowhere is not found.`,
  );
  assert.equal(wrong.hint, 'Check TEMPORAL_NAMESPACE, and TEMPORAL_API_KEY or the TLS settings.');
  const port = new URL(named.redis.url).port;
  const stranger = `redis://someone:secret@127.0.0.1:${port}`;
  const refused = await rejection(
    startServers({ home: other, env: { ...env, REDIS_URL: stranger } }),
  );
  assert.equal(
    refused.message,
    `REDIS_URL: the Redis at 127.0.0.1:${port} refuses: WRONGPASS invalid username-password pair or user is disabled.`,
  );
  assert.equal(refused.hint, 'Check the user name and the password in REDIS_URL.');
});

test('a named Temporal that does not answer is an error that says where', async (t) => {
  const home = newHome(t);
  const env = bareEnvironment({ TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const error = await rejection(startServers({ home, env, reachTimeout: '300ms' }));
  assert.equal(
    error.message,
    'TEMPORAL_ADDRESS: no Temporal answers at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1',
  );
  assert.equal(
    error.hint,
    'Check that it runs and that this machine may reach it; unset TEMPORAL_ADDRESS to have one started here.',
  );
});

test('a named Redis that does not answer is an error without the password', async (t) => {
  const home = newHome(t);
  const env = bareEnvironment({ REDIS_URL: 'redis://someone:secret@127.0.0.1:1/0' });
  const error = await rejection(startServers({ home, env, reachTimeout: '300ms' }));
  assert.equal(
    error.message,
    'REDIS_URL: no Redis answers at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1',
  );
  assert.equal(
    error.hint,
    'Check that it runs and that this machine may reach it; unset REDIS_URL to have one started here.',
  );
  const wrong = bareEnvironment({ REDIS_URL: 'someone:secret@127.0.0.1' });
  assert.equal(
    (await rejection(startServers({ home, env: wrong }))).message,
    'REDIS_URL: expected a URL such as redis://localhost:6379 or rediss://…',
  );
});

test('a database of another server version is refused, and nothing is left running', async (t) => {
  const home = newHome(t);
  writeFileSync(join(home, 'temporal.db'), '');
  writeFileSync(join(home, 'temporal.db.json'), '{"serverVersion":"1.29.4"}');
  const error = await rejection(startServers({ home, yes: true, env: bareEnvironment() }));
  assert.match(
    error.message,
    new RegExp(
      `^${home}/temporal.db was made by Temporal server 1.29.4; the server found here is [0-9.]+ and cannot use it$`,
    ),
  );
  assert.equal(
    error.hint,
    `Use a Temporal CLI with server 1.29, or start empty: move ${home}/temporal.db* to another place.`,
  );
  assert.deepEqual(running(home), []);
  assert.equal(existsSync(join(home, 'dev.json')), false);
});

test('a start that fails half-way shows the log and leaves nothing running', async (t) => {
  const home = newHome(t);
  const folder = join(home, 'bin');
  mkdirSync(folder);
  // fails only once Temporal runs
  const script = `#!/bin/sh
    until grep -qs Server: ${home}/temporal.log; do sleep 0.05; done
    echo first line; echo Fatal: no memory; exit 1\n`;
  writeFileSync(join(folder, 'redis-server'), script);
  chmodSync(join(folder, 'redis-server'), 0o755);
  const env = bareEnvironment({ PATH: `${folder}${delimiter}${process.env.PATH}` });
  const error = await rejection(startServers({ home, env }));
  assert.equal(
    error.message,
    `Redis ended while it was starting; the last lines of ${home}/redis.log:\n  first line\n  Fatal: no memory`,
  );
  assert.match(readFileSync(join(home, 'temporal.log'), 'utf8'), /Temporal Server: /);
  assert.deepEqual(running(home), []);
  assert.equal(existsSync(join(home, 'dev.json')), false);
});

test('a start that is aborted leaves nothing running', async (t) => {
  const home = newHome(t);
  const abort = new AbortController();
  let born: ProcessIdentity[] = [];
  const watcher = watch(home, () => {
    const file = loadDevFile(home);
    if (!file?.temporal?.process || !file.redis?.process) return;
    born = [file.temporal.process, file.redis.process];
    abort.abort(new Error('enough'));
  });
  t.after(() => watcher.close());
  const start = startServers({ home, yes: true, env: bareEnvironment(), signal: abort.signal });
  await assert.rejects(start, { message: 'enough' });
  assert.deepEqual(born.map(isAlive), [false, false]);
  assert.equal(existsSync(join(home, 'dev.json')), false);
});

test('a server that ends by itself is told', async (t) => {
  const home = newHome(t);
  const { promise, resolve } = withResolvers<string>();
  await using servers = await startServers({
    home,
    yes: true,
    report: resolve,
    env: bareEnvironment(),
  });
  assert.ok(servers.redis.pid);
  process.kill(servers.redis.pid, 'SIGKILL');
  assert.equal(await promise, `Redis has ended by itself; its log is in ${home}`);
});

/** Starts servers in a process of their own and kills it with SIGKILL once they answer; returns its number. */
async function startAndKill(home: string): Promise<number> {
  const script = `
    import { startServers } from ${JSON.stringify(EMBEDDED)};
    await startServers({ home: ${JSON.stringify(home)}, yes: true });
    process.stdout.write('ready');`;
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv.filter((arg) => !arg.startsWith('--test')),
      '--input-type=module',
      '--eval',
      script,
    ],
    { env: bareEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(child.pid);
  return child.pid;
}

/** Listens on a port until the end of the test, unless somebody else does. */
async function occupy(t: TestContext, port: number): Promise<void> {
  const server = createServer();
  t.after(() => server.close());
  server.listen(port, '127.0.0.1');
  await once(server, 'listening').catch(() => {});
}

function withResolvers<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
