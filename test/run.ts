// Runs the tests on one Temporal and one Redis, found or started as `sedano dev` does it:
//   npm test                          all files
//   npm test -- test/lock.test.ts     some
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StopSignal } from '../src/commands/stop-signal.ts';
import { startServers } from '../src/embedded/index.ts';

const files = process.argv.length > 2 ? process.argv.slice(2) : await testFiles();
// servers and data of their own, so that a running `sedano dev` is left alone
const home = await mkdtemp(join(tmpdir(), 'sedano-test-'));
let passed = false;
// Ctrl-C ends the tests, then the servers
const stop = new StopSignal();
try {
  await using servers = await startServers({
    home,
    yes: true,
    report: (line) => console.log(`# ${line}`),
    signal: stop.signal,
  });
  if (!process.env['DATABASE_URL']) {
    console.log('# DATABASE_URL is not set: the database layer is tested on PGlite only');
  }
  console.log(`# Temporal ${servers.temporal.address}, Redis ${servers.redis.url}`);
  const env = {
    SEDANO_LOG_LEVEL: 'silent',
    // to the guard each new app looks as if Redis had lost its data; tests of the guard switch it on
    SEDANO_RECOVERY_GUARD: 'off',
    ...process.env,
    TEMPORAL_ADDRESS: servers.temporal.address,
    REDIS_URL: servers.redis.url,
    ...(servers.temporal.httpUrl === undefined
      ? {}
      : { TEMPORAL_HTTP_URL: servers.temporal.httpUrl }),
  };
  passed = await runTests(files, env);
} finally {
  await rm(home, { recursive: true, force: true });
}
process.exit(passed ? 0 : 1);

async function testFiles(): Promise<string[]> {
  const names = await readdir(import.meta.dirname);
  return names.filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name));
}

/** Node exits 0 when it finds no test, and prints its count last: no test is a failure here. */
async function runTests(tests: string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  const args = [
    ...process.execArgv,
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=2',
    ...tests,
  ];
  stop.signal.throwIfAborted();
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  stop.signal.addEventListener('abort', () => child.kill());
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const ran = Number(/^ℹ tests (\d+)$/m.exec(output)?.[1] ?? 0);
  const skipped = Number(/^ℹ skipped (\d+)$/m.exec(output)?.[1] ?? 0);
  if (ran - skipped === 0) console.error('No test ran.');
  return code === 0 && ran - skipped > 0;
}
