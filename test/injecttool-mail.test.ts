import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startWorker, type RunningWorker } from 'sedano/worker';
import { startUsiServer } from '../injecttool/usi/server.ts';
import { uniqueName } from './helpers/harness.ts';
import { PrivateRedis } from './helpers/private-redis.ts';
import { TestSmtp } from './helpers/smtp.ts';
import { temporal } from './helpers/temporal-cli.ts';

// the application as it is, with its name and its queue: so in a namespace of its own
const namespace = uniqueName('injecttool');
await temporal('operator', 'namespace', 'create', '--namespace', namespace, '--retention', '24h');
const home = await mkdtemp(join(tmpdir(), 'injecttool-mail-'));
const account = { username: 'manager', password: 'a secret' };
const redis = await PrivateRedis.start();
const smtp = await TestSmtp.start();
const usiServer = await startUsiServer({ file: join(home, 'usi.json'), account });
delete process.env['DATABASE_URL'];
Object.assign(process.env, {
  SEDANO_HOME: home,
  REDIS_URL: redis.url,
  TEMPORAL_NAMESPACE: namespace,
  USI_URL: usiServer.url,
  USI_AUTH_URL: usiServer.url,
  USI_MANAGER: account.username,
  USI_MANAGER_PASSWORD: account.password,
  ADMINS: 'Maria Rossi <maria@admins.example>, Jean <jean@admins.example>',
  SMTP_URL: smtp.url,
  DEFAULT_FROM_EMAIL: 'InjectTool <noreply@injecttool.example>',
});
const { app } = await import('../injecttool/app.ts');
const { addPendingSubmission } = await import('../injecttool/database/demo.ts');
const { STATUS } = await import('../injecttool/database/statuses.ts');
const { closeResources, useDatabase } = await import('../injecttool/resources.ts');
const { completeRetrievalProcess, fetchStatusTask } =
  await import('../injecttool/tasks/retrieval.ts');

let worker: RunningWorker;
before(async () => {
  worker = await startWorker(app, { grace: '1s' });
  // a run of the routine would hold the lock, and settle what a test is about to look at
  const { schedule } = app.client.temporal;
  await schedule.getHandle('injecttool/fetch_biosample_status').pause();
});
after(async () => {
  await worker.stop();
  await closeResources();
  await app.close();
  await usiServer.close();
  await smtp[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

async function submission(id: number) {
  const database = await useDatabase();
  const [row] = await database.query<{ status: number; message: string }>(
    'SELECT status, message FROM uid_submission WHERE id = $1',
    [id],
  );
  assert.ok(row);
  return row;
}

/** The mails to this address, once there are `count`. */
async function mailsTo(address: string, count: number) {
  for (let all = 1; ; all += 1) {
    const mails = (await smtp.received(all)).filter(({ to }) => to.includes(address));
    if (mails.length >= count) return mails.map(({ parsed }) => parsed);
  }
}

const MOST_FETCHES = 20;

/** Runs "Fetch USI status" until the submission no longer waits for BioSamples. */
async function fetchUntilSettled(id: number): Promise<void> {
  for (let fetch = 0; fetch < MOST_FETCHES; fetch += 1) {
    await (await fetchStatusTask.delay()).get();
    if ((await submission(id)).status !== STATUS.submitted) return;
  }
  assert.fail(`submission ${id} still waits after ${MOST_FETCHES} fetches`);
}

test('the owner is told of a submission that needs revision', async () => {
  const { submissionId } = await addPendingSubmission(await useDatabase(), usiServer, {
    withErrors: true,
  });
  await fetchUntilSettled(submissionId);
  assert.equal((await submission(submissionId)).status, STATUS.needRevision);
  const [mail] = await mailsTo('mrossi@genebank.example', 1);
  assert.equal(mail?.from?.text, '"InjectTool" <noreply@injecttool.example>');
  assert.equal(mail.subject, `Error in biosample submission ${submissionId}`);
  assert.match(mail.text ?? '', /^Some items of your biosample submission need revision:\n\n\[/);
  assert.match(mail.text ?? '', /the collection date is in the future/);
});

test('the admins are told of a failed "Fetch USI status", with what failed', async () => {
  const database = await useDatabase();
  const { submissionId, name } = await addPendingSubmission(database, usiServer);
  await database.query(
    `UPDATE biosample_submission SET usi_submission_name = 'gone' WHERE uid_submission_id = $1`,
    [submissionId],
  );
  await assert.rejects((await fetchStatusTask.delay()).get(), { type: 'RetrievalError' });
  const [mail] = await mailsTo('maria@admins.example', 1);
  assert.equal(
    mail?.subject,
    '[injecttool] Error in Fetch USI status: 1 failed while fetching the USI status: ' +
      `biosample submission 'gone' of UID submission ${submissionId}: USI knows no submission 'gone'`,
  );
  assert.match(mail.text ?? '', /USI knows no submission 'gone'/);
  assert.doesNotMatch(mail.text ?? '', /a secret|Bearer|Basic /);
  await database.query(
    `UPDATE biosample_submission SET usi_submission_name = $2 WHERE uid_submission_id = $1`,
    [submissionId, name],
  );
});

test('the owner gets the trace of a failed "Complete Retrieval Process", and the submission is Error', async () => {
  const database = await useDatabase();
  const { submissionId } = await addPendingSubmission(database, usiServer);
  await database.query(
    `UPDATE biosample_submission SET status = $2, message = 'stuck' WHERE uid_submission_id = $1`,
    [submissionId, STATUS.error],
  );
  // what the summaries are rebuilt by
  await database.query(`UPDATE django_content_type SET app_label = 'elsewhere'`);
  await assert.rejects((await completeRetrievalProcess.delay(submissionId)).get(), {
    message: 'django_content_type has no row for uid.animal',
  });
  assert.deepEqual(await submission(submissionId), {
    status: STATUS.error,
    message: 'Error in biosample retrieval: django_content_type has no row for uid.animal',
  });
  const mails = await mailsTo('mrossi@genebank.example', 2);
  const mail = mails.at(-1);
  assert.equal(mail?.subject, `Error in biosample retrieval ${submissionId}`);
  assert.match(
    mail.text ?? '',
    /^Something went wrong with the retrieval of your biosample submission\. Please report this to the InjectTool team:\n\nSedanoError: django_content_type has no row for uid\.animal\n {4}at /,
  );
});
