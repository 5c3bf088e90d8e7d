import assert from 'node:assert/strict';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadDevFile } from '../src/embedded/dev-file.ts';
import { isAlive } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { Command, pathWithTemporal, SILENT } from './helpers/command-line.ts';

const QUARTER_MS = 15 * 60_000;
const TEST_TAKES_MS = 100_000;
const STOPS_WITHIN_MS = 10_000;

/** The routine that fetches the status runs each quarter of an hour, and would be busy then. */
async function awayFromTheQuarter(): Promise<void> {
  const left = QUARTER_MS - (Date.now() % QUARTER_MS);
  // a second later its run is over
  if (left < TEST_TAKES_MS) await delay(left + 1_000);
}

/** What differs from one run to the next, replaced. */
function settled(stdout: string, home: string): string {
  return (
    stdout
      .replaceAll(home, 'HOME')
      .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST:PORT')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME')
      // a worker may have begun it, and even ended it, by then
      .replace(/ready: false, state: (PENDING|STARTED)/, 'ready: false, state: NOT YET')
      // either of the two may be first
      .replace(/( {2}refused .*\n)( {2}accepted .*\n)/, '$2$1')
  );
}

const HEAD = `USI        http://HOST:PORT (the project's own server: USI_MANAGER is not set)
Database   embedded, in HOME/injecttool
Admins     ADMINS is not set: failures are logged only
Queue      injecttool
Temporal   HOST:PORT
Redis      HOST:PORT
Web UI     http://HOST:PORT
`;

/** The main job as it is seen when one submission waits for BioSamples. */
function mainJob(submission: number, added: string): string {
  const line = `UID submission ${submission} Submitted, biosample submission ${submission - 1} Submitted`;
  const done = `UID submission ${submission} Completed, biosample submission ${submission - 1} Completed`;
  return `${added}clearsessions.run(), inline in this process:
  Session cleaned with success
fetchStatusTask.delay(), a durable call:
  exclusive/injecttool/FetchStatusTask
  ready: false, state: NOT YET
  ready: true, state: SUCCESS, value: success
  - ${line}; validation: not looked at; 0 animals with accession
  + ${line}; validation: 6 Pending; 0 animals with accession
fetchStatusTask.delay(), twice at once:
  accepted  success
  refused   Fetch USI status already running!
and again, until BioSamples has answered:
  - ${line}; validation: 6 Complete; 0 animals with accession
  + ${done}; validation: 6 Complete; 3 animals with accession
The routines:
  clearsessions: 0 12 * * * in Europe/Rome, next TIME, TIME, TIME
  fetch_biosample_status: */15 * * * * in Europe/Rome, next TIME, TIME, TIME
`;
}

test('npm start does the main job, twice in a row, and keeps working until Ctrl-C', async (t) => {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'sedano-start-')));
  const env = {
    ...SILENT,
    DATABASE_URL: undefined,
    USI_MANAGER: undefined,
    USI_MANAGER_PASSWORD: undefined,
    ADMINS: undefined,
    TIME_ZONE: undefined,
    SEDANO_HOME: home,
    PATH: await pathWithTemporal(),
  };
  const recorded = () => {
    const file = loadDevFile(home);
    return [file?.temporal?.process, file?.redis?.process].filter((found) => found !== undefined);
  };
  t.after(async () => {
    await Promise.all(recorded().map((left) => endProcess(left)));
    await rm(home, { recursive: true, force: true });
  });
  const start = (...args: string[]) => new Command('injecttool/start.ts', args, { env });
  const added = (submission: number) =>
    `UID submission ${submission} was added: it waits for BioSamples.\n`;

  await awayFromTheQuarter();
  for (const submission of [4, 5]) {
    const { code, stdout, stderr } = await start('--once').ended;
    assert.equal(code, 0, stderr);
    assert.equal(settled(stdout, home), `${HEAD}\n${mainJob(submission, added(submission))}`);
  }

  await using working = start();
  await working.sees(/Working\./);
  const servers = recorded();
  assert.equal(servers.length, 2);
  const began = performance.now();
  const { code, stdout, stderr } = await working.signal('SIGINT');
  assert.deepEqual(
    { code, left: servers.filter(isAlive), inTime: performance.now() - began < STOPS_WITHIN_MS },
    { code: 0, left: [], inTime: true },
    stderr,
  );
  assert.equal(
    settled(stdout, home),
    `${HEAD}\n${mainJob(6, added(6))}\nWorking. Ctrl-C stops the worker and what was started here.\n`,
  );
});
