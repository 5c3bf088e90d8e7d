import type { Queries } from '../database/database.ts';
import { STATUS, type Status } from '../database/statuses.ts';

/** A row of `uid_submission` with the mail address of its owner. */
export interface UidSubmission {
  id: number;
  status: number;
  message: string | null;
  email: string;
}

/** What a UID submission comes to. */
export interface Outcome {
  status: Status;
  message: string;
}

/** The ids of the submissions that wait for BioSamples. */
export async function findSubmittedIds(database: Queries): Promise<number[]> {
  const rows = await database.query<{ id: number }>(
    'SELECT id FROM uid_submission WHERE status = $1 ORDER BY id',
    [STATUS.submitted],
  );
  return rows.map(({ id }) => id);
}

/** The submission, locked until the transaction ends; undefined when it is gone. */
export async function lockSubmission(tx: Queries, id: number): Promise<UidSubmission | undefined> {
  const [submission] = await tx.query<UidSubmission>(
    `SELECT s.id, s.status, s.message, u.email
       FROM uid_submission s JOIN auth_user u ON u.id = s.owner_id
      WHERE s.id = $1
        FOR UPDATE OF s`,
    [id],
  );
  return submission;
}

/** Whether another run has written exactly this: of another call, or of the same one, stopped before it ended. */
export function hasOutcome(submission: UidSubmission, { status, message }: Outcome): boolean {
  return submission.status === status && submission.message === message;
}

export async function writeOutcome(
  tx: Queries,
  id: number,
  { status, message }: Outcome,
  at: Date,
): Promise<void> {
  await tx.query(
    'UPDATE uid_submission SET status = $2, message = $3, updated_at = $4 WHERE id = $1',
    [id, status, message, at],
  );
}
