import { ConfigError, getTaskLogger } from 'sedano';
import { settings } from './app.ts';
import { describeDatabase, openDatabase, type Database } from './database/index.ts';
import { expectTables } from './database/schema.ts';
import { createUsiClient, type UsiClient } from './usi/index.ts';

// opened when a task first needs them: importing the tasks touches nothing
let database: Promise<Database> | undefined;
let usi: UsiClient | undefined;

/** @throws {ConfigError} when the embedded database is open in another process. */
export function useDatabase(): Promise<Database> {
  database ??= openOrForget();
  return database;
}

/** Another process may have the embedded database for a while only: the next task tries again. */
async function openOrForget(): Promise<Database> {
  try {
    return await openDatabase(settings);
  } catch (error) {
    database = undefined;
    throw error;
  }
}

/**
 * What a worker does before it takes calls: says which database it is on, and makes sure that it is InjectTool's.
 *
 * @throws {SedanoError} when the database cannot be opened or asked.
 * @throws {ConfigError} when it lacks InjectTool's tables.
 */
export async function checkDatabase(): Promise<void> {
  getTaskLogger('injecttool').info(`Database: ${describeDatabase(settings)}`);
  try {
    await expectTables(await useDatabase());
  } catch (error) {
    await closeResources();
    throw error;
  }
}

/** One for the process: it keeps the token. @throws {ConfigError} without the account that watches submissions. */
export function useUsi(): UsiClient {
  const { usiUrl: url, usiAuthUrl: authUrl, usiAccount: account } = settings;
  if (account === undefined) {
    throw new ConfigError(
      'settings: USI_MANAGER and USI_MANAGER_PASSWORD: expected the account that watches submissions, got none',
      {
        hint: 'Set both, or try the application with npm start, which brings a USI server of its own.',
      },
    );
  }
  usi ??= createUsiClient({ url, authUrl, account });
  return usi;
}

/** Closes what was opened. */
export async function closeResources(): Promise<void> {
  const opened = database;
  database = undefined;
  usi = undefined;
  await (await opened)?.close();
}
