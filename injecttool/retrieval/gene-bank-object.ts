import type { Queries } from '../database/database.ts';
import { STATUS } from '../database/statuses.ts';
import { UsiDataError } from '../usi/errors.ts';

/** The two kinds of things that are submitted; also the `type` of a validation summary and Django's model name. */
export type Kind = 'animal' | 'sample';

const TABLES = { animal: 'uid_animal', sample: 'uid_sample' } satisfies Record<Kind, string>;

/** What an alias of USI stands for: a row of `uid_animal` or `uid_sample`. */
export interface ObjectKey {
  kind: Kind;
  id: number;
}

/** A row of one of the two tables, as far as it matters here. */
export interface GeneBankObject extends ObjectKey {
  name: string;
  submissionId: number;
}

/**
 * `IMAGEA000000012` is animal 12, `IMAGES000000007` sample 7.
 *
 * @throws {UsiDataError} when `alias` is neither.
 */
export function parseAlias(alias: string): ObjectKey {
  const match = /^IMAGE([AS])(\d+)$/.exec(alias);
  if (!match) {
    throw new UsiDataError(`sample '${alias}': expected an alias IMAGEA<number> or IMAGES<number>`);
  }
  return { kind: match[1] === 'A' ? 'animal' : 'sample', id: Number(match[2]) };
}

/** The alias of an object: zero-padded to nine digits. */
export function formatAlias({ kind, id }: ObjectKey): string {
  return `IMAGE${kind === 'animal' ? 'A' : 'S'}${String(id).padStart(9, '0')}`;
}

/** @throws {UsiDataError} when there is no such object. */
export async function completeObject(
  tx: Queries,
  key: ObjectKey,
  accession: string,
): Promise<GeneBankObject> {
  const rows = await tx.query<{ name: string; submission_id: number }>(
    `UPDATE ${TABLES[key.kind]} SET status = $2, biosample_id = $3 WHERE id = $1
      RETURNING name, submission_id`,
    [key.id, STATUS.completed, accession],
  );
  return expectObject(key, rows[0]);
}

/** @throws {UsiDataError} when there is no such object. */
export async function sendObjectToRevision(tx: Queries, key: ObjectKey): Promise<GeneBankObject> {
  const rows = await tx.query<{ name: string; submission_id: number }>(
    `UPDATE ${TABLES[key.kind]} SET status = $2 WHERE id = $1 RETURNING name, submission_id`,
    [key.id, STATUS.needRevision],
  );
  return expectObject(key, rows[0]);
}

function expectObject(
  key: ObjectKey,
  row: { name: string; submission_id: number } | undefined,
): GeneBankObject {
  if (!row) {
    throw new UsiDataError(
      `sample '${formatAlias(key)}': there is no row ${key.id} in ${TABLES[key.kind]}`,
    );
  }
  return { ...key, name: row.name, submissionId: row.submission_id };
}
