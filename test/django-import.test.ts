import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { crontab, Sedano } from 'sedano';
import { startWorker } from 'sedano/worker';
import { readDefinition, type Definition } from '../src/routines/definition.ts';
import { applyImport, planImport, type ImportedRoutine } from '../src/routines/django/import.ts';
import { readPeriodicTasks } from '../src/routines/django/read.ts';
import { translate, type Translation } from '../src/routines/django/translate.ts';
import { createDjangoDatabase, readOnPGlite } from './fixtures/django-celery-beat/load.ts';
import { uniqueName } from './helpers/harness.ts';
import { lastRun } from './helpers/temporal-cli.ts';

const INJECTTOOL = {
  clearsessions: 'clearsessions',
  cleanupregistration: 'cleanupregistration',
  fetch_biosample_status: 'Fetch USI status',
  clean_biosample_models: 'Clean biosample models',
};

/** What dump.sql becomes in an app without a queue of its own; the rest is as in `routine`. */
const EXPECTED: Record<string, Partial<Definition>> = {
  clean_biosample_models: { task: 'Clean biosample models', schedule: '0 0 * * *' },
  cleanupregistration: { task: 'cleanupregistration', schedule: '0 12 * * *' },
  clearsessions: { task: 'clearsessions', schedule: '0 12 * * *' },
  disabled: { schedule: '25 6 * * *', enabled: false },
  'every 10 minutes': { schedule: 'every 600s', timezone: 'UTC' },
  'every 2 days': { schedule: 'every 172800s', timezone: 'UTC' },
  fetch_biosample_status: { task: 'Fetch USI status', schedule: '*/15 * * * *' },
  'list of days': { schedule: '35 6 * * 1,2' },
  'new year 2090': { schedule: 'at 2089-12-31T23:00:00.000Z', timezone: 'UTC' },
  'new york': { schedule: '0 9 * * *', timezone: 'America/New_York' },
  once: { timezone: 'UTC' },
  'weekday mornings': { schedule: '30 8-17/2 * * mon-fri' },
  'with args': { schedule: '5 6 * * *', args: ['weekly', 3] },
  'with kwargs': { schedule: '10 6 * * *', args: ['weekly', { to: 'staff', deep: true }] },
  'with limits': {
    schedule: '20 6 * * *',
    startAt: '2080-06-01T10:00:00.000Z',
    endAt: '2090-06-01T10:00:00.000Z',
  },
  'with options': {
    schedule: '15 6 1 * *',
    queue: 'reports',
    expiresMs: 600_000,
    description: 'The monthly report',
  },
};

const REFUSED = {
  'broken args': 'args: expected JSON',
  'celery.backend_cleanup': "not needed: Temporal's retention removes old results",
  exchange:
    'exchange and routing_key: only the broker knows to which queue they lead; give it a queue instead',
  expired: 'expires: 2020-06-01T10:00:00.000Z has passed, and beat does not run it again',
  junk: "crontab: dayOfWeek 'mon#1': expected ',' or the end, got '#1' at position 4",
  never: "crontab: never fires: dayOfMonth '31' does not occur in monthOfYear '2'",
  'once, disabled': 'one_off and disabled, as beat leaves it after its run',
  'once, interval':
    'one_off with an interval: beat counts from its own start, so the database does not tell the time; use a clocked one',
  past: 'clocked: 2020-06-01T10:00:00.000Z has passed',
  sunrise:
    "solar 'sunrise': expected a crontab, every() or at(), got a solar event: Temporal's schedules know clocks and calendars, not where the sun stands",
  'too often': 'interval: expected whole seconds, from 1 s to 100 years, got 500000 microseconds',
  'unknown task': "task 'app.gone': no task of that name is registered",
};

function routine(differs: Partial<Definition>, queue: string): Omit<Definition, 'schedule'> {
  return {
    task: 'app.report',
    timezone: 'Europe/Rome',
    args: [],
    queue,
    enabled: true,
    overlap: 'skip',
    missed: 'latest',
    startAt: null,
    endAt: null,
    jitterMs: 0,
    description: '',
    expiresMs: null,
    ...differs,
  };
}

const byName = (one: { name: string }, other: { name: string }) => (one.name < other.name ? -1 : 1);

