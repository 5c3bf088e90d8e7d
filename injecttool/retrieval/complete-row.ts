import { STATUS } from '../database/statuses.ts';
import { UsiDataError } from '../usi/errors.ts';
import { changeSubmittedRow, writeRowStatus } from './biosample-submission.ts';
import { completeObject, type ObjectKey, parseAlias } from './gene-bank-object.ts';
import type { Look } from './look-at-row.ts';

interface Accession extends ObjectKey {
  accession: string;
}

/** Takes over the accessions of a Completed submission: of all its samples, or of none. */
export async function completeRow(look: Look): Promise<void> {
  const { database, row, submission, now, log } = look;
  const accessions = await readAccessions(look);
  if (accessions === undefined) return;
  await changeSubmittedRow(database, row.id, async (tx) => {
    for (const { accession, ...key } of accessions) await completeObject(tx, key, accession);
    const message = 'Successful submission into biosample';
    await writeRowStatus(tx, row.id, { status: STATUS.completed, message }, now());
  });
  log.info(`submission '${submission.name}' is completed: ${accessions.length} accessions taken`);
}

/** Read as a whole before anything is written; undefined when one of them is missing. */
async function readAccessions({
  usi,
  row,
  submission,
  log,
}: Look): Promise<Accession[] | undefined> {
  // keyed by alias: a sample that is listed twice, as pages shift, must not stand in for one that is not listed
  const accessions = new Map<string, Accession>();
  for await (const { alias, accession } of usi.samples(submission)) {
    if (!accession) {
      log.error(
        `submission '${submission.name}': sample '${alias}' has no accession, nothing is written`,
      );
      return undefined;
    }
    accessions.set(alias, { ...parseAlias(alias), accession });
  }
  // a row that is Completed is never looked at again: accessions that are missing now would be lost
  if (accessions.size < row.samples_count) {
    throw new UsiDataError(
      `expected ${row.samples_count} samples in submission '${submission.name}', got ${accessions.size}`,
    );
  }
  return [...accessions.values()];
}
