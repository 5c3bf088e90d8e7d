import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParsedMail } from 'mailparser';
import { BaseTask, NotifyAdminTaskMixin, Sedano, type MailSettings } from 'sedano';
import { startWorker } from 'sedano/worker';
import { latch, testApp, uniqueName, withWorker } from './helpers/harness.ts';
import { TestSmtp } from './helpers/smtp.ts';

const ADMINS = ['Maria Rossi <maria@admins.example>', 'ops@admins.example'];
const OPS = ['ops@admins.example'];

/** An app whose admins get mails from `smtp`. */
function mailApp(smtp: TestSmtp, settings: MailSettings = {}): Sedano {
  return testApp({
    mail: {
      smtpUrl: smtp.url,
      from: 'InjectTool <noreply@injecttool.example>',
      admins: OPS,
      period: '2s',
      ...settings,
    },
  });
}

/** A task that fails with the text that it gets. */
class FailTask extends NotifyAdminTaskMixin(BaseTask) {
  override readonly name = 'Fail';
  override async run(message: string): Promise<void> {
    throw new RangeError(message);
  }
}

/**
 * The mails that follow the first, until they count `total` in all. On a slow machine a period may end among them, so
 * they may be more than one.
 */
async function repetitions(smtp: TestSmtp, total: number): Promise<ParsedMail[]> {
  let counted = 0;
  for (let seen = 1; ; seen += 1) {
    const mails = await smtp.received(seen + 1);
    counted += Number(/^(\d+) times: /.exec(mails[seen]?.parsed.subject ?? '')?.[1] ?? 1);
    assert.ok(counted <= total, `${counted} instead of ${total}`);
    if (counted === total) return mails.slice(1, seen + 1).map(({ parsed }) => parsed);
  }
}

async function fail(task: FailTask, message: string): Promise<string> {
  const result = await task.delay(message);
  await assert.rejects(result.get(), { name: 'TaskFailedError' });
  return result.id;
}

test('the admins get one mail for a failed call, with what, where and the stack', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp, { admins: ADMINS });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    const id = await fail(task, 'no such animal');
    const [mail] = await smtp.received(1);
    assert.ok(mail);
    assert.equal(mail.from, 'noreply@injecttool.example');
    // one for each address, so that one of them can wait
    const both = await smtp.received(2);
    assert.deepEqual(both.flatMap(({ to }) => to).toSorted(), [
      'maria@admins.example',
      'ops@admins.example',
    ]);
    const { to } = mail.parsed;
    assert.equal(
      to && 'text' in to && to.text,
      '"Maria Rossi" <maria@admins.example>, ops@admins.example',
    );
    assert.equal(mail.parsed.from?.text, '"InjectTool" <noreply@injecttool.example>');
    assert.equal(mail.parsed.subject, `[${app.name}] Error in Fail: no such animal`);
    assert.equal(mail.parsed.headers.get('auto-submitted'), 'auto-generated');
    const lines = mail.parsed.text?.split('\n') ?? [];
    assert.deepEqual(lines.slice(0, 4), [
      "The task 'Fail' failed.",
      '',
      'Error      RangeError: no such animal',
      `Call       ${id}`,
    ]);
    assert.match(lines[4] ?? '', /^Run {8}[\da-f-]{36}$/);
    assert.equal(lines[5], 'Arguments  ["no such animal"]');
    assert.match(lines[6] ?? '', /^Time {7}\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.equal(lines[8], 'RangeError: no such animal');
    assert.match(lines[9] ?? '', /^ {4}at FailTask\.run \(.*mail\.test\.ts/);
  });
});

test('failures that differ only in numbers and ids are one mail in a period, with their count', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp, { period: '4s' });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'animal 1 is lost');
    const [first] = await smtp.received(1);
    assert.equal(first?.parsed.subject, `[${app.name}] Error in Fail: animal 1 is lost`);
    for (const number of [22, 333, 4444]) await fail(task, `animal ${number} is lost`);
    const last = (await repetitions(smtp, 3)).at(-1);
    assert.match(last?.subject ?? '', /Error in Fail: animal 4444 is lost$/);
    const [since = '', ...mail] = last?.text?.split('\n\n') ?? [];
    assert.match(
      since,
      /^\d times since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; this is the latest\.$/,
    );
    assert.equal(mail[0], "The task 'Fail' failed.");
  });
});

