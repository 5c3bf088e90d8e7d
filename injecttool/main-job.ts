import { app } from './app.ts';
import { addPendingSubmission, hasPendingSubmission } from './database/demo.ts';
import type { Database } from './database/index.ts';
import { describeStatus, STATUS } from './database/statuses.ts';
import { useDatabase } from './resources.ts';
import { cleanUpTask } from './tasks/cleanup.ts';
import { cleanupregistration } from './tasks/registrations.ts';
import { clearsessions } from './tasks/sessions.ts';
import { fetchStatusTask } from './tasks/retrieval.ts';
import type { UsiServer } from './usi/server.ts';

interface MainJobOptions {
  say: (line?: string) => void;
  /** The project's own USI server, where it stands in for EBI's. */
  usiServer: Pick<UsiServer, 'addSubmission'> | undefined;
  /** Whether there is a USI at all to ask. */
  hasUsi: boolean;
}

/** Does each thing that InjectTool does, once, and says what happened. */
export async function runMainJob({ say, usiServer, hasUsi }: MainJobOptions): Promise<void> {
  const database = await useDatabase();
  if (usiServer && !(await hasPendingSubmission(database))) {
    const { submissionId } = await addPendingSubmission(database, usiServer);
    say(`UID submission ${submissionId} was added: it waits for BioSamples.`);
  }

  say('clearsessions.run(), inline in this process:');
  say(`  ${await clearsessions.run()}`);

  say('cleanupregistration.delay() and cleanUpTask.delay():');
  const cleanUps = await Promise.all([cleanupregistration.delay(), cleanUpTask.delay()]);
  for (const cleanUp of cleanUps) say(`  ${await cleanUp.get()}`);

  if (hasUsi) {
    say('fetchStatusTask.delay(), a durable call:');
    await showFetch(database, say);
    say('fetchStatusTask.delay(), twice at once:');
    await showTwoFetches(say);
  }
  if (usiServer) {
    say('and again, until BioSamples has answered:');
    await showChanges(database, say, () => fetchUntilAnswered(database));
  }

  say('The routines:');
  for (const { name, crontab, timezone, nextLocal } of await app.listRoutines()) {
    say(
      `  ${name}: ${crontab ?? 'edited'} in ${timezone}, next ${nextLocal.slice(0, 3).join(', ')}`,
    );
  }
}

/** Shows a call become ready, and what it changed. */
async function showFetch(database: Database, say: MainJobOptions['say']): Promise<void> {
  await showChanges(database, say, async () => {
    const result = await fetchStatusTask.delay();
    say(`  ${result.id}`);
    say(`  ready: ${await result.ready()}, state: ${await result.state()}`);
    const value = await result.get();
    say(`  ready: ${await result.ready()}, state: ${await result.state()}, value: ${value}`);
  });
}

/** Shows that the task is exclusive. */
async function showTwoFetches(say: MainJobOptions['say']): Promise<void> {
  const results = await Promise.all([fetchStatusTask.delay(), fetchStatusTask.delay()]);
  // whichever came first
  for (const result of results.toSorted((a, b) => Number(b.accepted) - Number(a.accepted))) {
    say(`  ${result.accepted ? 'accepted' : 'refused '}  ${await result.get()}`);
  }
}

// Draft, validated, Submitted, Processing, Completed: each is seen once, and the follow-up takes a moment
const MOST_FETCHES = 20;

async function fetchUntilAnswered(database: Database): Promise<void> {
  for (let fetch = 0; fetch < MOST_FETCHES; fetch++) {
    const waiting = await database.query('SELECT id FROM uid_submission WHERE status = $1', [
      STATUS.submitted,
    ]);
    if (waiting.length === 0) return;
    const result = await fetchStatusTask.delay();
    await result.get();
  }
}

/** Says which submissions are others after `work` than before. */
async function showChanges(
  database: Database,
  say: MainJobOptions['say'],
  work: () => Promise<void>,
): Promise<void> {
  const before = await submissionLines(database);
  await work();
  const after = await submissionLines(database);
  const changed = [...after].filter(([id, line]) => before.get(id) !== line);
  if (changed.length === 0) say('  nothing changed in the database');
  for (const [id, line] of changed) {
    say(`  - ${before.get(id) ?? 'none'}`);
    say(`  + ${line}`);
  }
}

/** A line for each submission at BioSamples, by its id. */
async function submissionLines(database: Database): Promise<Map<number, string>> {
  const rows = await database.query<SubmissionRow>(
    `SELECT b.id, b.status, b.samples_status, u.id AS uid, u.status AS uid_status,
            (SELECT count(*)::int FROM uid_animal a
              WHERE a.submission_id = u.id AND a.biosample_id IS NOT NULL) AS accessions
       FROM biosample_submission b JOIN uid_submission u ON u.id = b.uid_submission_id
      ORDER BY b.id`,
  );
  return new Map(rows.map((row) => [row.id, submissionLine(row)]));
}

interface SubmissionRow {
  id: number;
  status: number;
  samples_status: Record<string, number> | null;
  /** Of the UID submission it belongs to. */
  uid: number;
  uid_status: number;
  /** Animals of it that have an accession. */
  accessions: number;
}

function submissionLine({
  id,
  status,
  samples_status,
  uid,
  uid_status,
  accessions,
}: SubmissionRow): string {
  const samples = Object.entries(samples_status ?? {}).map(([name, count]) => `${count} ${name}`);
  return (
    `UID submission ${uid} ${describeStatus(uid_status)}, biosample submission ${id} ${describeStatus(status)}; ` +
    `validation: ${samples.join(', ') || 'not looked at'}; ${accessions} animals with accession`
  );
}
