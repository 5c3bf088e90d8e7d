import { Pool, type PoolClient, type QueryResultRow, TypeOverrides, types } from 'pg';
import { ConfigError, SedanoError } from 'sedano';
import { keepText, parseBigint } from './column-types.ts';
import type { Database, Queries } from './database.ts';

const CONNECT_TIMEOUT_MS = 10_000; // 10s
const QUERY_TIMEOUT_MS = 60_000; // 1m
const POOL_SIZE = 5;

/**
 * Opens a pool on the PostgreSQL server of `url`. Nothing is created there: the tables are Django's.
 *
 * @throws {ConfigError} when `url` is not one of PostgreSQL. It connects with the first query.
 */
export function openPostgres(url: string): Database {
  const pool = openPool(url);
  // without a listener an idle connection that the server drops would end the process; the pool replaces it
  pool.on('error', ignoreLostConnection);
  let closing: Promise<void> | undefined;
  return {
    query: (text, values) => explained(url, () => queryOn(pool, text, values)),
    transaction: (work) => explained(url, () => inTransaction(pool, work)),
    close: () => (closing ??= pool.end()),
  };
}

/** SQLSTATE's classes of a server that lets nobody in: wrong account, no such database, starting or stopping. */
const NOT_LET_IN = /^(08|28|3D|57P)/;

/** With where it was, when the server could not be reached or let nobody in; without account and password. */
async function explained<Result>(url: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = connectionTrouble(error);
    if (reason === undefined) throw error;
    const { hostname, port, pathname } = new URL(url);
    throw new SedanoError(
      `PostgreSQL at ${hostname}:${port || '5432'}, database '${pathname.slice(1)}': ${reason}`,
      { cause: error, hint: 'Check DATABASE_URL, and that the server runs.' },
    );
  }
}

function connectionTrouble(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (NOT_LET_IN.test(code)) return error.message;
  if (/^E[A-Z_]+$/.test(code)) return `cannot be reached (${code})`;
  // the pool's own, without a code
  return /timeout exceeded when trying to connect|Connection terminated/.test(error.message)
    ? error.message
    : undefined;
}

function openPool(url: string): Pool {
  // checked here because the driver's own error would carry the URL, and with it the password
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new ConfigError('DATABASE_URL: expected postgres://user:password@host:5432/name', {
      hint: 'Characters such as @ and / in a password are written %40 and %2F.',
    });
  }
  return new Pool({
    connectionString: url,
    application_name: 'injecttool',
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    types: columnTypes(),
  });
}

function columnTypes(): TypeOverrides {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, parseBigint);
  overrides.setTypeParser(types.builtins.DATE, keepText);
  overrides.setTypeParser(types.builtins.TIMESTAMP, keepText);
  return overrides;
}

async function queryOn<Row extends object>(
  on: Pick<Pool, 'query'> | Pick<PoolClient, 'query'>,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const { rows } = await on.query<Row & QueryResultRow>(text, values);
  return rows;
}

async function inTransaction<Result>(
  pool: Pool,
  work: (tx: Queries) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  // the pool stops listening while a client is lent out
  client.on('error', ignoreLostConnection);
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work({ query: (text, values) => queryOn(client, text, values) });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    broken = await rollBack(client);
    throw error;
  } finally {
    client.off('error', ignoreLostConnection);
    // a client that could not roll back may still be inside the transaction: it is thrown away
    client.release(broken);
  }
}

async function rollBack(client: PoolClient): Promise<Error | undefined> {
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** The query that was running has the error already. */
function ignoreLostConnection(): void {}
