import { type BiosampleSubmission, findSubmittedRows } from './biosample-submission.ts';
import { combineFailures, type RetrievalFailure } from './errors.ts';
import { lookAtRow, type LookOptions } from './look-at-row.ts';
import { findSubmittedIds } from './uid-submission.ts';

export interface FetchStatusOptions extends LookOptions {
  /** Starts "Complete Retrieval Process" for one UID submission. */
  startRetrieval: (submissionId: number) => Promise<void>;
  /** Checked before each row. */
  signal?: AbortSignal;
}

/**
 * Looks at every submission that waits for BioSamples, and starts the follow-up of each. What fails does not
 * keep the others from being looked at.
 *
 * @throws {RetrievalConnectionError} at the end when anything failed, at least once for want of a connection
 *   to USI; it is a {@link UsiConnectionError}, and names every failure.
 * @throws {RetrievalError} at the end when anything failed for other reasons only.
 */
export async function fetchStatus(options: FetchStatusOptions): Promise<void> {
  const failures: RetrievalFailure[] = [];
  for (const submissionId of await findSubmittedIds(options.database)) {
    await fetchSubmission(options, submissionId, failures);
  }
  if (failures.length > 0) throw combineFailures(failures);
}

async function fetchSubmission(
  options: FetchStatusOptions,
  submissionId: number,
  failures: RetrievalFailure[],
): Promise<void> {
  const { database, log, signal } = options;
  const attempt = async (subject: string, work: () => Promise<void>) => {
    signal?.throwIfAborted();
    try {
      await work();
    } catch (error) {
      log.error(`${subject}: ${error instanceof Error ? error.message : String(error)}`);
      failures.push({ subject, error });
    }
  };

  let rows: BiosampleSubmission[] = [];
  await attempt(`rows of UID submission ${submissionId}`, async () => {
    rows = await findSubmittedRows(database, submissionId);
  });
  for (const { id, usi_submission_name: name } of rows) {
    const subject = `biosample submission '${name}' of UID submission ${submissionId}`;
    await attempt(subject, () => lookAtRow(options, id));
  }
  // also when a row failed, or when none is left: an earlier run may have been stopped before this point
  await attempt(`follow-up of UID submission ${submissionId}`, async () => {
    await options.startRetrieval(submissionId);
    log.info(`started the follow-up of UID submission ${submissionId}`);
  });
}
