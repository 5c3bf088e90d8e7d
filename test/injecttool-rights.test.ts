// The rights on the database that injecttool/README.md asks for are enough for all tasks, and none is for nothing.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { addPendingSubmission } from '../injecttool/database/demo.ts';
import type { Database } from '../injecttool/database/index.ts';
import { openPostgres } from '../injecttool/database/postgres.ts';
import { cleanBiosampleSubmissions } from '../injecttool/maintenance/clean-biosample-submissions.ts';
import { cleanRegistrations } from '../injecttool/maintenance/clean-registrations.ts';
import { clearSessions } from '../injecttool/maintenance/clear-sessions.ts';
import { createPrivateSchema, type PrivateSchema } from './fixtures/injecttool-private-schema.ts';
import { openWorld, recordLog, type World } from './fixtures/injecttool-world.ts';

const README = new URL('../injecttool/README.md', import.meta.url);
const FETCHES = 8;

/** Tables of the original's that the clean-ups delete from where they are. */
const CASCADED = [
  'CREATE TABLE uid_person (user_id integer NOT NULL REFERENCES auth_user (id))',
  'CREATE TABLE biosample_submissiondata (submission_id integer NOT NULL REFERENCES biosample_submission (id))',
];

/** One right on one thing, `SELECT ON uid_animal`. */
async function readRights(): Promise<string[]> {
  const grants = (await readFile(README, 'utf8')).matchAll(
    /^GRANT (.+) ON (SEQUENCE )?(.+) TO injecttool_worker;$/gm,
  );
  return [...grants].flatMap(([, rights = '', sequence = '', things = '']) =>
    rights
      .split(', ')
      .flatMap((right) => things.split(', ').map((thing) => `${right} ON ${sequence}${thing}`)),
  );
}

const { DATABASE_URL } = process.env;
if (DATABASE_URL) defineTests(DATABASE_URL);
else test('the rights on the database', { skip: 'DATABASE_URL is not set' });

function defineTests(url: string): void {
  const role = `injecttool_test_${randomUUID().slice(0, 8)}`;
  let schema: PrivateSchema;
  let world: World;
  let asRole: Database;
  let rights: string[];

  before(async () => {
    schema = await createPrivateSchema(url);
    world = await openWorld(async () => openPostgres(schema.url));
    const [{ name } = { name: '' }] = await world.database.query<{ name: string }>(
      'SELECT current_schema() AS name',
    );
    for (const table of CASCADED) await world.database.query(table);
    await world.database.query(`CREATE ROLE ${role}`);
    await world.database.query(`GRANT USAGE ON SCHEMA ${name} TO ${role}`);
    rights = await readRights();
    assert.equal(rights.length, 28);
    for (const right of rights) await world.database.query(`GRANT ${right} TO ${role}`);
    const roleUrl = new URL(schema.url);
    roleUrl.searchParams.set('options', `-c search_path=${name} -c role=${role}`);
    asRole = openPostgres(roleUrl.href);
  });
  after(async () => {
    await asRole.close();
    await world.database.query(`DROP OWNED BY ${role}`);
    await world.database.query(`DROP ROLE ${role}`);
    await world.close();
    await schema.drop();
  });

  async function fill(): Promise<void> {
    await world.reset();
    const options = { now: () => world.now };
    const { submissionId } = await addPendingSubmission(world.database, world.server, options);
    await addPendingSubmission(world.database, world.server, { ...options, withErrors: true });
    for (const statement of [
      `TRUNCATE django_session, registration_registrationprofile`,
      `INSERT INTO django_session VALUES ('old', '', '2020-01-01')`,
      `INSERT INTO auth_user (id, username, email, date_joined, is_active)
        VALUES (99, 'kweber', 'kweber@genebank.example', '2020-01-01', false)`,
      `INSERT INTO registration_registrationprofile (user_id, activation_key, activated)
        VALUES (99, 'key', false)`,
      `INSERT INTO uid_person VALUES (99)`,
      `INSERT INTO biosample_submission
          (id, uid_submission_id, status, samples_count, samples_status, created_at, updated_at)
        VALUES (99, ${submissionId}, 6, 0, '{}', '2020-01-01', '2020-01-01')`,
      `INSERT INTO biosample_submissiondata VALUES (99)`,
    ]) {
      await world.database.query(statement);
    }
  }

  /** Does all that the five tasks do; resolves to what failed. */
  async function runTasks(): Promise<string[]> {
    const failures: string[] = [];
    const attempt = async (work: () => Promise<unknown>) => {
      try {
        await work();
      } catch (error) {
        failures.push(String(error));
      }
    };
    const options = { database: asRole, now: () => world.now, log: recordLog([]) };
    await attempt(() => clearSessions(options));
    await attempt(() => cleanRegistrations(options));
    await attempt(() => cleanBiosampleSubmissions(options));
    for (let fetch = 0; fetch < FETCHES && failures.length === 0; fetch += 1) {
      await attempt(() => world.fetch(asRole));
      for (const id of new Set(world.started)) await attempt(() => world.complete(id, asRole));
    }
    return failures;
  }

  test('the rights that the README asks for are enough', async () => {
    await fill();
    assert.deepEqual(await runTasks(), []);
    const left = await world.database.query(
      `SELECT (SELECT count(*) FROM django_session) AS sessions,
              (SELECT count(*) FROM uid_person) AS people,
              (SELECT count(*) FROM biosample_submissiondata) AS sent,
              (SELECT array_agg(status ORDER BY id) FROM uid_submission) AS statuses`,
    );
    assert.deepEqual(
      left.map((row) => ({ ...row })),
      [{ sessions: 0, people: 0, sent: 0, statuses: [6, 4] }],
    );
  });

  test('without any of them a task fails', async () => {
    for (const right of rights) {
      await world.database.query(`REVOKE ${right} FROM ${role}`);
      await fill();
      assert.match((await runTasks()).join('\n'), /permission denied/, right);
      await world.database.query(`GRANT ${right} TO ${role}`);
    }
  });
}