/** An app that knows the tasks of dump.sql; its schedules are deleted when the scope ends. */
function importApp() {
  const app = new Sedano(uniqueName('import'));
  app.task({ name: 'app.report', redact: ['to'] }, async (...args: unknown[]) =>
    JSON.stringify(args),
  );
  for (const name of Object.values(INJECTTOOL)) app.task({ name }, async () => 'done');
  const schedule = (name: string) => app.client.temporal.schedule.getHandle(`${app.name}/${name}`);
  return {
    app,
    schedule,
    async names() {
      const names: string[] = [];
      for (const name of [...Object.keys(EXPECTED), ...Object.keys(REFUSED)]) {
        const found = await schedule(name)
          .describe()
          .catch(() => undefined);
        if (found) names.push(name);
      }
      return names.toSorted();
    },
    async [Symbol.asyncDispose]() {
      for (const name of await this.names()) await schedule(name).delete();
      await app.close();
    },
  };
}

test('the rows that the real beat and its ORM wrote become routines, or are refused', async () => {
  const now = new Date('2026-11-24T12:00:00Z');
  const rows = await readOnPGlite();
  const context = {
    now,
    findTask: (name: string) =>
      name === 'app.gone' ? undefined : { queue: 'celery', joins: false },
    queues: new Set(['celery']),
  };
  const translations = rows.map((row) => translate(row, context));
  const expected: Translation[] = Object.entries(EXPECTED).map(([name, differs]) => ({
    name,
    definition: {
      schedule: 'at 2026-11-25T05:30:00.000Z',
      ...routine(differs, 'celery'),
    },
    notes: NOTES[name] ?? [],
  }));
  const refused: Translation[] = Object.entries(REFUSED).map(([name, reason]) => ({
    name,
    refused: reason,
  }));
  assert.deepEqual(translations.toSorted(byName), [...expected, ...refused].toSorted(byName));
});

const NOTES: Record<string, string[]> = {
  'every 10 minutes': ['it runs at multiples of 600 s since 1970; beat counts from the last run'],
  'every 2 days': ['it runs at multiples of 172800 s since 1970; beat counts from the last run'],
  'list of days': [
    "day_of_week '[1, 2]' is read as a list of numbers, which beat cannot read back",
  ],
  once: ["one_off: it runs once, at the next time of '30 6 * * *' in Europe/Rome"],
  'with kwargs': ['kwargs (to, deep) become one last argument, an object'],
  'with limits': ['it begins with its first time from start_time on; beat runs it at start_time'],
  'with options': [
    "queue 'reports' is that of no task here: no worker of this app polls it",
    'priority 7 is dropped: routines have none',
    'headers (tenant) are dropped: calls have none',
  ],
};

const { DATABASE_URL } = process.env;
if (DATABASE_URL) describe('on PostgreSQL', () => testOn(DATABASE_URL));
else test('the import from PostgreSQL', { skip: 'DATABASE_URL is not set' });

