// Records one history for each way a call can go, for test/replay.test.ts: node … scripts/record-histories.ts VERSION
// Needs a Temporal at TEMPORAL_ADDRESS. Histories of earlier releases stay: they must replay for ever.
import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { currentTask, Sedano, type AsyncResult } from 'sedano';
import { startWorker } from 'sedano/worker';
import { TestSmtp } from '../test/helpers/smtp.ts';

const [version = 'unreleased'] = process.argv.slice(2);
const folder = new URL('../test/histories/', import.meta.url);

await using smtp = await TestSmtp.start();
await using app = new Sedano(`histories-${process.pid}`, {
  lock: { recoveryGuard: false },
  mail: { smtpUrl: smtp.url, from: 'noreply@sedano.example', period: '1s' },
});
const succeeds = app.task({ name: 'succeeds' }, async (a: number, b: number) => a + b);
const fails = app.task({ name: 'fails' }, async () => {
  throw withoutStack(new TypeError('as it should'));
});
const retries = app.task(
  { name: 'retries', autoretryFor: [RangeError], retryDelay: '10ms' },
  async () => {
    if (currentTask().retries === 0) throw withoutStack(new RangeError('once more'));
    return 'done';
  },
);
const waits = app.task({ name: 'is revoked' }, async () => {
  await delay(60_000, undefined, { signal: currentTask().signal });
});

const takesTurns = app.task(
  { name: 'takes turns', exclusive: { lockId: 'turn', onBusy: 'wait' } },
  async () => {
    await delay(1_000);
    return 'done';
  },
);

await using _worker = await startWorker(app, { grace: '1s' });
await mkdir(folder, { recursive: true });
await record('succeeds', await succeeds.delay(1, 2));
await record('fails', await fails.delay());
await record('retries', await retries.delay());
const revoked = await waits.delay();
while ((await revoked.state()) !== 'STARTED') await delay(50);
await revoked.revoke();
await record('revoked', revoked);
await record('mail', await mail());
const [, parked] = [await takesTurns.delay(), await takesTurns.delay()];
await record('parked', parked);

/** The workflow of a mail, and of one that repeats it. */
async function mail(): Promise<AsyncResult> {
  const hello = { to: 'owner@bank.example', subject: 'Hello', text: 'Hello' };
  await app.sendMail(hello);
  await smtp.received(1);
  await app.sendMail(hello);
  await smtp.received(2);
  const query = `WorkflowType = '__mail' AND TaskQueue = '${app.name}'`;
  for (;;) {
    for await (const { workflowId, runId } of app.client.temporal.workflow.list({ query })) {
      return app.result(workflowId, { runId });
    }
  }
}

/** A stack would carry the paths of one machine into the history. */
function withoutStack(error: Error): Error {
  return Object.assign(error, { stack: String(error) });
}

async function record(name: string, result: AsyncResult): Promise<void> {
  await result.get().catch(() => {});
  const history = await app.client.temporal.workflow
    .getHandle(result.id, result.runId)
    .fetchHistory();
  // who ran it is nobody's business
  const text = historyToJSON(history).replaceAll(/"\d+@[^"]*"/g, '"worker"');
  await writeFile(new URL(`${version}-${name}.json`, folder), `${text}\n`);
}
