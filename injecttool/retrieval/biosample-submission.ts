import type { Database, Queries } from '../database/database.ts';
import { STATUS, type Status } from '../database/statuses.ts';

const COLUMNS =
  'id, uid_submission_id, usi_submission_name, status, message, samples_count, samples_status, updated_at';

/** A row of `biosample_submission`: the part of a UID submission that went to USI under one name. */
export interface BiosampleSubmission {
  id: number;
  uid_submission_id: number;
  usi_submission_name: string | null;
  status: number;
  message: string | null;
  samples_count: number;
  /** How many validation results have which `validationStatus`. */
  samples_status: Record<string, number> | null;
  updated_at: Date;
}

/** The rows of one UID submission that wait for BioSamples. */
export async function findSubmittedRows(
  database: Queries,
  uidSubmissionId: number,
): Promise<BiosampleSubmission[]> {
  return await database.query<BiosampleSubmission>(
    `SELECT ${COLUMNS} FROM biosample_submission
      WHERE uid_submission_id = $1 AND status = $2 ORDER BY id`,
    [uidSubmissionId, STATUS.submitted],
  );
}

/** All rows of one UID submission, whatever their status. */
export async function findRows(
  database: Queries,
  uidSubmissionId: number,
): Promise<BiosampleSubmission[]> {
  return await database.query<BiosampleSubmission>(
    `SELECT ${COLUMNS} FROM biosample_submission WHERE uid_submission_id = $1 ORDER BY id`,
    [uidSubmissionId],
  );
}

/** The row as it is now; undefined when it is gone. */
export async function rereadRow(
  database: Queries,
  id: number,
): Promise<BiosampleSubmission | undefined> {
  const [row] = await database.query<BiosampleSubmission>(
    `SELECT ${COLUMNS} FROM biosample_submission WHERE id = $1`,
    [id],
  );
  return row;
}

/**
 * Runs `work` in one transaction with the row locked, unless its status has changed while USI was asked:
 * then somebody else has dealt with it, and the result is false.
 */
export async function changeSubmittedRow(
  database: Database,
  id: number,
  work: (tx: Queries) => Promise<void>,
): Promise<boolean> {
  return await database.transaction(async (tx) => {
    const [row] = await tx.query<{ status: number }>(
      'SELECT status FROM biosample_submission WHERE id = $1 FOR UPDATE',
      [id],
    );
    if (row?.status !== STATUS.submitted) return false;
    await work(tx);
    return true;
  });
}

export async function writeRowStatus(
  tx: Queries,
  id: number,
  { status, message }: { status: Status; message: string },
  at: Date,
): Promise<void> {
  await tx.query(
    'UPDATE biosample_submission SET status = $2, message = $3, updated_at = $4 WHERE id = $1',
    [id, status, message, at],
  );
}

/** Only to be called when the counts differ: it moves `updated_at`, by which a row is found to be stuck. */
export async function writeSamplesStatus(
  tx: Queries,
  id: number,
  counts: Record<string, number>,
  at: Date,
): Promise<void> {
  await tx.query(
    'UPDATE biosample_submission SET samples_status = $2, updated_at = $3 WHERE id = $1',
    [id, JSON.stringify(counts), at],
  );
}
