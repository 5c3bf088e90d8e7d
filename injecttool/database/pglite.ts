import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, type Transaction, types } from '@electric-sql/pglite';
import { SedanoError } from 'sedano';
import { keepText, parseBigint } from './column-types.ts';
import type { Database } from './database.ts';
import { lockFolder } from './folder-lock.ts';
import { createTables } from './schema.ts';
import { seedRows } from './seed.ts';

const parsers = {
  [types.INT8]: parseBigint,
  [types.DATE]: keepText,
  [types.TIMESTAMP]: keepText,
};

/**
 * Opens the embedded database in `folder`: made when absent, with the tables and a small set of rows
 * whose dates are relative to now.
 *
 * @throws {ConfigError} when another process has it open.
 */
export async function openEmbedded(folder: string): Promise<Database> {
  await mkdir(folder, { recursive: true });
  const unlock = await lockFolder(folder);
  try {
    const data = join(folder, 'data');
    if (!(await exists(data))) await createData(folder, data);
    const session = await PGlite.create(data, { parsers });
    const database = wrapSession(session, unlock);
    // a later release may bring a table that an older folder does not have
    await database.transaction(createTables);
    return database;
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** A database with the tables and no rows that lives in memory, for tests. */
export async function openInMemory(): Promise<Database> {
  const database = wrapSession(await PGlite.create({ parsers }), async () => {});
  await database.transaction(createTables);
  return database;
}

/** Made beside its place and moved there when whole: a first start that is killed leaves no half database. */
async function createData(folder: string, data: string): Promise<void> {
  const unfinished = join(folder, 'data.unfinished');
  await rm(unfinished, { recursive: true, force: true });
  const session = await PGlite.create(unfinished, { parsers });
  const database = wrapSession(session, async () => {});
  try {
    await database.transaction(async (tx) => {
      await createTables(tx);
      await seedRows(tx, new Date());
    });
  } finally {
    await database.close();
  }
  await rename(unfinished, data);
}

function wrapSession(session: PGlite, unlock: () => Promise<void>): Database {
  let closing: Promise<void> | undefined;
  const close = async () => {
    await session.close();
    await unlock();
  };
  const inTransaction = new AsyncLocalStorage<true>();
  // the one session is the transaction's: this would wait for a commit that waits for this
  const refuseInside = () => {
    if (!inTransaction.getStore()) return;
    throw new SedanoError('inside a transaction only the transaction itself may be asked');
  };
  return {
    query: async (text, values) => {
      refuseInside();
      return await queryOn(session, text, values);
    },
    transaction: async (work) => {
      refuseInside();
      return await session.transaction((tx) =>
        inTransaction.run(true, () => work({ query: (text, values) => queryOn(tx, text, values) })),
      );
    },
    close: () => (closing ??= close()),
  };
}

async function queryOn<Row extends object>(
  on: Pick<Transaction, 'query'>,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const { rows } = await on.query<Row>(text, values);
  return rows;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
