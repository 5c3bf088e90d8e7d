import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Database, Queries } from '../injecttool/database/index.ts';
import {
  insertBiosampleSubmission,
  insertUidSubmission,
} from '../injecttool/database/gene-bank-rows.ts';
import { STATUS, type Status } from '../injecttool/database/statuses.ts';
import { cleanBiosampleSubmissions } from '../injecttool/maintenance/clean-biosample-submissions.ts';
import { cleanRegistrations } from '../injecttool/maintenance/clean-registrations.ts';
import { pollUntil } from '../src/embedded/poll.ts';
import { eachDatabase } from './fixtures/injecttool-each-database.ts';
import { recordLog } from './fixtures/injecttool-world.ts';

const NOW = new Date('2026-03-12T10:00:00Z');
const DAY_MS = 24 * 60 * 60 * 1000;
const SEEN_WITHIN_MS = 10_000;

const daysAgo = (days: number) => new Date(NOW.getTime() - days * DAY_MS);

/** Tables of the Django database that the embedded one lacks: two whose rows belong to others, one of somebody else. */
const OTHER_TABLES = [
  `CREATE TABLE uid_person (
    id serial PRIMARY KEY,
    user_id integer NOT NULL UNIQUE REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED
  )`,
  `CREATE TABLE biosample_submissiondata (
    id serial PRIMARY KEY,
    submission_id integer NOT NULL REFERENCES biosample_submission (id) DEFERRABLE INITIALLY DEFERRED
  )`,
  `CREATE TABLE elsewhere_note (
    id serial PRIMARY KEY,
    user_id integer CONSTRAINT elsewhere_note_user_id_fk REFERENCES auth_user (id)
      DEFERRABLE INITIALLY DEFERRED,
    submission_id integer
      CONSTRAINT elsewhere_note_submission_id_fk REFERENCES biosample_submission (id)
      DEFERRABLE INITIALLY DEFERRED
  )`,
];

interface NewUser {
  username: string;
  joined: Date;
  active?: boolean;
  /** Undefined is a user without a registration profile. */
  activated?: boolean | undefined;
}

