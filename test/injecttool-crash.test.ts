import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type DatabaseSettings, openDatabase } from '../injecttool/database/index.ts';
import { startUsiServer, type StoredSubmission, type UsiServer } from '../injecttool/usi/server.ts';
import type { Round, RunEnd, RunReport, Tables, Turn } from './fixtures/injecttool-crash-run.ts';
import { CRASH_NOW, fillCrashWorld } from './fixtures/injecttool-crash-world.ts';
import { createPrivateSchema, type PrivateSchema } from './fixtures/injecttool-private-schema.ts';
import { ACCOUNT } from './fixtures/injecttool-world.ts';

const PROGRAM = fileURLToPath(new URL('fixtures/injecttool-crash-run.ts', import.meta.url));
const PROCESSES = 2;

/** A run that nothing stops. The state after a write that is not the last is that before the next. */
const STEPS = [
  // completed: its accessions
  'before UPDATE uid_animal',
  'before UPDATE uid_sample',
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  // wrong: its counts, then its errors
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  'before UPDATE uid_animal',
  'before INSERT validation_validationresult',
  'before UPDATE validation_validationsummary',
  'before UPDATE uid_sample',
  'before INSERT validation_validationresult',
  'before UPDATE validation_validationsummary',
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  // valid: its counts, then USI takes it
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  'before PUT valid-0',
  'after PUT valid-0',
  // pending: its counts
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  // divided: the accessions of one part, the error of the other
  'before UPDATE uid_animal',
  'before UPDATE uid_sample',
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  'before UPDATE biosample_submission',
  'before COMMIT',
  'after COMMIT',
  // the follow-ups: completed, wrong, divided
  'before UPDATE uid_submission',
  'before COMMIT',
  'after COMMIT',
  'before UPDATE uid_submission',
  'before UPDATE validation_validationsummary',
  'before UPDATE validation_validationsummary',
  'before COMMIT',
  'after COMMIT',
  'before mail Error in biosample submission 3',
  'after mail Error in biosample submission 3',
  'before UPDATE uid_submission',
  'before UPDATE validation_validationsummary',
  'before UPDATE validation_validationsummary',
  'before COMMIT',
  'after COMMIT',
  'before mail Error in biosample submission 8',
  'after mail Error in biosample submission 8',
];

/** All that a round has come to. */
interface Remains extends RunEnd {
  atUsi: StoredSubmission[] | undefined;
  mails: string[];
}

/** By the folder of their round. */
const servers = new Map<string, UsiServer>();
let folder: string;
let made = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'injecttool-crash-'));
});
after(async () => {
  for (const server of servers.values()) await server.close();
  await rm(folder, { recursive: true, force: true });
});

const newFolder = () => join(folder, String((made += 1)));

test('PGlite: killed at any write, a run and a second one leave what one clean run does', async () => {
  const template = newFolder();
  const atUsi = await fill({ embeddedFolder: template });
  await crashEverywhere(
    atUsi,
    async () => {
      // a copy, because the first start of an embedded database takes seconds
      const embeddedFolder = newFolder();
      cpSync(template, embeddedFolder, { recursive: true });
      return { embeddedFolder };
    },
    5,
  );
});

const { DATABASE_URL } = process.env;
// test/run.ts says when it is not set
if (DATABASE_URL) {
  test('PostgreSQL: killed at any write, a run and a second one leave what one clean run does', async () => {
    const schemas: PrivateSchema[] = [];
    const addSchema = async () => {
      const schema = await createPrivateSchema(DATABASE_URL);
      schemas.push(schema);
      return { databaseUrl: schema.url, embeddedFolder: '' };
    };
    try {
      await crashEverywhere(await fill(await addSchema()), addSchema, 13);
    } finally {
      for (const schema of schemas) await schema.drop();
    }
  });
}

async function fill(settings: DatabaseSettings): Promise<StoredSubmission[]> {
  const database = await openDatabase(settings);
  try {
    return await fillCrashWorld(database);
  } finally {
    await database.close();
  }
}

