import assert from 'node:assert/strict';
import { test } from 'node:test';
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
    SMTP_URL: 'smtp://mail:25',
    USI_MANAGER: 'manager',
  };
  assert.throws(() => readSettings(env, '/home'), {
    name: 'ConfigError',
    message:
      'settings: DATABASE_URL: expected postgres://user:password@host:port/database; ' +
      'USI_URL: expected a URL that begins with https:// or http://; ' +
      "TIME_ZONE: expected an IANA zone such as 'Europe/Rome'; " +
      'ADMINS, entry 2: expected Name <mail>; ' +
      'USI_MANAGER and USI_MANAGER_PASSWORD: expected both or none, got one; ' +
      'SMTP_URL and DEFAULT_FROM_EMAIL: expected both or none, got one',
    hint: 'These are environment variables; injecttool/README.md lists them.',
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
