import type { Database, DatabaseSettings } from './database.ts';

export type { Database, DatabaseSettings, Queries } from './database.ts';

/**
 * Opens PostgreSQL when `databaseUrl` is set, else the embedded database. Only the driver in use is loaded.
 *
 * @throws {ConfigError} when the URL does not parse, or another process has the embedded database open.
 */
export async function openDatabase({
  databaseUrl,
  embeddedFolder,
}: DatabaseSettings): Promise<Database> {
  if (databaseUrl !== undefined) {
    const { openPostgres } = await import('./postgres.ts');
    return openPostgres(databaseUrl);
  }
  const { openEmbedded } = await import('./pglite.ts');
  return await openEmbedded(embeddedFolder);
}
