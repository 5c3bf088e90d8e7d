import type { Queries } from '../database/database.ts';

/** Rows that belong to another row: Django deletes them with it, by a rule of its models that the database does not have. */
export interface Dependents {
  table: string;
  /** The column that names the row they belong to. */
  column: string;
}

/** Deletes what belongs to row `id`. The table may be absent: the embedded database has only what the tasks need. */
export async function deleteDependents(
  tx: Queries,
  { table, column }: Dependents,
  id: number,
): Promise<void> {
  const [found] = await tx.query<{ exists: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS exists',
    [table],
  );
  if (found?.exists) await tx.query(`DELETE FROM ${table} WHERE ${column} = $1`, [id]);
}
