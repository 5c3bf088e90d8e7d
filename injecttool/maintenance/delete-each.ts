import { SedanoError } from 'sedano';
import type { Database, Queries } from '../database/database.ts';
import type { Log } from '../log.ts';

/** A row that the database did not let go. */
export interface KeptRow {
  id: number;
  /** Why, in words: which table still refers to it, by which constraint. */
  reason: string;
  error: unknown;
}

/** Some rows could not be deleted, while the others were. The message names each of them by its id. */
export class RowsKeptError extends SedanoError {
  override name = 'RowsKeptError';
  readonly kept: readonly KeptRow[];

  constructor({ row, what }: RowNames, kept: readonly KeptRow[]) {
    const lines = kept.map(({ id, reason }) => `${row} ${id}: ${reason}`);
    super([`${kept.length} kept while deleting ${what}:`, ...lines].join('\n'), {
      hint: 'Once nothing stands in the way, the next run deletes them.',
      cause: kept[0]?.error,
    });
    this.kept = kept;
  }
}

/** How rows are called in the log and in errors: by their ids, so that nobody's data appear there. */
export interface RowNames {
  /** One of them: `user`. */
  row: string;
  /** All of them: `expired registrations`. */
  what: string;
}

export interface DeleteEachOptions extends RowNames {
  database: Database;
  log: Log;
  ids: readonly number[];
  /** Deletes one row, unless it has become one that stays; tells whether it did. */
  deleteRow: (tx: Queries, id: number) => Promise<boolean>;
  /** Checked before each row. */
  signal?: AbortSignal | undefined;
}

/**
 * Deletes rows one by one, each in a transaction of its own; resolves to how many. A row that the database holds fast
 * does not keep the others from being deleted, and what is deleted stays deleted when it is stopped.
 *
 * @throws {RowsKeptError} at the end when rows were kept.
 * @throws whatever else the database says, at once: it would say it of the other rows too.
 */
export async function deleteEach({
  database,
  log,
  ids,
  deleteRow,
  signal,
  ...names
}: DeleteEachOptions): Promise<number> {
  let deleted = 0;
  const kept: KeptRow[] = [];
  try {
    for (const id of ids) {
      signal?.throwIfAborted();
      try {
        if (await database.transaction((tx) => deleteRow(tx, id))) deleted += 1;
      } catch (error) {
        const reason = explainRefusal(error);
        if (reason === undefined) throw error;
        log.error(`${names.row} ${id} is kept: ${reason}`);
        kept.push({ id, reason, error });
      }
    }
  } finally {
    log.info(`${deleted} ${names.what} deleted`);
  }
  if (kept.length > 0) throw new RowsKeptError(names, kept);
  return deleted;
}

const FOREIGN_KEY_VIOLATION = '23503';
/** SQLSTATE's classes of what concerns one row: a constraint holds it, or another transaction got in its way. */
const OF_ONE_ROW = /^(23|40)/;

/**
 * Why the database did not delete a row; undefined when the error is about something else. Django's foreign keys are
 * checked at the commit, so it may come from there. Not the server's own text for them: that has the language of the server.
 */
function explainRefusal(error: unknown): string | undefined {
  if (!isServerError(error) || !OF_ONE_ROW.test(error.code)) return undefined;
  if (error.code !== FOREIGN_KEY_VIOLATION) return error.message;
  return `${error.table ?? 'a table'} still refers to it (${error.constraint ?? 'foreign key'})`;
}

/** What both drivers hand on of an error that the server reports. */
interface ServerError extends Error {
  /** SQLSTATE, five characters. */
  code: string;
  table?: string;
  constraint?: string;
}

function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