test('another error is another mail, at once', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp, { period: '1h' });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    for (const message of ['the cow is lost', 'the cow is lost', 'the goat is lost']) {
      await fail(task, message);
    }
    const mails = await smtp.received(2);
    assert.deepEqual(
      mails.map(({ parsed }) => String(parsed.subject)).toSorted((a, b) => a.localeCompare(b)),
      ['cow', 'goat'].map((animal) => `[${app.name}] Error in Fail: the ${animal} is lost`),
    );
  });
});

test('a mail waits for its server, and is sent once it is there', async () => {
  const first = await TestSmtp.start();
  const { port } = first;
  const app = mailApp(first);
  await first[Symbol.asyncDispose]();
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    // a mail that cannot be sent keeps nobody from the result
    await fail(task, 'nobody hears it');
    await using second = await TestSmtp.start({}, port);
    const [mail] = await second.received(1);
    assert.equal(mail?.parsed.subject, `[${app.name}] Error in Fail: nobody hears it`);
  });
});

test('an error text makes no header, and no other addressee', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp);
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'x\r\nBcc: evil@evil.example\r\n\r\n<b>\u2028hello\u0000ü✓');
    const [mail] = await smtp.received(1);
    assert.deepEqual(mail?.to, ['ops@admins.example']);
    assert.equal(
      mail.parsed.subject,
      `[${app.name}] Error in Fail: x Bcc: evil@evil.example <b> hello ü✓`,
    );
    const [head = ''] = mail.raw.split('\r\n\r\n');
    assert.doesNotMatch(head, /^bcc/im);
  });
});

test('sendMail counts a repetition of the same key, and sends the latest', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp);
  await withWorker(app, async () => {
    const mail = { to: 'Ünal <owner@bank.example>', subject: 'Hello', text: 'First' };
    const key = 'greeting';
    await app.sendMail(mail, { key });
    await smtp.received(1);
    await app.sendMail({ ...mail, text: 'Second' }, { key });
    await app.sendMail({ ...mail, text: 'Third' }, { key });
    const last = (await repetitions(smtp, 2)).at(-1);
    assert.match(last?.subject ?? '', /Hello$/);
    assert.match(last?.text ?? '', /Third\n$/);
    const [first] = smtp.mails;
    assert.deepEqual(first?.to, ['owner@bank.example']);
    assert.equal(
      first.parsed.to && 'text' in first.parsed.to && first.parsed.to.text,
      '"Ünal" <owner@bank.example>',
    );
    assert.equal(first.parsed.text, 'First\n');
  });
});

test('mails that say something else are other mails, also from one call', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp, { period: '1h' });
  const tell = app.task({ name: 'tell' }, async () => {
    for (const text of ['first', 'second', 'first']) {
      await app.sendMail({ to: 'owner@bank.example', subject: 'Told', text });
    }
  });
  await withWorker(app, async () => {
    await (await tell.delay()).get();
    const mails = await smtp.received(2);
    assert.deepEqual(
      new Set(mails.map(({ parsed }) => parsed.text?.trim())),
      new Set(['first', 'second']),
    );
  });
});

test('what a task sends is sent once, however often its call is run', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp);
  const tell = app.task(
    { name: 'tell', autoretryFor: [RangeError], retryDelay: '10ms', maxRetries: 2 },
    async () => {
      await app.sendMail({ to: 'owner@bank.example', subject: 'Told', text: 'once' });
      throw new RangeError('after the mail');
    },
  );
  await withWorker(app, async () => {
    const result = await tell.delay();
    await assert.rejects(result.get(), { name: 'TaskFailedError' });
    const [mail] = await smtp.received(1);
    assert.equal(mail?.parsed.subject, 'Told');
    // the workflow ends after a period without another one
    const { id } = await mailWorkflow(app);
    await app.client.temporal.workflow.getHandle(id).result();
    assert.equal(smtp.mails.length, 1);
  });
});

test('many and large repetitions are counted, though a history holds only so much', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp, { period: '10s' });
  await withWorker(app, async () => {
    const mail = { to: 'owner@bank.example', subject: 'Flood', text: 'x'.repeat(20_000) };
    await app.sendMail(mail);
    await smtp.received(1);
    // Temporal suggests a new run at 4 MB
    for (let sent = 0; sent < 300; sent += 30) {
      await Promise.all(Array.from({ length: 30 }, () => app.sendMail(mail)));
    }
    await repetitions(smtp, 300);
    const query = `WorkflowType = '__mail' AND TaskQueue = '${app.name}' AND ExecutionStatus = 'ContinuedAsNew'`;
    const { count } = await app.client.temporal.workflow.count(query);
    assert.ok(count > 0);
  });
});

