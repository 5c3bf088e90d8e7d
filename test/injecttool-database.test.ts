import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Database, openDatabase } from '../injecttool/database/index.ts';
import { processIdentity } from '../injecttool/database/process-identity.ts';
import { clearSessions } from '../injecttool/maintenance/clear-sessions.ts';
import { eachDatabase } from './fixtures/injecttool-each-database.ts';
import { recordLog } from './fixtures/injecttool-world.ts';

const holder = fileURLToPath(new URL('./fixtures/injecttool-hold-database.ts', import.meta.url));

let root: string;
let embedded: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'injecttool-database-'));
  embedded = join(root, 'embedded');
});
after(() => rm(root, { recursive: true, force: true }));

/** A process that opens the embedded database and holds it until its input ends; `said` is its first line. */
async function holdElsewhere(folder: string) {
  const child = spawn(
    process.execPath,
    ['--conditions=sedano-source', '--import=tsx', holder, folder],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.endsWith('\n')) break;
  }
  const end = async (signal?: NodeJS.Signals) => {
    if (signal) child.kill(signal);
    else child.stdin.end();
    await exited;
  };
  return { pid: child.pid, said: said.trim(), end };
}

const lockFiles = async (folder: string) =>
  (await readdir(folder)).filter((name) => name.startsWith('lock.'));

const openIn = (embeddedFolder: string) => openDatabase({ embeddedFolder });

test('the embedded database is made once, with rows whose dates are relative to now', async () => {
  // what a first start that was killed has left
  await mkdir(join(embedded, 'data.unfinished', 'base'), { recursive: true });
  const first = await openIn(embedded);
  const submissions = await first.query(
    `SELECT title, status, (now()::date - updated_at::date) AS days_ago FROM uid_submission
      ORDER BY id`,
  );
  assert.deepEqual(submissions, [
    { title: 'Bianca Modenese 2024', status: 6, days_ago: 40 },
    { title: 'Camosciata 2025', status: 4, days_ago: 3 },
    { title: 'Valdostana 2026', status: 5, days_ago: 1 },
  ]);
  assert.deepEqual(
    await first.query(
      `SELECT type, pass_count, error_count, messages FROM validation_validationsummary
        WHERE submission_id = 2 ORDER BY type`,
    ),
    [
      { type: 'animal', pass_count: 1, error_count: 0, messages: [] },
      {
        type: 'sample',
        pass_count: 0,
        error_count: 1,
        messages: [
          {
            message: 'Taxonomy: taxon 9919 is not the one of the animal',
            count: 1,
            ids: [2],
            offending_column: '',
          },
        ],
      },
    ],
  );
  await first.query('DELETE FROM django_session');
  await first.close();
  await first.close();
  assert.deepEqual(await readdir(embedded), ['data']);

  const second = await openIn(embedded);
  assert.deepEqual(await second.query('SELECT count(*) FROM django_session'), [{ count: 0 }]);
  assert.deepEqual(await second.query('SELECT count(*) FROM uid_submission'), [{ count: 3 }]);
  await second.close();
});

test('a second process is told which one has the embedded database open', async () => {
  const database = await openIn(embedded);
  const message = (pid: number | undefined) =>
    `the embedded database ${embedded} is open in process ${pid}: stop it, or set DATABASE_URL`;
  const second = await holdElsewhere(embedded);
  assert.equal(second.said, message(process.pid));
  await second.end();
  await assert.rejects(openIn(embedded), {
    name: 'ConfigError',
    message: message(process.pid),
  });
  assert.deepEqual(await database.query('SELECT count(*) FROM uid_submission'), [{ count: 3 }]);
  await database.close();

  const third = await holdElsewhere(embedded);
  assert.equal(third.said, 'open');
  await assert.rejects(openIn(embedded), { name: 'ConfigError', message: message(third.pid) });
  await third.end();
  const last = await openIn(embedded);
  await last.close();
});

test('the lock of a process that was killed is taken over', async () => {
  const killed = await holdElsewhere(embedded);
  assert.equal(killed.said, 'open');
  await killed.end('SIGKILL');
  assert.equal((await lockFiles(embedded)).length, 1);
  const database = await openIn(embedded);
  assert.deepEqual(await lockFiles(embedded), [
    `lock.${process.pid}.${await processIdentity(process.pid)}`,
  ]);
  await database.close();
});

test('the lock of a process whose id is another one by now is taken over', async () => {
  // the parent of this process lives, but did not begin at the boot that the lock names
  await writeFile(join(embedded, `lock.${process.ppid}.0badb007-1`), '');
  const database = await openIn(embedded);
  await database.close();
  assert.deepEqual(await lockFiles(embedded), []);
});

test('asking the embedded database from inside its transaction is an error, not a hang', async () => {
  const database = await openIn(embedded);
  await assert.rejects(
    database.transaction(() => database.query('SELECT 1')),
    {
      name: 'SedanoError',
      message: 'inside a transaction only the transaction itself may be asked',
    },
  );
  assert.deepEqual(await database.query('SELECT 1 AS one'), [{ one: 1 }]);
  await database.close();
});

