import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sedano } from 'sedano';
import { readSettings, routines } from '../injecttool/settings.ts';

test('without an environment the defaults hold', () => {
  assert.deepEqual(readSettings({}, '/home/.sedano'), {
    databaseUrl: undefined,
    embeddedFolder: '/home/.sedano/injecttool',
    usiUrl: 'https://submission-test.ebi.ac.uk',
    usiAuthUrl: 'https://explore.api.aai.ebi.ac.uk',
    usiAccount: undefined,
    timeZone: 'Europe/Rome',
    mail: { smtpUrl: undefined, from: undefined, admins: [] },
  });
});

test('all variables are read, and an empty one counts as not set', () => {
  const settings = readSettings(
    {
      DATABASE_URL: 'postgres://image:secret@db:5432/image',
      USI_URL: 'https://usi.example',
      USI_AUTH_URL: '',
      USI_MANAGER: 'manager',
      USI_MANAGER_PASSWORD: 'secret',
      TIME_ZONE: 'Europe/London',
      ADMINS: 'Ada Lovelace <ada@example.org>, Bob <bob@example.org>',
      SMTP_URL: 'smtp://mail:25',
      DEFAULT_FROM_EMAIL: 'noreply@example.org',
    },
    '/home',
  );
  assert.equal(settings.databaseUrl, 'postgres://image:secret@db:5432/image');
  assert.equal(settings.usiAuthUrl, 'https://explore.api.aai.ebi.ac.uk');
  assert.deepEqual(settings.usiAccount, { username: 'manager', password: 'secret' });
  assert.equal(settings.timeZone, 'Europe/London');
  assert.deepEqual(settings.mail, {
    smtpUrl: 'smtp://mail:25',
    from: 'noreply@example.org',
    admins: ['Ada Lovelace <ada@example.org>', 'Bob <bob@example.org>'],
  });
});

test('one error lists everything that is wrong, without repeating what may be secret', () => {
  const env = {
    DATABASE_URL: 'mysql://image:secret@db/image',
    USI_URL: 'submission-test.ebi.ac.uk',
    TIME_ZONE: 'europe/rome',
    ADMINS: 'Ada <ada@example.org>, nobody',
    SMTP_URL: 'smtp://mail:25?secure=false',
    USI_MANAGER: 'manager',
  };
  assert.throws(() => readSettings(env, '/home'), {
    name: 'ConfigError',
    message:
      'settings: DATABASE_URL: expected postgres://user:password@host:port/database; ' +
      'USI_URL: expected a URL that begins with https:// or http://; ' +
      "TIME_ZONE: expected an IANA zone such as 'Europe/Rome'; " +
      'ADMINS, entry 2: expected Name <mail>; ' +
      'SMTP_URL: expected smtp:// or smtps://, with a host and without a ?query; ' +
      'USI_MANAGER and USI_MANAGER_PASSWORD: expected both or none, got one; ' +
      'SMTP_URL and DEFAULT_FROM_EMAIL: expected both or none, got one',
    hint: 'These are environment variables; injecttool/README.md lists them.',
  });
});

test('SMTP_URL is checked as strictly as the library does, and named', () => {
  for (const url of ['smtp://', 'smtp://mail:25?a=b', 'mail:25', 'smtp:', 'https://mail', ' ']) {
    const env = { SMTP_URL: url, DEFAULT_FROM_EMAIL: 'a@example.org', USI_URL: 'nope' };
    assert.throws(
      () => readSettings(env, '/home'),
      {
        message:
          'settings: USI_URL: expected a URL that begins with https:// or http://; ' +
          'SMTP_URL: expected smtp:// or smtps://, with a host and without a ?query',
      },
      url,
    );
  }
  for (const url of ['smtp://mail', 'smtps://me:p%40ss@mail:465', 'smtp://[::1]:25']) {
    const env = { SMTP_URL: url, DEFAULT_FROM_EMAIL: 'a@example.org' };
    const { mail } = readSettings(env, '/home');
    assert.equal(mail.smtpUrl, url);
    assert.ok(new Sedano('settings', { mail }));
  }
});

test('DATABASE_URL is checked as strictly as the database layer does', () => {
  for (const url of ['postgres:', 'postgres:image', 'mysql://db/image', 'postgres://db:port/a']) {
    assert.throws(
      () => readSettings({ DATABASE_URL: url }, '/home'),
      { message: 'settings: DATABASE_URL: expected postgres://user:password@host:port/database' },
      url,
    );
  }
});

test('a variable of blanks only is refused in our words', () => {
  const messages: Record<string, string> = {
    DATABASE_URL: 'expected postgres://user:password@host:port/database',
    USI_URL: 'expected a URL that begins with https:// or http://',
    USI_AUTH_URL: 'expected a URL that begins with https:// or http://',
    USI_MANAGER: 'expected a text',
    TIME_ZONE: "expected an IANA zone such as 'Europe/Rome'",
    SMTP_URL: 'expected smtp:// or smtps://, with a host and without a ?query',
    DEFAULT_FROM_EMAIL: 'expected Name <mail>',
  };
  const account = { USI_MANAGER: 'manager', USI_MANAGER_PASSWORD: 'secret' };
  const mail = { SMTP_URL: 'smtp://mail', DEFAULT_FROM_EMAIL: 'a@example.org' };
  for (const [name, message] of Object.entries(messages)) {
    assert.throws(() => readSettings({ ...account, ...mail, [name]: ' ' }, '/home'), {
      message: `settings: ${name}: ${message}`,
    });
  }
});

test('ADMINS may end in a comma', () => {
  const adminsOf = (ADMINS: string) => readSettings({ ADMINS }, '/home').mail.admins;
  assert.deepEqual(adminsOf('Ada <ada@example.org>, bob@example.org, '), [
    'Ada <ada@example.org>',
    'bob@example.org',
  ]);
  assert.deepEqual(adminsOf(' , '), []);
  // a comma ends an entry, also within a name
  assert.throws(() => adminsOf('Lovelace, Ada <ada@example.org>'), {
    message: 'settings: ADMINS, entry 1: expected Name <mail>',
  });
});

test('half an account is refused', () => {
  assert.throws(() => readSettings({ USI_MANAGER: 'manager' }, '/home'), {
    message: 'settings: USI_MANAGER and USI_MANAGER_PASSWORD: expected both or none, got one',
    hint: 'These are environment variables; injecttool/README.md lists them.',
  });
});

test('the routine table is the original’s', () => {
  assert.equal(routines.clearsessions.schedule.toString(), '0 12 * * *');
  assert.equal(routines.fetch_biosample_status.schedule.toString(), '*/15 * * * *');
  assert.equal(routines.fetch_biosample_status.task, 'Fetch USI status');
});
