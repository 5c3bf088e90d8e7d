/** Something that answers SQL: the database itself, or one transaction in it. */
export interface Queries {
  /**
   * The rows that `text` returns; `$1`, `$2` … in it stand for `values`.
   *
   * Both databases hand back the same types: dates for `timestamptz`, numbers for `smallint`, `integer`
   * and `bigint` (one too large for a number is an error), parsed values for `jsonb`, arrays for arrays.
   * What goes into a `jsonb` parameter is JSON text, because the drivers disagree on arrays.
   */
  query<Row extends object>(text: string, values?: unknown[]): Promise<Row[]>;
}

/** InjectTool's database: PostgreSQL, or PGlite where no server is configured. */
export interface Database extends Queries {
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects.
   * Inside, only `tx` may be asked: the embedded database has one session and would wait for itself.
   */
  transaction<Result>(work: (tx: Queries) => Promise<Result>): Promise<Result>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Where the database is, as `settings.ts` says it. */
export interface DatabaseSettings {
  /** `postgres://…`; without it the database is embedded. */
  databaseUrl?: string | undefined;
  /** The folder of the embedded database. */
  embeddedFolder: string;
}
