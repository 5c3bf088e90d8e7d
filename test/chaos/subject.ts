// A process that takes the lock again and again, inline or as a worker, until it is told to stop. Its settings are one
// JSON argument: see SubjectSettings in subjects.ts.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { startWorker } from 'sedano/worker';
import { Journal } from './journal.ts';
import { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { chaosApp, sectionTask } from './subject-app.ts';
import type { SubjectSettings, SubjectOrder } from './subjects.ts';

const settings = JSON.parse(process.argv[2] ?? '') as SubjectSettings;
const app = chaosApp(settings.app);
using journal = new Journal(settings.journal);
await using ledger = await Ledger.open(settings.ledgerUrl);
const { seed } = settings;
const section = sectionTask(app, { journal, ledger, seed, leaseMs: settings.app.leaseMs });

const stop = new AbortController();
process.on('message', (order: SubjectOrder) => {
  if (order.kind === 'stop') stop.abort();
  else block(order.ms);
});
process.on('disconnect', () => process.exit());

/** Keeps the event loop from turning. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

await (settings.role === 'worker' ? work() : callInline());
await app.close();
console.log('done');
process.disconnect();

async function work(): Promise<void> {
  await using _worker = await startWorker(app, { concurrency: 10, grace: '5s' });
  console.log('ready');
  await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
}

async function callInline(): Promise<void> {
  console.log('ready');
  await Promise.all([callAgain('wait'), callAgain('wait'), callAgain('message')]);
}

async function callAgain(onBusy: 'wait' | 'message'): Promise<void> {
  const random = new Random(seed + (onBusy === 'wait' ? 1 : 2));
  while (!stop.signal.aborted) {
    const call = `inline/${randomUUID()}`;
    journal.write({ what: 'ended', outcome: await outcomeOf(call, onBusy) });
    await delay(random.between(5, onBusy === 'wait' ? 100 : 300));
  }
}

async function outcomeOf(call: string, onBusy: 'wait' | 'message'): Promise<string> {
  try {
    const value = await section.apply([call], { onBusy });
    return value === call ? 'ok' : value;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}
