import type { Database } from '../database/database.ts';
import { describeStatus, STATUS } from '../database/statuses.ts';
import type { Log } from '../log.ts';
import type { UsiClient, UsiSubmission } from '../usi/client.ts';
import { UsiDataError } from '../usi/errors.ts';
import {
  type BiosampleSubmission,
  changeSubmittedRow,
  rereadRow,
  writeRowStatus,
} from './biosample-submission.ts';
import { completeRow } from './complete-row.ts';
import { checkDraft } from './draft.ts';

const MAX_DAYS = 5;
const DAY_MS = 24 * 60 * 60 * 1000;

export interface LookOptions {
  database: Database;
  usi: UsiClient;
  now: () => Date;
  log: Log;
}

/** One row that is being looked at, with what USI says of it. */
export interface Look extends LookOptions {
  row: BiosampleSubmission;
  submission: UsiSubmission;
}

/** Asks USI for the submission of one row of `biosample_submission` and acts on its status. */
export async function lookAtRow(options: LookOptions, id: number): Promise<void> {
  const { database, usi, log } = options;
  const row = await rereadRow(database, id);
  if (row?.status !== STATUS.submitted) {
    const now = row ? `is ${describeStatus(row.status)} by now` : 'is gone';
    log.warn(`biosample submission ${id} ${now}: skipped`);
    return;
  }
  if (row.usi_submission_name === null) {
    throw new UsiDataError(`row ${id} of biosample_submission is Submitted without a name at USI`);
  }
  const submission = await usi.submission(row.usi_submission_name);
  await actOnStatus({ ...options, row, submission });
}

async function actOnStatus(look: Look): Promise<void> {
  const { submission, log } = look;
  switch (submission.status) {
    case 'Completed':
      return await completeRow(look);
    case 'Draft':
      if (await giveUpStuckRow(look)) return;
      return await checkDraft(look);
    case 'Submitted':
    case 'Processing':
      if (await giveUpStuckRow(look)) return;
      log.info(
        `submission '${submission.name}' is ${submission.status}: waiting for its BioSamples ids`,
      );
      return;
    default:
      log.warn(`submission '${submission.name}' has the unknown status '${submission.status}'`);
  }
}

/** The five-day rule: a row that nothing has happened to for longer becomes Error. */
async function giveUpStuckRow({ database, row, submission, now, log }: Look): Promise<boolean> {
  const at = now();
  if (at.getTime() - row.updated_at.getTime() <= MAX_DAYS * DAY_MS) return false;
  const message =
    `Biosample submission '${submission.name}' has not changed for more than ${MAX_DAYS} days: ` +
    'please report it to the InjectTool team';
  await changeSubmittedRow(database, row.id, (tx) =>
    writeRowStatus(tx, row.id, { status: STATUS.error, message }, at),
  );
  log.error(message);
  return true;
}
