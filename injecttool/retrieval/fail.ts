import type { Database, Queries } from '../database/database.ts';
import { describeStatus, STATUS } from '../database/statuses.ts';
import type { Log } from '../log.ts';
import { type MailOwner, type OwnerMail, writeOwnerMail } from './owner-mail.ts';
import { hasOutcome, lockSubmission, type Outcome, writeOutcome } from './uid-submission.ts';

export interface FailRetrievalOptions {
  database: Database;
  /** `uid_submission.id` */
  submissionId: number;
  /** What made the retrieval fail. */
  error: unknown;
  log: Log;
  mailOwner: MailOwner;
  /**
   * Whether this was begun before for the same call: its mail may never have gone out.
   * @default false
   */
  repeated?: boolean;
  now?: () => Date;
}

/**
 * After a failed "Complete Retrieval Process": the submission becomes Error, so that it does not stay Submitted
 * for ever, and its owner gets the trace. A submission that is no longer Submitted is left alone, and nobody is told.
 */
export async function failRetrieval(options: FailRetrievalOptions): Promise<void> {
  const mail = await options.database.transaction((tx) => markFailed(tx, options));
  if (mail) await options.mailOwner(mail);
}

async function markFailed(
  tx: Queries,
  { submissionId, error, log, repeated = false, now = () => new Date() }: FailRetrievalOptions,
): Promise<OwnerMail | undefined> {
  const submission = await lockSubmission(tx, submissionId);
  if (!submission) {
    log.error(`there is no UID submission ${submissionId} that could have failed`);
    return undefined;
  }
  const reason = error instanceof Error ? error.message : String(error);
  const message = `Error in biosample retrieval: ${reason}`;
  const outcome: Outcome = { status: STATUS.error, message };
  if (submission.status === STATUS.submitted) {
    await writeOutcome(tx, submissionId, outcome, now());
    log.error(`UID submission ${submissionId}: ${message}`);
  } else if (!hasOutcome(submission, outcome)) {
    const status = describeStatus(submission.status);
    log.warn(`UID submission ${submissionId} is ${status} by now: left alone`);
    return undefined;
  } else if (!repeated) {
    // another call has failed in the same way, and tells the owner
    return undefined;
  }
  return writeOwnerMail({
    to: submission.email,
    subject: `Error in biosample retrieval ${submissionId}`,
    body:
      'Something went wrong with the retrieval of your biosample submission. ' +
      `Please report this to the InjectTool team:\n\n${describeTrace(error)}`,
  });
}

function describeTrace(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