/** The workflow that sends the app's only kind of mail. */
async function mailWorkflow(app: Sedano): Promise<{ id: string }> {
  for (;;) {
    const query = `WorkflowType = '__mail' AND TaskQueue = '${app.name}'`;
    for await (const { workflowId: id } of app.client.temporal.workflow.list({ query })) {
      assert.match(id, new RegExp(`^__mail/${app.name}/[\\da-f]{32}$`));
      return { id };
    }
  }
}

test('what redact names leaves neither in the mail nor in the error', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp);
  class LoginTask extends NotifyAdminTaskMixin(BaseTask) {
    override readonly name = 'Log in';
    override readonly redact = ['password', 1];
    override async run(account: { user: string; password: string }, pin: number): Promise<void> {
      throw new Error(
        `no account for ${JSON.stringify(account)} at https://x.example/?p=${encodeURIComponent(account.password)} with pin ${pin}`,
        { cause: new TypeError(`${account.password} is wrong`) },
      );
    }
  }
  const task = app.register(new LoginTask());
  await withWorker(app, async () => {
    const result = await task.delay({ user: 'mrossi', password: 'pa"ss/word' }, 4711);
    const error: unknown = await result.get().catch((thrown: unknown) => thrown);
    assert.ok(error instanceof Error);
    const shown =
      'no account for {"user":"mrossi","password":"[redacted]"} at https://x.example/?p=[redacted] with pin [redacted]';
    assert.equal(error.message, shown);
    const [mail] = await smtp.received(1);
    assert.ok(mail);
    const { text = '', subject = '' } = mail.parsed;
    assert.equal(subject, `[${app.name}] Error in Log in: ${shown}`);
    assert.ok(
      text.includes('Arguments  [{"user":"mrossi","password":"[redacted]"},"[redacted]"]'),
      text,
    );
    assert.doesNotMatch(text + mail.raw + String(error.stack), /ss\/word|ss%2Fword|4711/);
  });
});

test('what is hidden is hidden before anything is cut', async () => {
  await using smtp = await TestSmtp.start();
  const app = mailApp(smtp);
  const secret = 'SECRET-4711  with\nlines';
  const tell = app.task({ name: 'tell', redact: [0] }, async (hidden: string) => {
    const subject = `${'x'.repeat(195)}${hidden}`;
    const text = `${'y'.repeat(19_995)}${hidden}`;
    await app.sendMail({ to: 'owner@bank.example', subject, text });
  });
  await withWorker(app, async () => {
    await (await tell.delay(secret)).get();
    const [mail] = await smtp.received(1);
    assert.equal(mail?.parsed.subject, `${'x'.repeat(195)}[red…`);
    assert.equal(mail.parsed.text?.trim(), `${'y'.repeat(19_995)}[red…`);
  });
});

test('an account that is missing, and an address that is greylisted, are tried again', async () => {
  let refusals = 2;
  const refuse = (responseCode: number, text: string) =>
    refusals-- > 0 ? Object.assign(new Error(text), { responseCode }) : null;
  await using smtp = await TestSmtp.start({
    onMailFrom: (_address, _session, done) => done(refuse(530, 'authentication required')),
    onRcptTo: ({ address }, _session, done) =>
      done(address.startsWith('maria@') ? refuse(451, 'greylisted') : null),
  });
  const app = mailApp(smtp, { admins: ADMINS });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'for both');
    const mails = await smtp.received(2);
    assert.deepEqual(mails.flatMap(({ to }) => to).toSorted(), [
      'maria@admins.example',
      'ops@admins.example',
    ]);
  });
});

test('a mail server that hangs keeps no task and no result waiting', async () => {
  await using smtp = await TestSmtp.start({ onMailFrom: () => {} });
  const app = mailApp(smtp);
  const task = app.register(new FailTask());
  const trivial = app.task({ name: 'trivial' }, async () => 'done');
  await using _app = app;
  await using _worker = await startWorker(app, { concurrency: 2, grace: '1s' });
  for (const animal of ['cow', 'goat', 'sheep', 'hen']) await fail(task, `the ${animal} is lost`);
  // the mails wait 30 s for an answer
  assert.equal(await (await trivial.delay()).get({ timeout: '10s' }), 'done');
  assert.equal(smtp.mails.length, 0);
});

