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

/** Where the database is, in words: the embedded one's folder, or `host:port/name`, without account and password. */
export function describeDatabase({ databaseUrl, embeddedFolder }: DatabaseSettings): string {
  if (databaseUrl === undefined) return `embedded, in ${embeddedFolder} (DATABASE_URL is not set)`;
  const { hostname, port, pathname, searchParams } = new URL(databaseUrl);
  // the driver lets the query have its way: that is how a socket's folder is named
  const host = searchParams.get('host') ?? (hostname || 'localhost');
  return `${host}:${searchParams.get('port') ?? (port || '5432')}${pathname}`;
}