eachDatabase((open, name) => {
  let database: Database;
  let lines: string[] = [];
  before(async () => {
    database = await open();
    for (const table of OTHER_TABLES) await database.query(table);
  });
  after(() => database.close());
  beforeEach(async () => {
    lines = [];
    await database.query(
      'TRUNCATE auth_user, uid_submission, biosample_submission RESTART IDENTITY CASCADE',
    );
  });

  const options = (on: Database = database) => ({
    database: on,
    now: () => NOW,
    log: recordLog(lines),
  });

  async function addUser({ username, joined, active = false, activated }: NewUser) {
    await database.query(
      'INSERT INTO auth_user (username, email, date_joined, is_active) VALUES ($1, $2, $3, $4)',
      [username, `${username}@genebank.example`, joined, active],
    );
    if (activated === undefined) return;
    await database.query(
      `INSERT INTO registration_registrationprofile (user_id, activation_key, activated)
        SELECT id, 'key', $2 FROM auth_user WHERE username = $1`,
      [username, activated],
    );
  }

  async function addExpiredUsers(count: number) {
    for (let n = 1; n <= count; n += 1) {
      await addUser({ username: `expired${n}`, joined: daysAgo(10 + n), activated: false });
    }
  }

  async function addUidSubmission(): Promise<number> {
    return await insertUidSubmission(database, {
      title: 'Bianca Modenese',
      description: '',
      ownerId: 1,
      status: STATUS.completed,
      message: null,
      at: daysAgo(60),
    });
  }

  async function addBiosampleSubmission(uidSubmissionId: number, status: Status, at: Date) {
    return await insertBiosampleSubmission(database, {
      uidSubmissionId,
      name: `${status} of ${at.toISOString()}`,
      status,
      message: null,
      samplesCount: 0,
      samplesStatus: {},
      at,
    });
  }

  async function addOldSubmissions(count: number) {
    await addUser({ username: 'mrossi', joined: daysAgo(90), active: true, activated: true });
    const uidSubmissionId = await addUidSubmission();
    for (let n = 1; n <= count; n += 1) {
      await addBiosampleSubmission(uidSubmissionId, STATUS.completed, daysAgo(30 + n));
    }
  }

  async function idsIn(table: string) {
    const rows = await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
    return rows.map(({ id }) => id);
  }

  /** The database, with `work` done once just before its transaction number `number`. */
  function interrupted(number: number, work: () => Promise<unknown>): Database {
    let transactions = 0;
    return {
      ...database,
      transaction: async <Result>(inside: (tx: Queries) => Promise<Result>) => {
        transactions += 1;
        if (transactions === number) await work();
        return await database.transaction(inside);
      },
    };
  }

  test('registrations that expired are deleted with their profiles, and all others stay', async () => {
    const almost = new Date(daysAgo(7).getTime() + 1);
    await addUser({ username: 'expired', joined: daysAgo(40), activated: false });
    await addUser({ username: 'expires now', joined: daysAgo(7), activated: false });
    await addUser({ username: 'has a moment left', joined: almost, activated: false });
    await addUser({ username: 'works', joined: daysAgo(40), active: true, activated: true });
    await addUser({
      username: 'let in by hand',
      joined: daysAgo(40),
      active: true,
      activated: false,
    });
    await addUser({ username: 'was deactivated', joined: daysAgo(40), activated: true });
    await addUser({ username: 'has no profile', joined: daysAgo(40) });
    assert.equal(await cleanRegistrations(options()), 2);
    assert.deepEqual(
      await database.query(
        `SELECT u.username, p.activated FROM auth_user u
          FULL JOIN registration_registrationprofile p ON p.user_id = u.id ORDER BY u.id`,
      ),
      [
        { username: 'has a moment left', activated: false },
        { username: 'works', activated: true },
        { username: 'let in by hand', activated: false },
        { username: 'was deactivated', activated: true },
        { username: 'has no profile', activated: null },
      ],
    );
    assert.equal(await cleanRegistrations(options()), 0);
    assert.deepEqual(lines, [
      'info 2 expired registrations deleted',
      'info 0 expired registrations deleted',
    ]);
  });

  test('a user whom other tables refer to is kept and named by id, and the others go', async () => {
    await addExpiredUsers(4);
    await database.query('INSERT INTO uid_person (user_id) VALUES (3)');
    await database.query('INSERT INTO elsewhere_note (user_id) VALUES (3)');
    await addUidSubmission();
    await assert.rejects(cleanRegistrations(options()), {
      name: 'RowsKeptError',
      message: [
        '2 kept while deleting expired registrations:',
        'user 1: uid_submission still refers to it (uid_submission_owner_id_fkey)',
        'user 3: elsewhere_note still refers to it (elsewhere_note_user_id_fk)',
      ].join('\n'),
      hint: 'Once nothing stands in the way, the next run deletes them.',
    });
    assert.deepEqual(await idsIn('auth_user'), [1, 3]);
    // what is kept is kept whole
    assert.deepEqual(await idsIn('registration_registrationprofile'), [1, 3]);
    assert.deepEqual(await idsIn('uid_person'), [1]);
    assert.deepEqual(lines, [
      'error user 1 is kept: uid_submission still refers to it (uid_submission_owner_id_fkey)',
      'error user 3 is kept: elsewhere_note still refers to it (elsewhere_note_user_id_fk)',
      'info 2 expired registrations deleted',
    ]);

    await database.query('TRUNCATE elsewhere_note, uid_submission CASCADE');
    assert.equal(await cleanRegistrations(options()), 2);
    assert.deepEqual(await idsIn('auth_user'), []);
    // Django deletes a user's person with the user
    assert.deepEqual(await idsIn('uid_person'), []);
  });

  test('a user who was activated since the search stays', async () => {
    await addExpiredUsers(3);
    const activate = () =>
      database.transaction(async (tx) => {
        await tx.query('UPDATE auth_user SET is_active = true WHERE id = 2');
        await tx.query(
          'UPDATE registration_registrationprofile SET activated = true WHERE user_id = 2',
        );
      });
    assert.equal(await cleanRegistrations(options(interrupted(2, activate))), 2);
    assert.deepEqual(await idsIn('auth_user'), [2]);
    assert.deepEqual(await idsIn('registration_registrationprofile'), [2]);
  });

  test('the clean-up stops between two users, and what it has deleted stays deleted', async () => {
    await addExpiredUsers(3);
    const controller = new AbortController();
    const stopping = interrupted(2, async () => controller.abort());
    await assert.rejects(cleanRegistrations({ ...options(stopping), signal: controller.signal }), {
      name: 'AbortError',
    });
    assert.deepEqual(await idsIn('auth_user'), [3]);
    assert.deepEqual(lines, ['info 2 expired registrations deleted']);
  });

  test('an error that is not about one user ends the clean-up at once', async () => {
    await addExpiredUsers(3);
    const rename = (from: string, to: string) =>
      database.query(`ALTER TABLE ${from} RENAME TO ${to}`);
    const losing = interrupted(2, () => rename('registration_registrationprofile', 'elsewhere'));
    try {
      await assert.rejects(cleanRegistrations(options(losing)), {
        message: 'relation "registration_registrationprofile" does not exist',
      });
    } finally {
      await rename('elsewhere', 'registration_registrationprofile');
    }
    assert.deepEqual(await idsIn('auth_user'), [2, 3]);
    assert.deepEqual(lines, ['info 1 expired registrations deleted']);
  });

  test('two clean-ups at once delete each user once', async () => {
    await addExpiredUsers(6);
    const deleted = await Promise.all([
      cleanRegistrations(options()),
      cleanRegistrations(options()),
    ]);
    assert.equal(deleted[0] + deleted[1], 6);
    assert.deepEqual(await idsIn('auth_user'), []);
  });

  test('biosample submissions completed long ago are deleted, and all others stay', async () => {
    await addOldSubmissions(2);
    const uidSubmissionId = await addUidSubmission();
    await addBiosampleSubmission(uidSubmissionId, STATUS.completed, daysAgo(30));
    await addBiosampleSubmission(uidSubmissionId, STATUS.completed, daysAgo(1));
    for (const status of Object.values(STATUS)) {
      if (status === STATUS.completed) continue;
      await addBiosampleSubmission(uidSubmissionId, status, daysAgo(60));
    }
    assert.equal(await cleanBiosampleSubmissions(options()), 2);
    assert.deepEqual(
      await database.query('SELECT id, status FROM biosample_submission ORDER BY id'),
      [6, 6, 0, 1, 2, 3, 4, 5].map((status, index) => ({ id: index + 3, status })),
    );
    assert.deepEqual(await idsIn('uid_submission'), [1, 2]);
    assert.deepEqual(lines, ['info 2 old completed biosample submissions deleted']);
  });

  test('a biosample submission that other tables refer to is kept and named, and the others go', async () => {
    await addOldSubmissions(3);
    await database.query('INSERT INTO biosample_submissiondata (submission_id) VALUES (1), (2)');
    await database.query('INSERT INTO elsewhere_note (submission_id) VALUES (2)');
    await assert.rejects(cleanBiosampleSubmissions(options()), {
      name: 'RowsKeptError',
      message: [
        '1 kept while deleting old completed biosample submissions:',
        'biosample submission 2: elsewhere_note still refers to it (elsewhere_note_submission_id_fk)',
      ].join('\n'),
    });
    assert.deepEqual(await idsIn('biosample_submission'), [2]);
    // what was sent under its name goes with a submission, and stays with it
    assert.deepEqual(await idsIn('biosample_submissiondata'), [2]);
  });

  test('a biosample submission that was updated since the search stays', async () => {
    await addOldSubmissions(3);
    const update = () =>
      database.query('UPDATE biosample_submission SET updated_at = $1 WHERE id = 2', [NOW]);
    assert.equal(await cleanBiosampleSubmissions(options(interrupted(2, update))), 2);
    assert.deepEqual(await idsIn('biosample_submission'), [2]);
  });

  // PGlite has one session: there nothing can wait for another transaction
  if (name !== 'PostgreSQL') return;

  /** Resolves when another session waits for the transaction. */
  async function seesWaiting(tx: Queries) {
    const waiting = await pollUntil(
      async () => {
        const sessions = await tx.query(
          'SELECT pid FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))',
        );
        return sessions.length > 0 ? true : undefined;
      },
      { timeoutMs: SEEN_WITHIN_MS, everyMs: 20 },
    );
    assert.ok(waiting, 'nobody waits for the transaction');
  }

  test('a user who is being activated is waited for, and stays', async () => {
    await addExpiredUsers(3);
    const cleaning = await database.transaction(async (tx) => {
      await tx.query('UPDATE auth_user SET is_active = true WHERE id = 2');
      const deleted = cleanRegistrations(options());
      await seesWaiting(tx);
      // a clean-up that had the profile locked already would be in a deadlock with this
      await tx.query(
        'UPDATE registration_registrationprofile SET activated = true WHERE user_id = 2',
      );
      return { deleted };
    });
    assert.equal(await cleaning.deleted, 2);
    assert.deepEqual(await idsIn('auth_user'), [2]);
    assert.deepEqual(await idsIn('registration_registrationprofile'), [2]);
  });

  test('an activation that waits for the clean-up finds nobody to activate', async () => {
    await addExpiredUsers(1);
    const activated: Promise<object[]>[] = [];
    const watched: Database = {
      ...database,
      transaction: (work) =>
        database.transaction(async (tx) => {
          const result = await work(tx);
          activated.push(
            database.query('UPDATE auth_user SET is_active = true WHERE id = 1 RETURNING id'),
          );
          await seesWaiting(tx);
          return result;
        }),
    };
    assert.equal(await cleanRegistrations(options(watched)), 1);
    assert.deepEqual(await Promise.all(activated), [[]]);
  });

  test('a biosample submission that is being updated is waited for, and stays', async () => {
    await addOldSubmissions(3);
    const cleaning = await database.transaction(async (tx) => {
      await tx.query('UPDATE biosample_submission SET updated_at = $1 WHERE id = 2', [NOW]);
      const deleted = cleanBiosampleSubmissions(options());
      await seesWaiting(tx);
      return { deleted };
    });
    assert.equal(await cleaning.deleted, 2);
    assert.deepEqual(await idsIn('biosample_submission'), [2]);
  });
});