async function crashEverywhere(
  atUsi: StoredSubmission[],
  addDatabase: () => Promise<DatabaseSettings>,
  databasesPerProcess: number,
): Promise<void> {
  const clean = await runClean(await addDatabase(), atUsi);
  const points = STEPS.map((_step, index) => index + 1);
  const found: Tables[] = [];
  const crashers = Array.from({ length: PROCESSES }, async () => {
    try {
      const databases: DatabaseSettings[] = [];
      for (let n = 1; n <= databasesPerProcess; n += 1) databases.push(await addDatabase());
      await crashAt(points, databases, { atUsi, clean, found });
    } catch (error) {
      points.length = 0; // one difference is enough: the other is to end as well
      throw error;
    }
  });
  for (const outcome of await Promise.allSettled(crashers)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
  expectCommits(found);
}

/** One run without a crash; it must be worth comparing with. */
async function runClean(database: DatabaseSettings, atUsi: StoredSubmission[]): Promise<Remains> {
  const round = await openRound(atUsi);
  const { reports, ended } = await runProgram([{ database, next: round }]);
  assert.equal(ended, 0);
  assert.deepEqual(reports.at(0)?.steps, STEPS);
  const remains = await closeRound(round, reports.at(0));
  const columns = (table: string, ...names: string[]) =>
    remains.tables[table]?.map((row) => names.map((name) => Reflect.get(Object(row), name)));
  assert.deepEqual(columns('uid_submission', 'title', 'status'), [
    ['completed', 6],
    ['lacking', 2],
    ['wrong', 4],
    ['valid', 2],
    ['pending', 2],
    ['processing', 2],
    ['unknown', 2],
    ['divided', 3],
  ]);
  assert.deepEqual(columns('biosample_submission', 'usi_submission_name', 'status'), [
    ['completed-0', 6],
    ['lacking-0', 2],
    ['wrong-0', 4],
    ['valid-0', 2],
    ['pending-0', 2],
    ['processing-0', 2],
    ['unknown-0', 2],
    ['divided-0', 6],
    ['divided-1', 3],
  ]);
  assert.equal(remains.atUsi?.find(({ name }) => name === 'valid-0')?.status, 'Submitted');
  assert.equal(remains.mails.length, 2);
  assert.equal(
    remains.failure,
    `1 failed while fetching the USI status:\nbiosample submission 'unknown-0' of UID submission 7: USI knows no submission 'unknown-0'`,
  );
  return remains;
}

/** A crash leaves what was committed, as a whole: only past a COMMIT it finds other rows than a step earlier. */
function expectCommits(found: readonly Tables[]): void {
  for (const [index, step] of STEPS.entries()) {
    const what = `found after a crash at step ${index + 1}, ${step}`;
    assert.ok(found[index], what);
    if (index === 0) continue;
    if (step === 'after COMMIT') assert.notDeepEqual(found[index], found[index - 1], what);
    else assert.deepEqual(found[index], found[index - 1], what);
  }
}

/** Kills a run at each of `points`, which are taken from the list, and compares what a second run makes of it. */
async function crashAt(
  points: number[],
  databases: DatabaseSettings[],
  { atUsi, clean, found }: { atUsi: StoredSubmission[]; clean: Remains; found: Tables[] },
): Promise<void> {
  let killed: Round[] = [];
  do {
    const next: Round[] = [];
    for (const stopAt of points.splice(0, databases.length)) {
      next.push(await openRound(atUsi, stopAt));
    }
    const turns = databases.map((database, index) => {
      return { database, killed: killed[index], next: next[index] };
    });
    const { reports, ended } = await runProgram(turns.filter(({ killed, next }) => killed ?? next));
    assert.equal(ended, next.length > 0 ? 'SIGKILL' : 0);
    const reportOf = ({ folder }: Round) => reports.find((report) => report.folder === folder);
    for (const round of killed) {
      const index = Number(round.stopAt) - 1;
      const report = reportOf(round);
      if (report?.found) found[index] = report.found;
      const step = `killed at step ${index + 1}, ${STEPS[index]}`;
      assert.deepEqual(await closeRound(round, report), clean, step);
    }
    for (const round of next) {
      const { steps, end } = reportOf(round) ?? {};
      assert.deepEqual({ steps, end }, { steps: STEPS.slice(0, round.stopAt), end: undefined });
    }
    killed = next;
  } while (killed.length > 0);
}

async function openRound(submissions: StoredSubmission[], stopAt?: number): Promise<Round> {
  const folder = newFolder();
  await mkdir(folder);
  const file = join(folder, 'usi.json');
  await writeFile(file, JSON.stringify({ nextAccession: 1, submissions }));
  const server = await startUsiServer({
    file,
    account: ACCOUNT,
    // what the second run sees must be what the first one left
    moves: false,
    now: () => CRASH_NOW,
  });
  servers.set(folder, server);
  return { folder, usiUrl: server.url, stopAt };
}

async function closeRound({ folder }: Round, report: RunReport | undefined): Promise<Remains> {
  const atUsi = servers.get(folder)?.submissions();
  await servers.get(folder)?.close();
  assert.ok(report?.end, 'the run did not come to its end');
  const mails = (await readFile(join(folder, 'mails'), 'utf8')).trimEnd().split('\n');
  // a mail may go out twice, never not at all
  return { ...report.end, atUsi, mails: [...new Set(mails)].sort() };
}

async function runProgram(turns: Turn[]) {
  // no process lives long enough for PGlite's code to be worth optimizing
  const execArgv = [...process.execArgv, '--liftoff-only'];
  const child = fork(PROGRAM, [JSON.stringify(turns)], { execArgv });
  const reports: RunReport[] = [];
  child.on('message', (report) => reports.push(report as RunReport));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { reports, ended: signal ?? code };
}
