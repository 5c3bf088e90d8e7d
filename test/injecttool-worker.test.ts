import assert from 'node:assert/strict';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openDatabase } from '../injecttool/database/index.ts';
import { openPostgres } from '../injecttool/database/postgres.ts';
import { createTables } from '../injecttool/database/schema.ts';
import { createEmptySchema, createPrivateSchema } from './fixtures/injecttool-private-schema.ts';
import { sedano } from './helpers/command-line.ts';
import { uniqueName } from './helpers/harness.ts';
import { temporal } from './helpers/temporal-cli.ts';

// the application as it is, with its name and its queue: so in a namespace of its own
const namespace = uniqueName('injecttool');
const { DATABASE_URL } = process.env;
const onServer = DATABASE_URL ? {} : { skip: 'DATABASE_URL is not set' };

let home: string;
before(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'injecttool-worker-')));
  await temporal('operator', 'namespace', 'create', '--namespace', namespace, '--retention', '24h');
});
after(() => rm(home, { recursive: true, force: true }));

/** `sedano …` with the application, on the embedded database where no URL is given. */
function run(args: string[], databaseUrl?: string) {
  const env = {
    SEDANO_APP: undefined,
    SEDANO_HOME: home,
    SEDANO_LOG_LEVEL: 'info',
    SEDANO_LOG_FORMAT: 'json',
    TEMPORAL_NAMESPACE: namespace,
    DATABASE_URL: databaseUrl,
    USI_MANAGER: undefined,
    USI_MANAGER_PASSWORD: undefined,
  };
  return sedano(args, { env });
}

/** The log lines about the database. */
const databaseLines = (stderr: string) =>
  stderr.split('\n').flatMap((line) => /"msg":"(Database: [^"]*)"/.exec(line)?.[1] ?? []);

/** What a worker says of its database until it takes calls. */
async function linesUntilReady(databaseUrl?: string): Promise<string[]> {
  await using worker = run(['worker'], databaseUrl);
  await worker.sees(/Worker of 'injecttool' polls injecttool/);
  const { stderr } = await worker.signal('SIGKILL');
  return databaseLines(stderr);
}

const embeddedLine = () =>
  `Database: embedded, in ${join(home, 'injecttool')} (DATABASE_URL is not set)`;

test('a command that needs no database opens none', async () => {
  const { code, stderr } = await run(['routines', 'list']).ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(databaseLines(stderr), []);
  assert.deepEqual(await readdir(home), []);
});

test('a worker says that it is on the embedded database, and opens it', async () => {
  assert.deepEqual(await linesUntilReady(), [embeddedLine()]);
  assert.deepEqual(await readdir(home), ['injecttool']);
});

test('a worker does not start while the embedded database is open elsewhere', async () => {
  const embeddedFolder = join(home, 'injecttool');
  const database = await openDatabase({ embeddedFolder });
  const { code, stdout, stderr } = await run(['worker']).ended;
  await database.close();
  assert.deepEqual([code, stdout], [1, '']);
  assert.deepEqual(databaseLines(stderr), [embeddedLine()]);
  assert.match(
    stderr,
    new RegExp(`is open in process ${process.pid}: stop it, or set DATABASE_URL`),
  );
});

test('a worker does not start where its server cannot be reached', async () => {
  const { code, stderr } = await run(['worker'], 'postgres://me:hunter2@127.0.0.1:1/image').ended;
  assert.equal(code, 1);
  assert.deepEqual(databaseLines(stderr), ['Database: 127.0.0.1:1/image']);
  assert.match(
    stderr,
    /PostgreSQL at 127\.0\.0\.1:1, database 'image': cannot be reached \(ECONNREFUSED\)/,
  );
  assert.doesNotMatch(stderr, /hunter2/);
});

test('a worker says which server it is on, without the account', onServer, async (t) => {
  const schema = await createPrivateSchema(DATABASE_URL ?? '');
  t.after(() => schema.drop());
  const { hostname, port, pathname } = new URL(schema.url);
  assert.deepEqual(await linesUntilReady(schema.url), [`Database: ${hostname}:${port}${pathname}`]);
});

test('a worker does not start on a database that lacks tables', onServer, async (t) => {
  const schema = await createEmptySchema(DATABASE_URL ?? '');
  t.after(() => schema.drop());
  const refused = async (without: string) => {
    const { code, stdout, stderr } = await run(['worker'], schema.url).ended;
    assert.deepEqual([code, stdout], [1, '']);
    const message = `DATABASE_URL: expected the database of InjectTool, got one without ${without}\n`;
    assert.ok(stderr.includes(message), stderr);
  };
  await refused('its tables');

  const database = openPostgres(schema.url);
  await database.transaction(createTables);
  await database.query('DROP TABLE django_session, uid_sample');
  await database.close();
  await refused('django_session, uid_sample');
});
