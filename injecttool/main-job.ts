import { app } from './app.ts';
import { addPendingSubmission, hasPendingSubmission } from './database/demo.ts';
import type { Database } from './database/index.ts';
import { describeStatus } from './database/statuses.ts';
import { useDatabase } from './resources.ts';
import { clearsessions } from './tasks/sessions.ts';
import { fetchStatusTask } from './tasks/retrieval.ts';
import type { UsiServer } from './usi/server.ts';

interface MainJobOptions {
  say: (line?: string) => void;
  /** The project's own USI server, where it stands in for EBI's. */
  usiServer: Pick<UsiServer, 'addSubmission'> | undefined;
}

/** Does each thing that InjectTool does, once, and says what happened. */
export async function runMainJob({ say, usiServer }: MainJobOptions): Promise<void> {
  const database = await useDatabase();
  if (usiServer && !(await hasPendingSubmission(database))) {
    const { submissionId } = await addPendingSubmission(database, usiServer);
    say(`UID submission ${submissionId} was added: it waits for BioSamples.`);
  }

  say('clearsessions.run(), inline in this process:');
  say(`  ${await clearsessions.run()}`);

  say('fetchStatusTask.delay(), a durable call:');
  await showFetch(database, say);

  say('fetchStatusTask.delay(), twice at once:');
  const answers = await Promise.all([fetchStatusTask.delay(), fetchStatusTask.delay()]);
  for (const result of answers) {
    say(`  ${result.accepted ? 'accepted' : 'refused '}  ${await result.get()}`);
  }

  say('The routines:');
  for (const { name, crontab, timezone, next } of await app.listRoutines()) {
    const times = next.slice(0, 3).map((time) => wallClock(time, timezone));
    say(`  ${name}: ${crontab} in ${timezone}, next ${times.join(', ')}`);
  }
}

function wallClock(time: Date, timeZone: string): string {
  // the Swedish form is ISO's, with a blank for the T
  return new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'short',
  }).format(time);
}

/** Shows a call become ready, and what it changed. */
async function showFetch(database: Database, say: MainJobOptions['say']): Promise<void> {
  const before = await submissionLines(database);
  const result = await fetchStatusTask.delay();
  say(`  ${result.id}`);
  say(`  ready: ${await result.ready()}, state: ${await result.state()}`);
  const value = await result.get();
  say(`  ready: ${await result.ready()}, state: ${await result.state()}, value: ${value}`);
  const after = await submissionLines(database);
  for (const [id, line] of after) {
    if (before.get(id) === line) continue;
    say(`  - ${before.get(id)}`);
    say(`  + ${line}`);
  }
}

/** A line for each submission at BioSamples, by its id. */
async function submissionLines(database: Database): Promise<Map<number, string>> {
  const rows = await database.query<{
    id: number;
    status: number;
    message: string | null;
    samples_status: Record<string, number> | null;
    accessions: number;
  }>(
    `SELECT b.id, b.status, b.message, b.samples_status,
            (SELECT count(*)::int FROM uid_animal a
              WHERE a.submission_id = b.uid_submission_id AND a.biosample_id IS NOT NULL) AS accessions
       FROM biosample_submission b ORDER BY b.id`,
  );
  return new Map(
    rows.map(({ id, status, message, samples_status, accessions }) => [
      id,
      `biosample_submission ${id}: ${describeStatus(status)}, samples ${JSON.stringify(samples_status ?? {})}, ` +
        `${accessions} animals with accession, "${message ?? ''}"`,
    ]),
  );
}
