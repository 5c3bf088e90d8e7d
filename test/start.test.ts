import assert from 'node:assert/strict';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadDevFile } from '../src/embedded/dev-file.ts';
import { isAlive } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { createEmptySchema, createPrivateSchema } from './fixtures/injecttool-private-schema.ts';
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
cleanupregistration.delay() and cleanUpTask.delay():
  Registrations cleaned with success
  success
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
  clean_biosample_models: 0 0 * * * in Europe/Rome, next TIME, TIME, TIME
  cleanupregistration: 0 12 * * * in Europe/Rome, next TIME, TIME, TIME
  clearsessions: 0 12 * * * in Europe/Rome, next TIME, TIME, TIME
  fetch_biosample_status: */15 * * * * in Europe/Rome, next TIME, TIME, TIME
`;
}

/** `npm start` with a folder of its own, on the database that DATABASE_URL names or on the embedded one. */
async function startIn(home: string, databaseUrl?: string) {
  const env = {
    ...SILENT,
    DATABASE_URL: databaseUrl,
    USI_MANAGER: undefined,
    USI_MANAGER_PASSWORD: undefined,
    ADMINS: undefined,
    TIME_ZONE: undefined,
    SEDANO_HOME: home,
    PATH: await pathWithTemporal(),
  };
  return {
    start: (...args: string[]) => new Command('injecttool/start.ts', args, { env }),
    createTrial: () => new Command('injecttool/create-trial-database.ts', [], { env }),
  };
}

/** A folder whose servers are ended with the test, should a start have left some. */
async function createHome(t: TestContext) {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'sedano-start-')));
  const recorded = () => {
    const file = loadDevFile(home);
    return [file?.temporal?.process, file?.redis?.process].filter((found) => found !== undefined);
  };
  t.after(async () => {
    await Promise.all(recorded().map((left) => endProcess(left)));
    await rm(home, { recursive: true, force: true });
  });
  return { home, recorded };
}

const added = (submission: number) =>
  `UID submission ${submission} was added: it waits for BioSamples.\n`;

test('npm start does the main job, twice in a row, and keeps working until Ctrl-C', async (t) => {
  const { home, recorded } = await createHome(t);
  const { start } = await startIn(home);

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

const { DATABASE_URL } = process.env;
const onServer = DATABASE_URL ? {} : { skip: 'DATABASE_URL is not set' };

test(
  'npm start does the same on PostgreSQL, in a database that was made for a trial',
  onServer,
  async (t) => {
    const schema = await createEmptySchema(DATABASE_URL ?? '');
    t.after(() => schema.drop());
    const { home } = await createHome(t);
    const { start, createTrial } = await startIn(home, schema.url);

    const without = await start('--once').ended;
    assert.deepEqual(without, {
      code: 1,
      stdout: without.stdout,
      stderr:
        'Error: DATABASE_URL: expected the database of InjectTool, got one without its tables\n' +
        "Hint: The original makes them (manage.py migrate); to try things, make an empty database and run 'npm run trial-database'.\n",
    });

    assert.deepEqual(await createTrial().ended, {
      code: 0,
      stdout: 'The tables are there, with some rows. Now: npm start\n',
      stderr: '',
    });
    await awayFromTheQuarter();
    const { code, stdout, stderr } = await start('--once').ended;
    assert.equal(code, 0, stderr);
    const head = HEAD.replace('embedded, in HOME/injecttool', 'DATABASE_URL');
    assert.equal(settled(stdout, home), `${head}\n${mainJob(4, added(4))}`);

    const again = await createTrial().ended;
    assert.deepEqual(again, {
      code: 1,
      stdout: '',
      stderr:
        'Error: DATABASE_URL: expected an empty database, got one with auth_user\n' +
        'Hint: Make one for the trial: createdb injecttool_trial\n',
    });
  },
);

test(
  'npm start adds nothing to a database in earnest, and asks no USI server of its own',
  onServer,
  async (t) => {
    const schema = await createPrivateSchema(DATABASE_URL ?? '');
    t.after(() => schema.drop());
    const { home } = await createHome(t);
    const { start } = await startIn(home, schema.url);
    const { code, stdout, stderr } = await start('--once').ended;
    assert.equal(code, 0, stderr);
    assert.equal(
      settled(stdout, home),
      `USI        USI_MANAGER is not set: 'Fetch USI status' is left out
Database   DATABASE_URL
Queue      injecttool
Temporal   HOST:PORT
Redis      HOST:PORT
Web UI     http://HOST:PORT

clearsessions.run(), inline in this process:
  Session cleaned with success
cleanupregistration.delay() and cleanUpTask.delay():
  Registrations cleaned with success
  success
The routines:
  clean_biosample_models: 0 0 * * * in Europe/Rome, next TIME, TIME, TIME
  cleanupregistration: 0 12 * * * in Europe/Rome, next TIME, TIME, TIME
  clearsessions: 0 12 * * * in Europe/Rome, next TIME, TIME, TIME
  fetch_biosample_status: */15 * * * * in Europe/Rome, next TIME, TIME, TIME
`,
    );
  },
);
