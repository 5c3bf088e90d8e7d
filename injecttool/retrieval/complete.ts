import { SedanoError } from 'sedano';
import type { Database, Queries } from '../database/database.ts';
import { describeStatus, STATUS } from '../database/statuses.ts';
import type { Log } from '../log.ts';
import { type BiosampleSubmission, findRows } from './biosample-submission.ts';
import { type MailOwner, type OwnerMail, writeOwnerMail } from './owner-mail.ts';
import {
  hasOutcome,
  lockSubmission,
  type Outcome,
  type UidSubmission,
  writeOutcome,
} from './uid-submission.ts';
import { rebuildSummaryMessages } from './validation-tables.ts';

export interface CompleteRetrievalOptions {
  database: Database;
  /** `uid_submission.id` */
  submissionId: number;
  log: Log;
  mailOwner: MailOwner;
  /**
   * Whether the same call has run before, to wherever it came: its mail may never have gone out.
   * @default false
   */
  repeated?: boolean;
  now?: () => Date;
}

/**
 * Brings a UID submission to what its rows at BioSamples have come to, and tells its owner when that is
 * Error or Need Revision. The mail goes out after the tables are written, by the run that wrote them: another
 * call that finds them written sends none. A run that is stopped in between and repeated sends it, one that
 * is stopped after it sends it twice.
 *
 * @throws {SedanoError} when there is no such submission.
 */
export async function completeRetrieval(options: CompleteRetrievalOptions): Promise<void> {
  const mail = await options.database.transaction((tx) => settleSubmission(tx, options));
  if (mail) await options.mailOwner(mail);
}

/** What the rows of a submission come to together; undefined while that is open. */
export function decideOutcome(
  rows: readonly Pick<BiosampleSubmission, 'status' | 'message'>[],
): Outcome | undefined {
  const statuses = new Set(rows.map(({ status }) => status));
  if (statuses.has(STATUS.submitted)) return undefined;
  for (const status of [STATUS.error, STATUS.needRevision]) {
    if (statuses.has(status)) return { status, message: joinMessages(rows, status) };
  }
  if (statuses.size !== 1 || !statuses.has(STATUS.completed)) return undefined;
  return { status: STATUS.completed, message: joinMessages(rows, STATUS.completed) };
}

function joinMessages(
  rows: readonly Pick<BiosampleSubmission, 'status' | 'message'>[],
  status: number,
): string {
  const messages = rows.filter((row) => row.status === status).map(({ message }) => message ?? '');
  return [...new Set(messages)].filter((message) => message !== '').join('\n');
}

async function settleSubmission(
  tx: Queries,
  { submissionId, log, repeated = false, now = () => new Date() }: CompleteRetrievalOptions,
): Promise<OwnerMail | undefined> {
  const submission = await lockSubmission(tx, submissionId);
  if (!submission) throw new SedanoError(`there is no UID submission ${submissionId}`);
  const outcome = decideOutcome(await findRows(tx, submissionId));
  if (!outcome) {
    log.info(`UID submission ${submissionId} is not yet finished`);
    return undefined;
  }
  if (submission.status === STATUS.submitted) {
    await writeOutcome(tx, submissionId, outcome, now());
    if (outcome.status !== STATUS.completed) await rebuildSummaryMessages(tx, submissionId);
    log.info(`UID submission ${submissionId} is now ${describeStatus(outcome.status)}`);
  } else if (!hasOutcome(submission, outcome)) {
    // its owner works on it already, or another run has failed: neither may be written over
    const status = describeStatus(submission.status);
    log.warn(`UID submission ${submissionId} is ${status} by now: left alone`);
    return undefined;
  } else if (!repeated) {
    // two calls were queued at once: the other one tells the owner
    log.info(`UID submission ${submissionId} was settled by another call`);
    return undefined;
  }
  return outcomeMail(submission, outcome);
}

function outcomeMail(
  { id, email }: UidSubmission,
  { status, message }: Outcome,
): OwnerMail | undefined {
  if (status === STATUS.completed) return undefined;
  const introduction =
    status === STATUS.error
      ? 'Something went wrong with your biosample submission. Please report this to the InjectTool team:'
      : 'Some items of your biosample submission need revision:';
  return writeOwnerMail({
    to: email,
    subject: `Error in biosample submission ${id}`,
    body: `${introduction}\n\n${message}`,
  });
}
