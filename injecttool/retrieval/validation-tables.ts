import { SedanoError } from 'sedano';
import type { Queries } from '../database/database.ts';
import type { GeneBankObject, Kind } from './gene-bank-object.ts';

const KINDS: readonly Kind[] = ['animal', 'sample'];

/** One entry of a summary's `messages`, as InjectTool's pages show it. */
export interface SummaryMessage {
  message: string;
  count: number;
  ids: number[];
  /** A column of the imported file; USI knows none. */
  offending_column: '';
}

/** Writes the object's validation result as Error and counts it in the summary of its kind. */
export async function recordErrors(
  tx: Queries,
  object: GeneBankObject,
  messages: string[],
): Promise<void> {
  const contentTypeId = await findContentType(tx, object.kind);
  const [before] = await tx.query<{ status: string | null }>(
    `SELECT status FROM validation_validationresult
      WHERE content_type_id = $1 AND object_id = $2 FOR UPDATE`,
    [contentTypeId, object.id],
  );
  await tx.query(
    `INSERT INTO validation_validationresult
        (submission_id, content_type_id, object_id, status, messages)
      VALUES ($1, $2, $3, 'Error', $4)
      ON CONFLICT (content_type_id, object_id)
      DO UPDATE SET status = excluded.status, messages = excluded.messages`,
    [object.submissionId, contentTypeId, object.id, messages],
  );
  // an object that was in error before is among the summary's errors already
  if (before?.status !== 'Error') await countError(tx, object);
}

/** Rebuilds the messages of both summaries of a submission from its validation results in error. */
export async function rebuildSummaryMessages(tx: Queries, submissionId: number): Promise<void> {
  for (const kind of KINDS) {
    const results = await tx.query<{ object_id: number; messages: string[] }>(
      `SELECT object_id, messages FROM validation_validationresult
        WHERE submission_id = $1 AND content_type_id = $2 AND status = 'Error' ORDER BY object_id`,
      [submissionId, await findContentType(tx, kind)],
    );
    const messages = groupMessages(results).map((message) => JSON.stringify(message));
    await tx.query(
      `UPDATE validation_validationsummary SET messages = $3::jsonb[]
        WHERE submission_id = $1 AND type = $2`,
      [submissionId, kind, messages],
    );
  }
}

/** Each distinct message once, with the objects that have it; the most frequent first. */
export function groupMessages(
  results: readonly { object_id: number; messages: string[] }[],
): SummaryMessage[] {
  const idsByMessage = new Map<string, Set<number>>();
  for (const { object_id, messages } of results) {
    for (const message of messages) {
      const ids = idsByMessage.get(message) ?? new Set();
      idsByMessage.set(message, ids.add(object_id));
    }
  }
  return [...idsByMessage]
    .map(([message, ids]) => ({
      message,
      count: ids.size,
      ids: [...ids],
      offending_column: '' as const,
    }))
    .sort((a, b) => b.count - a.count);
}

async function findContentType(tx: Queries, kind: Kind): Promise<number> {
  const [row] = await tx.query<{ id: number }>(
    `SELECT id FROM django_content_type WHERE app_label = 'uid' AND model = $1`,
    [kind],
  );
  if (!row) throw new SedanoError(`django_content_type has no row for uid.${kind}`);
  return row.id;
}

async function countError(tx: Queries, { submissionId, kind }: GeneBankObject): Promise<void> {
  // Django's check forbids a negative count: one that is wrong already must not block the row for ever
  await tx.query(
    `UPDATE validation_validationsummary
        SET pass_count = greatest(pass_count - 1, 0),
            error_count = error_count + 1,
            issues_count = issues_count + 1
      WHERE submission_id = $1 AND type = $2`,
    [submissionId, kind],
  );
}
