import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sedano } from 'sedano';
import { createDjangoDatabase } from './fixtures/django-celery-beat/load.ts';
import { createProject, type Ended } from './helpers/command-line.ts';

const APP = `import { Sedano } from 'sedano';
export const app = new Sedano(process.env['CLI_APP'] ?? '');
app.task({ name: 'app.report', redact: ['to'] }, async (...args: unknown[]) => args.length);
for (const name of ['clearsessions', 'cleanupregistration', 'Fetch USI status', 'Clean biosample models'])
  app.task({ name }, async () => 'done');
`;

let project: Awaited<ReturnType<typeof createProject>>;
before(async () => {
  project = await createProject();
  await writeFile(join(project.folder, 'app.ts'), APP);
});
after(() => project[Symbol.asyncDispose]());

// the server of the tests, which the project's environment is otherwise silent about
const { TEMPORAL_ADDRESS, DATABASE_URL } = process.env;

async function run(args: string[], preload?: string): Promise<Ended> {
  const options = { env: { TEMPORAL_ADDRESS }, ...(preload === undefined ? {} : { preload }) };
  await using command = project.sedano(['routines', 'import', ...args], options);
  return await command.ended;
}

const TABLE = `ROUTINE                 TASK                    WHEN                         ZONE              ON   ARGUMENTS                                  ALSO
clean_biosample_models  Clean biosample models  0 0 * * *                    Europe/Rome       yes  -
cleanupregistration     cleanupregistration     0 12 * * *                   Europe/Rome       yes  -
clearsessions           clearsessions           0 12 * * *                   Europe/Rome       yes  -
disabled                app.report              25 6 * * *                   Europe/Rome       no   -
every 10 minutes        app.report              every 600s                   UTC               yes  -
every 2 days            app.report              every 172800s                UTC               yes  -
fetch_biosample_status  Fetch USI status        */15 * * * *                 Europe/Rome       yes  -
list of days            app.report              35 6 * * 1,2                 Europe/Rome       yes  -
new year 2090           app.report              at 2089-12-31T23:00:00.000Z  UTC               yes  -
new york                app.report              0 9 * * *                    America/New_York  yes  -
once                    app.report              at YYYY-MM-DDTHH:MM:00.000Z  UTC               yes  -
weekday mornings        app.report              30 8-17/2 * * mon-fri        Europe/Rome       yes  -
with args               app.report              5 6 * * *                    Europe/Rome       yes  "weekly", 3
with kwargs             app.report              10 6 * * *                   Europe/Rome       yes  "weekly", {"to":"[redacted]","deep":true}
with limits             app.report              20 6 * * *                   Europe/Rome       yes  -                                          from 2080-06-01T10:00:00.000Z, until 2090-06-01T10:00:00.000Z
with options            app.report              15 6 1 * *                   Europe/Rome       yes  -                                          queue reports, expires 600s
`;

const REST = `How they differ from what beat does:

ROUTINE           NOTE
(all)             a time is skipped while the run before goes on; beat starts another
every 10 minutes  it runs at multiples of 600 s since 1970; beat counts from the last run
every 2 days      it runs at multiples of 172800 s since 1970; beat counts from the last run
list of days      day_of_week '[1, 2]' is read as a list of numbers, which beat cannot read back
once              one_off: it runs once, at the next time of '30 6 * * *' in Europe/Rome
with kwargs       kwargs (to, deep) become one last argument, an object
with limits       it begins with its first time from start_time on; beat runs it at start_time
with options      queue 'reports' is that of no task here: no worker of this app polls it
with options      priority 7 is dropped: routines have none
with options      headers (tenant) are dropped: calls have none

Not translated:

ROUTINE                 REASON
broken args             args: expected JSON
celery.backend_cleanup  not needed: Temporal's retention removes old results
exchange                exchange and routing_key: only the broker knows to which queue they lead; give it a queue instead
expired                 expires: 2020-06-01T10:00:00.000Z has passed, and beat does not run it again
junk                    crontab: dayOfWeek 'mon#1': expected ',' or the end, got '#1' at position 4
never                   crontab: never fires: dayOfMonth '31' does not occur in monthOfYear '2'
once, disabled          one_off and disabled, as beat leaves it after its run
once, interval          one_off with an interval: beat counts from its own start, so the database does not tell the time; use a clocked one
past                    clocked: 2020-06-01T10:00:00.000Z has passed
sunrise                 solar 'sunrise': expected a crontab, every() or at(), got a solar event: Temporal's schedules know clocks and calendars, not where the sun stands
too often               interval: expected whole seconds, from 1 s to 100 years, got 500000 microseconds
unknown task            task 'app.gone': no task of that name is registered
`;

if (DATABASE_URL) describe('on PostgreSQL', () => testOn(DATABASE_URL));
else test('the import from PostgreSQL', { skip: 'DATABASE_URL is not set' });

