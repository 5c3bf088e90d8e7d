import type { Database } from '../database/database.ts';
import type { Log } from '../log.ts';

export interface ClearSessionsOptions {
  database: Database;
  now: () => Date;
  log: Log;
  /**
   * How many sessions one statement deletes, so that none holds its locks for long.
   * @default 1000
   */
  batchSize?: number;
  /** Checked between batches. */
  signal?: AbortSignal;
}

/** Deletes the sessions that have expired; resolves to how many. What is deleted stays deleted when it is stopped. */
export async function clearSessions({
  database,
  now,
  log,
  batchSize = 1_000,
  signal,
}: ClearSessionsOptions): Promise<number> {
  // one moment for all batches: sessions that expire meanwhile are the next run's
  const expiredBefore = now();
  let deleted = 0;
  for (;;) {
    signal?.throwIfAborted();
    const inBatch = await deleteBatch(database, expiredBefore, batchSize);
    if (inBatch === 0) break;
    deleted += inBatch;
    log.debug(`${deleted} expired sessions deleted so far`);
  }
  log.info(`${deleted} expired sessions deleted`);
  return deleted;
}

async function deleteBatch(
  database: Database,
  expiredBefore: Date,
  batchSize: number,
): Promise<number> {
  const rows = await database.query<{ session_key: string }>(
    `DELETE FROM django_session
      WHERE session_key IN (
        SELECT session_key FROM django_session WHERE expire_date < $1 ORDER BY expire_date LIMIT $2
      )
      -- a session that was renewed meanwhile lives on
      AND expire_date < $1
      RETURNING session_key`,
    [expiredBefore, batchSize],
  );
  return rows.length;
}
