import { ConfigError } from 'sedano';
import type { Database } from './database.ts';
import { createTables, expectTables } from './schema.ts';
import { seedRows } from './seed.ts';

/** Marks a database on a server as one to try things in; stands as the comment of the table uid_submission. */
const MARK = 'InjectTool on trial: rows may be added and changed at will';

/**
 * Makes InjectTool's tables in an empty database on a server, with the first rows of the embedded one.
 *
 * @throws {ConfigError} when there are tables already: they may be the original's.
 */
export async function createTrial(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    const [table] = await tx.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables
        WHERE table_schema = current_schema() ORDER BY table_name LIMIT 1`,
    );
    if (table) {
      throw new ConfigError(
        `DATABASE_URL: expected an empty database, got one with ${table.name}`,
        {
          hint: 'Make one for the trial: createdb injecttool_trial',
        },
      );
    }
    await createTables(tx);
    await seedRows(tx, new Date());
    await tx.query(`COMMENT ON TABLE uid_submission IS '${MARK}'`);
  });
}

/**
 * Whether rows may be added for the sake of trying.
 *
 * @throws {ConfigError} when the database lacks InjectTool's tables.
 */
export async function isTrial(database: Database): Promise<boolean> {
  await expectTables(database);
  const [found] = await database.query<{ comment: string | null }>(
    `SELECT obj_description(to_regclass('uid_submission'), 'pg_class') AS comment`,
  );
  return found?.comment === MARK;
}