function testOn(server: string): void {
  let database: Awaited<ReturnType<typeof createDjangoDatabase>>;
  before(async () => {
    database = await createDjangoDatabase(server);
  });
  after(() => database.drop());

  test('the rows are read as they are, whatever the session’s zone and date style', async () => {
    const expected = await readOnPGlite();
    assert.deepEqual(await readPeriodicTasks(database.url), expected);
    const elsewhere = new URL(database.url);
    elsewhere.searchParams.set('options', '-c timezone=Asia/Kathmandu -c datestyle=German');
    assert.deepEqual(await readPeriodicTasks(elsewhere.href), expected);
  });

  test('a plan writes nothing; applying it creates what the plan says, once', async () => {
    await using own = importApp();
    const { app } = own;
    const plan = await planImport(app, database.url);
    assert.deepEqual(await own.names(), []);
    assert.deepEqual(
      plan.routines.map(({ name, state }) => [name, state]),
      Object.keys(EXPECTED).map((name) => [name, 'absent']),
    );
    assert.deepEqual(
      Object.fromEntries(plan.refused.map(({ name, refused }) => [name, refused])),
      REFUSED,
    );

    const applied = await applyImport(app, plan);
    assert.deepEqual(new Set(applied.routines.map(({ state }) => state)), new Set(['created']));
    assert.deepEqual(await own.names(), Object.keys(EXPECTED));
    for (const { name, definition } of plan.routines) {
      const described = await own.schedule(name).describe();
      assert.deepEqual(readDefinition(described), definition, name);
      const { schedule } = definition;
      // that of the one which runs once depends on the day
      assert.deepEqual(definition, { schedule, ...routine(EXPECTED[name] ?? {}, app.name) });
      assert.deepEqual(described.memo, {
        sedano: { v: 2, app: app.name, routine: name, by: 'admin', code: definition },
      });
    }

    const before = await own.schedule('clearsessions').describe();
    const again = await applyImport(app, await planImport(app, database.url));
    assert.deepEqual(new Set(again.routines.map(({ state }) => state)), new Set(['exists']));
    const after = await own.schedule('clearsessions').describe();
    assert.deepEqual(after.raw.schedule, before.raw.schedule);
  });

  test('the times are those of beat', async () => {
    await using own = importApp();
    await applyImport(own.app, await planImport(own.app, database.url));
    const next = async (name: string) => (await own.schedule(name).describe()).info.nextActionTimes;
    const check = async (name: string, line: string, timezone: string) => {
      const times = await next(name);
      const [first] = times;
      assert.ok(first, name);
      const from = new Date(first.getTime() - 1);
      const expected = crontab.parse(line).next({ from, count: times.length, timezone });
      assert.deepEqual(times, expected, name);
    };
    await check('clearsessions', '0 12 * * *', 'Europe/Rome');
    await check('fetch_biosample_status', '*/15 * * * *', 'Europe/Rome');
    await check('weekday mornings', '30 8-17/2 * * mon-fri', 'Europe/Rome');
    await check('new york', '0 9 * * *', 'America/New_York');
    assert.deepEqual(await next('new year 2090'), [new Date('2089-12-31T23:00:00Z')]);
    assert.equal((await next('once')).length, 1);
    assert.equal((await next('with limits'))[0]?.toISOString(), '2080-06-02T04:20:00.000Z');
  });

  test('a schedule that comes between plan and apply is left as it is', async () => {
    await using own = importApp();
    const plan = await planImport(own.app, database.url);
    await own.app.client.temporal.schedule.create({
      scheduleId: `${own.app.name}/with args`,
      spec: { intervals: [{ every: '400d' }] },
      action: {
        type: 'startWorkflow',
        workflowType: 'foreign',
        taskQueue: 'elsewhere',
        workflowId: 'foreign',
      },
    });
    const { routines } = await applyImport(own.app, plan);
    const states = new Map(routines.map(({ name, state }) => [name, state]));
    assert.equal(states.get('with args'), 'exists');
    assert.equal(states.get('with kwargs'), 'created');
    assert.equal((await own.schedule('with args').describe()).action.workflowType, 'foreign');
  });

  test('a routine that the app’s table has too says so', async () => {
    await using own = importApp();
    own.app.routines({ clearsessions: { task: 'clearsessions', schedule: crontab({ hour: 1 }) } });
    const { routines } = await planImport(own.app, database.url);
    const notes = routines.find(({ name }) => name === 'clearsessions')?.notes;
    assert.deepEqual(notes, [
      "the app's table has it too: 'sedano routines diff' shows where they differ",
    ]);
  });

  test('an imported routine runs with its arguments', async () => {
    await using own = importApp();
    await applyImport(own.app, await planImport(own.app, database.url));
    await using _worker = await startWorker(own.app, { grace: '1s' });
    const handle = own.schedule('with kwargs');
    await handle.trigger(ScheduleOverlapPolicy.SKIP);
    const id = await lastRun(handle.scheduleId);
    assert.equal(await own.app.result(id).get(), '["weekly",{"to":"staff","deep":true}]');
  });

  test('reading cannot write', async () => {
    // a view that counts its readers, found before the table
    await database.run(`
      CREATE SCHEMA spy;
      CREATE TABLE spy.reads (at timestamptz);
      CREATE FUNCTION spy.note() RETURNS boolean LANGUAGE sql AS
        'INSERT INTO spy.reads VALUES (now()); SELECT true';
      CREATE VIEW spy.django_celery_beat_periodictask AS
        SELECT * FROM public.django_celery_beat_periodictask WHERE spy.note();
    `);
    const url = new URL(database.url);
    url.searchParams.set('options', '-c search_path=spy,public');
    await assert.rejects(readPeriodicTasks(url.href), {
      message: `PostgreSQL at ${url.host}, database '${database.name}': cannot execute INSERT in a read-only transaction`,
    });
  });

  test('what keeps the tables from being read is said, without the password', async () => {
    const address = new URL(server).host;
    const refused = async (change: (url: URL) => void) => {
      const url = new URL(database.url);
      change(url);
      const error = await readPeriodicTasks(url.href).then(
        () => assert.fail('read'),
        (thrown: unknown) => thrown as Error & { hint?: string },
      );
      const told = [error.message, error.hint, error.stack, String(error.cause)].join('\n');
      assert.ok(url.password !== '' && !told.includes(url.password), told);
      return `${error.message}\n${error.hint}`;
    };
    assert.equal(
      await refused((url) => {
        url.pathname = '/postgres';
      }),
      `PostgreSQL at ${address}, database 'postgres': relation "django_celery_beat_periodictask" does not exist
Name the database of the Django project; tables in a schema of their own are found with ?options=-c%20search_path%3DNAME at the URL's end.`,
    );
    assert.equal(
      await refused((url) => {
        url.password = 'wrong-password';
      }),
      `PostgreSQL at ${address}, database '${database.name}': password authentication failed for user "${new URL(server).username}"
Check the URL, and that the server runs and lets this account in.`,
    );
    assert.equal(
      await refused((url) => {
        url.pathname = '/none';
      }),
      `PostgreSQL at ${address}, database 'none': database "none" does not exist
Check the URL, and that the server runs and lets this account in.`,
    );
    assert.equal(
      await refused((url) => {
        // nobody listens there: it is reserved
        url.port = '1';
      }),
      `PostgreSQL at ${new URL(server).hostname}:1, database '${database.name}': cannot be reached (ECONNREFUSED)
Check the URL, and that the server runs and lets this account in.`,
    );
    const role = `${database.name}_reader`;
    await database.run(`CREATE ROLE ${role} LOGIN PASSWORD 'reader-password'`);
    try {
      assert.equal(
        await refused((url) => {
          url.username = role;
          url.password = 'reader-password';
        }),
        `PostgreSQL at ${address}, database '${database.name}': permission denied for table django_celery_beat_periodictask
The account needs SELECT on the tables django_celery_beat_*.`,
      );
    } finally {
      await database.run(`DROP ROLE ${role}`);
    }
  });

  test('the tables of an old django-celery-beat are refused', async () => {
    await database.run(`
      CREATE SCHEMA old;
      CREATE TABLE old.django_celery_beat_periodictask (id integer, name text);
    `);
    const url = new URL(database.url);
    url.searchParams.set('options', '-c search_path=old,public');
    await assert.rejects(readPeriodicTasks(url.href), {
      message: `PostgreSQL at ${url.host}, database '${database.name}': column task.crontab_id does not exist`,
      hint: 'The tables are those of an old django-celery-beat: migrate them to version 2.0 or later.',
    });
  });
}