test('a refused addressee is given up at once; the others get their mail', async () => {
  await using smtp = await TestSmtp.start({
    onRcptTo({ address }, _session, done) {
      const refused = address.startsWith('gone@');
      done(refused ? Object.assign(new Error('no such user'), { responseCode: 550 }) : null);
    },
  });
  const app = mailApp(smtp, { admins: ['gone@admins.example', 'ops@admins.example'] });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'for whoever is left');
    const [mail] = await smtp.received(1);
    assert.deepEqual(mail?.to, ['ops@admins.example']);
    await app.sendMail({ to: 'gone@admins.example', subject: 'Anybody?', text: 'Nobody' });
    const query = `WorkflowType = '__mail' AND TaskQueue = '${app.name}' AND ExecutionStatus = 'Failed'`;
    while ((await app.client.temporal.workflow.count(query)).count === 0);
    assert.equal(smtp.mails.length, 1);
  });
});

/** A server with accounts and without TLS; `accounts` is what it was sent. */
async function serverWithAccounts() {
  const accounts: string[] = [];
  const left = latch();
  const smtp = await TestSmtp.start({
    authMethods: ['PLAIN'],
    onAuth({ username, password }, _session, done) {
      accounts.push(`${username}:${password}`);
      done(null, { user: username });
    },
    onClose: () => left.open(),
  });
  return { smtp, accounts, left: left.promise };
}

test('the account of the URL is used on this machine', async () => {
  const { smtp, accounts } = await serverWithAccounts();
  await using _smtp = smtp;
  const app = mailApp(smtp, { smtpUrl: `smtp://user:s%40cret@127.0.0.1:${smtp.port}` });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'with an account');
    await smtp.received(1);
    assert.deepEqual(accounts, ['user:s@cret']);
  });
});

test('an account is not sent to another machine without TLS', async () => {
  const { smtp, accounts, left } = await serverWithAccounts();
  await using _smtp = smtp;
  // the same server, by an address that is not known to be this machine's
  const app = mailApp(smtp, { smtpUrl: `smtp://user:secret@0.0.0.0:${smtp.port}` });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, 'with an account');
    await left;
    assert.deepEqual(accounts, []);
    assert.equal(smtp.mails.length, 0);
  });
});

test('a stopping worker does not wait for a mail server that is silent', async () => {
  const reached = latch();
  await using smtp = await TestSmtp.start({
    // the greeting never comes
    onConnect: () => reached.open(),
  });
  const app = mailApp(smtp);
  const task = app.register(new FailTask());
  await using _app = app;
  const worker = await startWorker(app, { grace: '100ms' });
  await fail(task, 'to nobody');
  await reached.promise;
  await worker.stop();
  assert.equal(smtp.mails.length, 0);
});

test('mail settings that are wrong are refused, without the URL', () => {
  const refuses = (mail: MailSettings, message: string) =>
    assert.throws(() => new Sedano('shop', { mail }), { name: 'ConfigError', message });
  refuses(
    { smtpUrl: 'smtp://u:secret@host:25' },
    "app 'shop': mail: expected smtpUrl and from, or neither, got smtpUrl alone",
  );
  refuses(
    { smtpUrl: 'http://u:secret@host', from: 'a@b.example' },
    "app 'shop': mail: smtpUrl: expected a URL such as smtp://localhost:25",
  );
  refuses(
    { smtpUrl: 'smtp://u:secret@host:25?requireTLS=false', from: 'a@b.example' },
    "app 'shop': mail: smtpUrl: expected a URL such as smtp://localhost:25",
  );
  refuses(
    { admins: ['a@b.example, c@d.example'] },
    "app 'shop': mail: admins: expected one mail address, 'Name <mail>' or 'mail'",
  );
  refuses({ period: '10ms' }, "app 'shop': mail: period: expected 1s to 7d, got 10ms");
});

test('addresses that are none are refused before anything is sent', async () => {
  await using app = testApp();
  const mail = { to: 'a@b.example', subject: 'x', text: 'y' };
  const period = '400d';
  await assert.rejects(app.sendMail(mail, { period }), {
    message: 'mail: period: expected 1s to 7d, got 400d',
  });
  await assert.rejects(app.sendMail(mail, { key: '' }), {
    message: 'mail: key: expected a text, got ""',
  });
  for (const to of [
    'a@b.example\r\nBcc: c@d.example',
    'a@b.example,c@d.example',
    'nobody',
    '',
    [],
  ]) {
    await assert.rejects(app.sendMail({ to, subject: 'x', text: 'y' }), { name: 'ConfigError' });
  }
});

test('without a mail server the call fails as it should, and nothing is started', async () => {
  const app = testApp({ mail: { admins: ADMINS } });
  const task = app.register(new FailTask());
  await withWorker(app, async () => {
    await fail(task, uniqueName('unheard'));
    const query = `WorkflowType = '__mail' AND TaskQueue = '${app.name}'`;
    assert.equal((await app.client.temporal.workflow.count(query)).count, 0);
  });
});