function testOn(server: string): void {
  let database: Awaited<ReturnType<typeof createDjangoDatabase>>;
  before(async () => {
    database = await createDjangoDatabase(server);
  });
  after(async () => {
    await database.drop();
    await deleteSchedules();
  });

  test('it shows what it would create and what it cannot, creates it, and then leaves it alone', async () => {
    const url = ['--from-django', database.url];
    const runOnAnyDay = async (...args: string[]) => {
      const { stdout, ...rest } = await run([...url, ...args]);
      const once = /^(once +app\.report +at )\S+/m;
      return { ...rest, stdout: stdout.replace(once, '$1YYYY-MM-DDTHH:MM:00.000Z') };
    };
    assert.deepEqual(await runOnAnyDay(), {
      code: 0,
      stdout: `To be created:\n\n${TABLE}\n${REST}\n16 to be created, 0 existing, 12 not translated. Nothing is written without --apply.\n`,
      stderr: '',
    });
    assert.deepEqual(await runOnAnyDay('--apply'), {
      code: 0,
      stdout: `Created:\n\n${TABLE}\n${REST}\n16 created, 0 existing, 12 not translated.\n`,
      stderr: '',
    });
    const again = await run([...url, '--apply']);
    assert.equal(
      again.stdout.split('\n').slice(0, 4).join('\n'),
      'Exist already, and are left as they are:\n\n  clean_biosample_models\n  cleanupregistration',
    );
    assert.match(again.stdout, /\n0 created, 16 existing, 12 not translated\.\n$/);
  });

  test('as JSON, without what the task hides', async () => {
    const { code, stdout } = await run(['--from-django', database.url, '--json']);
    assert.equal(code, 0);
    const { routines, refused } = JSON.parse(stdout) as Record<string, { name: string }[]>;
    assert.deepEqual(
      routines?.find(({ name }) => name === 'with kwargs'),
      {
        name: 'with kwargs',
        definition: {
          task: 'app.report',
          schedule: '10 6 * * *',
          timezone: 'Europe/Rome',
          args: ['weekly', { to: '[redacted]', deep: true }],
          queue: project.name,
          enabled: true,
          overlap: 'skip',
          missed: 'latest',
          startAt: null,
          endAt: null,
          jitterMs: 0,
          description: '',
          expiresMs: null,
        },
        notes: ['kwargs (to, deep) become one last argument, an object'],
        state: 'exists',
      },
    );
    assert.deepEqual(refused?.[0], {
      name: 'broken args',
      refused: 'args: expected JSON',
    });
  });

  test('what Django’s users type does not reach the terminal as it is', async () => {
    await database.run(
      `UPDATE django_celery_beat_periodictask SET name = E'a\\nCreated:\\x1b[31m' WHERE name = 'junk'`,
    );
    const { stdout } = await run(['--from-django', database.url]);
    assert.match(
      stdout,
      /^a Created:\?\[31m +name: expected 1 to 200 bytes of printable characters$/m,
    );
  });

  test('a password is shown by no error', async () => {
    const url = new URL(database.url);
    url.password = 'wrong-password';
    const { code, stdout, stderr } = await run(['--from-django', url.href, '--debug']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^Error: PostgreSQL at [^\n]+: password authentication failed for user/);
    assert.doesNotMatch(stderr, /wrong-password/);
  });
}

/** Those of the project's app. */
async function deleteSchedules(): Promise<void> {
  await using app = new Sedano(project.name);
  for await (const { scheduleId } of app.client.temporal.schedule.list({
    query: `ScheduleId STARTS_WITH "${project.name}/"`,
  })) {
    await app.client.temporal.schedule.getHandle(scheduleId).delete();
  }
}

test('a URL that is none, or none at all', async () => {
  assert.deepEqual(await run(['--from-django', 'mysql://a:secret@host/x']), {
    code: 1,
    stdout: '',
    stderr:
      'Error: --from-django: expected postgres://user:password@host:5432/name\n' +
      'Hint: Characters such as @ and / in a password are written %40 and %2F; PGPASSWORD and ~/.pgpass work too.\n',
  });
  assert.deepEqual(await run([]), {
    code: 2,
    stdout: '',
    stderr:
      "Error: required option '--from-django <url>' not specified\n" +
      "Hint: Run 'sedano routines import --help' to see how it is used.\n",
  });
});

test('without pg it says how to install it', async () => {
  const hooks = `export const resolve = (name, context, next) => {
    if (name === 'pg') throw Object.assign(new Error('no pg'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  };`;
  const asUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const preload = asUrl(
    `import { register } from 'node:module'; register(${JSON.stringify(asUrl(hooks))});`,
  );
  assert.deepEqual(await run(['--from-django', 'postgres://a:secret@127.0.0.1:1/x'], preload), {
    code: 1,
    stdout: '',
    stderr:
      'Error: reading a PostgreSQL database needs pg, which cannot be loaded\n' +
      'Hint: Install it: npm install pg\n',
  });
});
