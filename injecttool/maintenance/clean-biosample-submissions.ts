import type { Database, Queries } from '../database/database.ts';
import { STATUS } from '../database/statuses.ts';
import type { Log } from '../log.ts';
import { deleteEach } from './delete-each.ts';
import { deleteDependents } from './dependents.ts';

/** The original's CLEANUP_DAYS. */
const KEPT_DAYS = 30;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What was sent under a submission's name (biosample/models.py: SubmissionData, on_delete=CASCADE). */
const SENT = { table: 'biosample_submissiondata', column: 'submission_id' };

export interface CleanBiosampleSubmissionsOptions {
  database: Database;
  now: () => Date;
  log: Log;
  /** Checked before each row. */
  signal?: AbortSignal;
}

/**
 * Deletes the Completed rows of `biosample_submission` that were not updated for 30 days; resolves to how many.
 *
 * @throws {RowsKeptError} at the end, naming the rows that other tables of the Django database still refer to.
 */
export async function cleanBiosampleSubmissions({
  database,
  now,
  log,
  signal,
}: CleanBiosampleSubmissionsOptions): Promise<number> {
  const updatedBefore = new Date(now().getTime() - KEPT_DAYS * DAY_MS);
  const old = await database.query<{ id: number }>(
    'SELECT id FROM biosample_submission WHERE status = $1 AND updated_at < $2 ORDER BY id',
    [STATUS.completed, updatedBefore],
  );
  return await deleteEach({
    database,
    log,
    row: 'biosample submission',
    what: 'old completed biosample submissions',
    ids: old.map(({ id }) => id),
    deleteRow: (tx, id) => deleteSubmission(tx, id, updatedBefore),
    signal,
  });
}

/** False when the row has been updated meanwhile, or is gone. */
async function deleteSubmission(tx: Queries, id: number, updatedBefore: Date): Promise<boolean> {
  const [row] = await tx.query(
    `SELECT id FROM biosample_submission WHERE id = $1 AND status = $2 AND updated_at < $3
      FOR UPDATE`,
    [id, STATUS.completed, updatedBefore],
  );
  if (!row) return false;
  await deleteDependents(tx, SENT, id);
  await tx.query('DELETE FROM biosample_submission WHERE id = $1', [id]);
  return true;
}