test('a server that cannot be reached is named without the account', async () => {
  const database = await openDatabase({
    databaseUrl: 'postgres://image:secret@127.0.0.1:1/image',
    embeddedFolder: embedded,
  });
  const error = {
    message: "PostgreSQL at 127.0.0.1:1, database 'image': cannot be reached (ECONNREFUSED)",
    hint: 'Check DATABASE_URL, and that the server runs.',
  };
  await assert.rejects(database.query('SELECT 1'), error);
  await assert.rejects(
    database.transaction(async () => {}),
    error,
  );
  await database.close();
});

const { DATABASE_URL } = process.env;
const onServer = DATABASE_URL ? {} : { skip: 'DATABASE_URL is not set' };

test('a server that lets nobody in is named without the account', onServer, async () => {
  const url = new URL(DATABASE_URL ?? '');
  url.pathname = '/nowhere';
  const database = await openDatabase({ databaseUrl: url.href, embeddedFolder: embedded });
  await assert.rejects(database.query('SELECT 1'), {
    message: `PostgreSQL at ${url.host}, database 'nowhere': database "nowhere" does not exist`,
  });
  await database.close();
});

test('a DATABASE_URL that is none is refused without being shown', async () => {
  for (const databaseUrl of ['mysql://me:hunter2@host/db', 'postgres://me:hunter2@host:port/db']) {
    await assert.rejects(openDatabase({ databaseUrl, embeddedFolder: '' }), {
      name: 'ConfigError',
      message: 'DATABASE_URL: expected postgres://user:password@host:5432/name',
    });
  }
});

eachDatabase((open) => {
  let database: Database;
  before(async () => {
    database = await open();
  });
  after(async () => {
    await database.close();
  });

  test('queries hand back the types that are promised', async () => {
    const at = new Date('2026-03-02T10:00:00.123Z');
    const rows = await database.query(
      `SELECT 7::smallint AS small, 9007199254740991::bigint AS big, $1::timestamptz AS at,
              $2::jsonb AS object, $3::jsonb[] AS objects, $4::text[] AS texts,
              '2026-03-02'::date AS day, '2026-03-02 10:00'::timestamp AS local, NULL AS nothing`,
      [at, JSON.stringify({ a: [1] }), [JSON.stringify({ 'a"{},\\': 'b\n' })], ['a "b" {c}', '']],
    );
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        {
          small: 7,
          big: 9_007_199_254_740_991,
          at,
          object: { a: [1] },
          objects: [{ 'a"{},\\': 'b\n' }],
          texts: ['a "b" {c}', ''],
          day: '2026-03-02',
          local: '2026-03-02 10:00:00',
          nothing: null,
        },
      ],
    );
    await assert.rejects(database.query('SELECT 9007199254740993::bigint AS big'), {
      message: 'expected a bigint that a number can hold, got 9007199254740993',
    });
  });

  test('a transaction commits what resolves and rolls back what rejects', async () => {
    const insert = `INSERT INTO django_content_type (app_label, model) VALUES ('uid', $1) RETURNING id`;
    const models = async () =>
      (await database.query<{ model: string }>('SELECT model FROM django_content_type')).map(
        ({ model }) => model,
      );
    const result = await database.transaction(async (tx) => {
      await tx.query(insert, ['animal']);
      return 'committed';
    });
    assert.equal(result, 'committed');
    await assert.rejects(
      database.transaction(async (tx) => {
        await tx.query(insert, ['sample']);
        throw new Error('changed my mind');
      }),
      { message: 'changed my mind' },
    );
    await assert.rejects(
      database.transaction(async (tx) => {
        await tx.query(insert, ['sample']);
        await tx.query(insert, ['animal']);
      }),
      /duplicate key/,
    );
    // Django's foreign keys are checked at the commit
    await assert.rejects(
      database.transaction((tx) =>
        tx.query(`INSERT INTO registration_registrationprofile (user_id, activation_key, activated)
                  VALUES (99, 'key', false)`),
      ),
      /foreign key constraint/,
    );
    assert.deepEqual(await models(), ['animal']);
    await Promise.all(
      ['a', 'b', 'c'].map((model) => database.transaction((tx) => tx.query(insert, [model]))),
    );
    assert.equal((await models()).length, 4);
  });

  test('expired sessions are deleted in batches', async () => {
    const now = new Date('2026-03-02T10:00:00Z');
    await database.query(
      `INSERT INTO django_session (session_key, session_data, expire_date)
        SELECT 'key' || n, '', $1::timestamptz + (n - 6) * interval '1 day' FROM generate_series(1, 9) n`,
      [now],
    );
    const lines: string[] = [];
    const options = { database, now: () => now, log: recordLog(lines), batchSize: 2 };
    assert.equal(await clearSessions(options), 5);
    assert.deepEqual(
      await database.query('SELECT session_key FROM django_session ORDER BY session_key'),
      ['key6', 'key7', 'key8', 'key9'].map((session_key) => ({ session_key })),
    );
    assert.deepEqual(lines, [
      'debug 2 expired sessions deleted so far',
      'debug 4 expired sessions deleted so far',
      'debug 5 expired sessions deleted so far',
      'info 5 expired sessions deleted',
    ]);
    assert.equal(await clearSessions(options), 0);
    await assert.rejects(clearSessions({ ...options, signal: AbortSignal.abort() }), {
      name: 'AbortError',
    });
  });
});
