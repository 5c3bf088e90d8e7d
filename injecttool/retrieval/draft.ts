import { STATUS } from '../database/statuses.ts';
import { UsiDataError } from '../usi/errors.ts';
import { changeSubmittedRow, writeRowStatus, writeSamplesStatus } from './biosample-submission.ts';
import { type ObjectKey, parseAlias, sendObjectToRevision } from './gene-bank-object.ts';
import type { Look } from './look-at-row.ts';
import { type AuthorErrors, collectErrors, formatErrors } from './validation-errors.ts';
import { recordErrors } from './validation-tables.ts';

interface SampleErrors extends ObjectKey {
  errors: AuthorErrors;
}

/** Follows the validation of a Draft; when it is over, finalizes it or sends it back to its owner. */
export async function checkDraft(look: Look): Promise<void> {
  const { submission, log } = look;
  const { counts, hasErrors } = await countResults(look);
  await saveCounts(look, counts);
  const statuses = Object.keys(counts);
  if (statuses.length !== 1 || statuses[0] !== 'Complete') {
    log.info(
      `submission '${submission.name}': validation is not complete (${JSON.stringify(counts)})`,
    );
    return;
  }
  if (hasErrors) await sendToRevision(look);
  else await finalize(look);
}

async function countResults({ usi, submission }: Look) {
  // a map, because a status called like something that every object has would be found before it was counted
  const counts = new Map<string, number>();
  let hasErrors = false;
  for await (const result of usi.validationResults(submission)) {
    counts.set(result.validationStatus, (counts.get(result.validationStatus) ?? 0) + 1);
    hasErrors ||= collectErrors(result) !== undefined;
  }
  return { counts: Object.fromEntries(counts), hasErrors };
}

async function saveCounts(
  { database, row, now }: Look,
  counts: Record<string, number>,
): Promise<void> {
  if (isSameCount(row.samples_status ?? {}, counts)) return;
  await changeSubmittedRow(database, row.id, (tx) => writeSamplesStatus(tx, row.id, counts, now()));
}

function isSameCount(a: Record<string, number>, b: Record<string, number>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

async function finalize({ usi, submission, log }: Look): Promise<void> {
  if (await usi.finalize(submission)) log.info(`submission '${submission.name}' is finalized`);
  else log.warn(`submission '${submission.name}' is valid, but USI does not let it be submitted`);
}

async function sendToRevision(look: Look): Promise<void> {
  const { database, row, submission, now, log } = look;
  const samples = await readSampleErrors(look);
  await changeSubmittedRow(database, row.id, async (tx) => {
    const report: Record<string, AuthorErrors>[] = [];
    for (const { errors, ...key } of samples) {
      const object = await sendObjectToRevision(tx, key);
      await recordErrors(tx, object, formatErrors(errors));
      report.push({ [object.name]: errors });
    }
    const message = JSON.stringify(report, null, 2);
    await writeRowStatus(tx, row.id, { status: STATUS.needRevision, message }, now());
  });
  log.error(`submission '${submission.name}': ${samples.length} samples need revision`);
}

async function readSampleErrors({ usi, submission }: Look): Promise<SampleErrors[]> {
  // keyed by alias, so that a sample that is listed twice is counted once
  const samples = new Map<string, SampleErrors>();
  for await (const sample of usi.samples(submission)) {
    const result = await usi.validationResult(sample);
    const errors = result && collectErrors(result);
    if (errors) samples.set(sample.alias, { ...parseAlias(sample.alias), errors });
  }
  if (samples.size === 0) {
    throw new UsiDataError(
      `submission '${submission.name}' has validation errors, but none of its samples has one`,
    );
  }
  return [...samples.values()];
}
