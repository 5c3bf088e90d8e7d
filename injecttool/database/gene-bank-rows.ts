import type { Queries } from './database.ts';
import { STATUS, type Status } from './statuses.ts';

/** Rows that a UID submission consists of, for the embedded database's first rows and for new submissions there. */
export interface NewUidSubmission {
  title: string;
  description: string;
  ownerId: number;
  status: Status;
  message: string | null;
  at: Date;
}

export interface NewBiosampleSubmission {
  uidSubmissionId: number;
  name: string;
  status: Status;
  message: string | null;
  samplesCount: number;
  samplesStatus: Record<string, number>;
  at: Date;
}

/** An animal, or a sample of the animal `animalId`. */
export interface NewObject {
  submissionId: number;
  name: string;
  status: Status;
  biosampleId?: string;
  animalId?: number;
  /** What the validation found; without it the object has passed. */
  errors?: string[];
}

export async function insertUidSubmission(tx: Queries, row: NewUidSubmission): Promise<number> {
  return await insertedId(
    tx,
    `INSERT INTO uid_submission
        (title, project, description, status, message, owner_id, created_at, updated_at)
      VALUES ($1, 'IMAGE', $2, $3, $4, $5, $6, $6) RETURNING id`,
    [row.title, row.description, row.status, row.message, row.ownerId, row.at],
  );
}

export async function insertBiosampleSubmission(
  tx: Queries,
  row: NewBiosampleSubmission,
): Promise<number> {
  return await insertedId(
    tx,
    `INSERT INTO biosample_submission
        (uid_submission_id, usi_submission_name, status, message, samples_count, samples_status,
         created_at, updated_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING id`,
    [
      row.uidSubmissionId,
      row.name,
      row.status,
      row.message,
      row.samplesCount,
      JSON.stringify(row.samplesStatus),
      row.at,
    ],
  );
}

/** Inserts the object with its validation result; returns its id. */
export async function insertObject(tx: Queries, row: NewObject): Promise<number> {
  const columns = [row.name, row.status, row.biosampleId ?? null, row.submissionId];
  const id =
    row.animalId === undefined
      ? await insertedId(
          tx,
          `INSERT INTO uid_animal (name, status, biosample_id, submission_id)
            VALUES ($1, $2, $3, $4) RETURNING id`,
          columns,
        )
      : await insertedId(
          tx,
          `INSERT INTO uid_sample (name, status, biosample_id, submission_id, animal_id)
            VALUES ($1, $2, $3, $4, $5) RETURNING id`,
          [...columns, row.animalId],
        );
  await tx.query(
    `INSERT INTO validation_validationresult
        (submission_id, content_type_id, object_id, status, messages)
      SELECT $1, id, $2, $3, $4 FROM django_content_type WHERE app_label = 'uid' AND model = $5`,
    [
      row.submissionId,
      id,
      row.errors ? 'Error' : 'Pass',
      row.errors ?? [],
      row.animalId === undefined ? 'animal' : 'sample',
    ],
  );
  return id;
}

/** Counts the animals and samples of a submission into its two validation summaries. */
export async function insertSummaries(tx: Queries, submissionId: number): Promise<void> {
  await tx.query(
    `INSERT INTO validation_validationsummary
        (submission_id, type, all_count, validation_known_count, issues_count, pass_count,
         warning_count, error_count, messages)
      SELECT $1, t.model, count(r.id), count(r.id), count(r.id) FILTER (WHERE r.status = 'Error'),
             count(r.id) FILTER (WHERE r.status = 'Pass'), 0,
             count(r.id) FILTER (WHERE r.status = 'Error'), '{}'
        FROM django_content_type t
        LEFT JOIN validation_validationresult r ON r.content_type_id = t.id AND r.submission_id = $1
       WHERE t.app_label = 'uid' AND t.model IN ('animal', 'sample')
       GROUP BY t.model`,
    [submissionId],
  );
}

/** Whether a submission waits for BioSamples, so that "Fetch USI status" has something to do. */
export async function hasPendingSubmission(database: Queries): Promise<boolean> {
  const rows = await database.query<{ id: number }>(
    `SELECT u.id FROM uid_submission u JOIN biosample_submission b ON b.uid_submission_id = u.id
      WHERE u.status = $1 AND b.status = $1 LIMIT 1`,
    [STATUS.submitted],
  );
  return rows.length > 0;
}

async function insertedId(tx: Queries, text: string, values: unknown[]): Promise<number> {
  const [row] = await tx.query<{ id: number }>(text, values);
  if (!row) throw new Error('an INSERT … RETURNING id returned no row');
  return row.id;
}
