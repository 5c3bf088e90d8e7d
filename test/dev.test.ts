import assert from 'node:assert/strict';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadDevFile } from '../src/embedded/dev-file.ts';
import { isAlive, type ProcessIdentity } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { createProject, pathWithTemporal, Shell } from './helpers/command-line.ts';

const STOPS_WITHIN_MS = 10_000;
const READY = /Working\. Ctrl-C stops the worker and what was started here\.\n/;

/** A project whose environment names no server. Whatever its servers leave is ended with the test, by number. */
async function devProject(t: TestContext) {
  const project = await createProject();
  const home = join(project.folder, '.sedano');
  const PATH = await pathWithTemporal();
  const recorded = (): ProcessIdentity[] => {
    const file = loadDevFile(home);
    return [file?.temporal?.process, file?.redis?.process].filter((found) => found !== undefined);
  };
  t.after(async () => {
    await Promise.all(recorded().map((left) => endProcess(left)));
    await project[Symbol.asyncDispose]();
  });
  const shell = new Shell();
  t.after(() => shell[Symbol.asyncDispose]());
  return {
    ...project,
    home,
    /** The servers' processes, as dev.json has them. */
    servers: () => {
      const processes = recorded();
      assert.equal(processes.length, 2);
      return processes;
    },
    /** `sedano dev …` in the project. */
    dev: (...args: string[]) => project.sedano(['dev', '--yes', ...args], { env: { PATH } }),
    /** How another command in the project ends. */
    run: (...args: string[]) =>
      shell.sedano(args, { cwd: project.folder, env: { ...project.env, PATH } }),
  };
}

type Dev = ReturnType<Awaited<ReturnType<typeof devProject>>['dev']>;

/** Sends the signal, and checks that everything is gone in time. */
async function stop(process: Dev, servers: ProcessIdentity[]): Promise<void> {
  const began = performance.now();
  const { code, stderr } = await process.signal('SIGINT');
  assert.deepEqual(
    { code, left: servers.filter(isAlive), inTime: performance.now() - began < STOPS_WITHIN_MS },
    { code: 0, left: [], inTime: true },
    stderr,
  );
}

test('dev starts servers and a worker that other commands find, Ctrl-C stops all of it, and what a killed dev leaves is adopted', async (t) => {
  const { name, home, servers, folder, dev, run } = await devProject(t);
  await using process = dev();
  await process.sees(READY);
  const file = loadDevFile(home);
  const { temporal, redis } = file ?? {};
  assert.ok(file && temporal && redis);
  assert.equal(file.process.pid, process.process.pid);
  const lines = process.stdout.replace(/\d{4}-\d\d-\d\d (?=12:00)/, 'YYYY-MM-DD ');
  assert.equal(
    lines,
    `App        app.ts
Temporal   ${temporal.address}, namespace default (started)
Web UI     ${temporal.uiUrl}
Redis      ${redis.url} (started)
Data       .sedano
Guard      off: a Redis that loses its data may let a second holder in
Queue      ${name}
Tasks      add, fail, wait

ROUTINE  TASK  CRONTAB     ZONE         ON   NEXT
sums     add   0 12 * * *  Europe/Rome  yes  YYYY-MM-DD 12:00
waits    wait  30 3 * * *  Europe/Rome  no   -

Working. Ctrl-C stops the worker and what was started here.
`,
  );
  const page = await fetch(temporal.uiUrl ?? '');
  assert.equal(page.status, 200);

  const [second, added, waiting, routines] = await Promise.all([
    run('dev', '--yes'),
    run('call', 'add', '1', '2', '--wait'),
    run('call', 'wait'),
    run('routines', 'list'),
  ]);
  assert.deepEqual(second, {
    code: 1,
    stdout: '',
    stderr:
      `Error: the servers of ${home} belong to process ${process.process.pid}, since ${file.since}, with Temporal at ` +
      `${temporal.address} and Redis at ${redis.url.replace('redis://', '')}\n` +
      `Hint: Use them: commands in this project find them by themselves. To stop them: kill ${process.process.pid}\n`,
  });
  assert.deepEqual(added, { code: 0, stdout: 'SUCCESS\n3\n', stderr: '' });
  assert.match(
    routines.stdout,
    /^sums +add +0 12 \* \* \* +at 12:00 every day +Europe\/Rome +yes /m,
  );

  // the worker is drained before the servers go: a running call ends, and its result is kept
  const id = waiting.stdout.trim();
  while (!(await run('result', id)).stdout.includes('"step": 1'));
  const stopped = stop(process, servers());
  await process.sees(/Stopping: running calls may finish/);
  await writeFile(join(folder, 'go'), '');
  await stopped;

  // a dev that was killed leaves servers that the next one adopts, and stops
  await using killed = dev();
  await killed.sees(/^Data /m);
  const left = servers();
  await killed.signal('SIGKILL');
  assert.deepEqual(left.filter(isAlive), left);
  await using heir = dev();
  await heir.sees(READY);
  assert.deepEqual(servers(), left);
  const [first, ...rest] = heir.stdout.split('App ');
  assert.deepEqual(first?.trimEnd().split('\n').toSorted(), [
    `adopting the Redis at ${loadDevFile(home)?.redis?.url}, which a killed process left running`,
    `adopting the Temporal at ${loadDevFile(home)?.temporal?.address}, which a killed process left running`,
  ]);
  assert.deepEqual(rest.join().match(/\(\w+\)$/gm), ['(adopted)', '(adopted)']);
  const result = await run('result', id, '--wait');
  assert.deepEqual(result, { code: 0, stdout: 'SUCCESS\nwent at attempt 1\n', stderr: '' });
  await stop(heir, left);
});

test('Ctrl-C while everything is still starting leaves nothing either', async (t) => {
  const { home, dev } = await devProject(t);
  await using process = dev();
  // the servers answer, the worker is about to start
  await process.sees(/^Data /m);
  const file = loadDevFile(home);
  const { code, stdout, stderr } = await process.signal('SIGINT');
  assert.deepEqual([code, stderr], [130, '']);
  assert.doesNotMatch(stdout, READY);
  const left = [file?.temporal?.process, file?.redis?.process].filter((one) => one && isAlive(one));
  assert.deepEqual(left, []);
});

test('dev --watch starts the worker again when a source file changes, also after one that breaks', async (t) => {
  const { name, folder, dev, run, servers } = await devProject(t);
  const app = join(await realpath(folder), 'app.ts');
  const source = await readFile(app, 'utf8');
  const change = (by: string) => writeFile(app, source.replace('x + y', by));
  const worker = new RegExp(`Worker of '${name}' polls ${name}; 3 tasks\\.`);
  await using process = dev('--watch');
  await process.sees(worker);

  await change('x * y');
  await process.sees(/^app\.ts changed: the worker starts again\n(.*\n)*Worker of /m);
  await change('x +* y');
  await process.sees(/The worker has ended; another one starts when a file changes\./);
  await change('x - y');
  await process.sees(
    /another one starts when(.*\n)*app\.ts changed: the worker starts again\n(.*\n)*Worker of /,
  );
  const { stdout } = await run('call', 'add', '2', '3', '--wait');
  assert.equal(stdout, 'SUCCESS\n-1\n');
  await stop(process, servers());
});