test('where one cannot be created, it is said how many have been', async () => {
  await using own = importApp();
  const definition = { schedule: '0 12 * * *', ...routine({}, own.app.name) };
  const absent = (name: string, differs: Partial<Definition> = {}): ImportedRoutine => ({
    name,
    definition: { ...definition, ...differs },
    notes: [],
    state: 'absent',
  });
  const routines = [absent('with args'), absent('once', { schedule: 'at noon' }), absent('never')];
  await assert.rejects(applyImport(own.app, { routines, refused: [] }), {
    message:
      "1 created; then 'once' could not be: schedule 'at noon': expected a moment with its zone, such as '2027-01-01T12:00:00Z' or '2027-01-01 13:00+01:00', got 'noon'",
    hint: 'Run it again: those that exist are left as they are.',
  });
  assert.deepEqual(await own.names(), ['with args']);
});

test('what is no URL of PostgreSQL is refused without being shown', async () => {
  for (const url of ['', 'mysql://a:secret@host/x', 'postgres://a:sec/ret@host/x']) {
    await assert.rejects(readPeriodicTasks(url), {
      name: 'ConfigError',
      message: '--from-django: expected postgres://user:password@host:5432/name',
      hint: 'Characters such as @ and / in a password are written %40 and %2F; PGPASSWORD and ~/.pgpass work too.',
    });
  }
  const missing = 'postgres://a:secret@host/x?sslrootcert=none.pem';
  await assert.rejects(readPeriodicTasks(missing), {
    message: "--from-django: ENOENT: no such file or directory, open 'none.pem'",
    hint: 'Check what follows the ? of the URL: files are relative to the working directory.',
  });
});
