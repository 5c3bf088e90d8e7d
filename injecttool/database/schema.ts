import { ConfigError } from 'sedano';
import type { Queries } from './database.ts';

/**
 * The tables of InjectTool that this repository touches, as Django makes them: the columns that
 * are neither read nor written here are left out. Foreign keys are checked at commit, as Django has it.
 */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS auth_user (
    id serial PRIMARY KEY,
    username varchar(150) NOT NULL UNIQUE,
    email varchar(254) NOT NULL,
    first_name varchar(30) NOT NULL DEFAULT '',
    last_name varchar(150) NOT NULL DEFAULT '',
    date_joined timestamptz NOT NULL,
    is_active boolean NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS registration_registrationprofile (
    id serial PRIMARY KEY,
    user_id integer NOT NULL UNIQUE REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED,
    activation_key varchar(64) NOT NULL,
    activated boolean NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS django_session (
    session_key varchar(40) PRIMARY KEY,
    session_data text NOT NULL,
    expire_date timestamptz NOT NULL
  )`,
  `CREATE INDEX IF NOT EXISTS django_session_expire_date ON django_session (expire_date)`,
  `CREATE TABLE IF NOT EXISTS django_content_type (
    id serial PRIMARY KEY,
    app_label varchar(100) NOT NULL,
    model varchar(100) NOT NULL,
    UNIQUE (app_label, model)
  )`,
  `CREATE TABLE IF NOT EXISTS uid_submission (
    id serial PRIMARY KEY,
    title varchar(255) NOT NULL,
    project varchar(25) NOT NULL,
    description varchar(255) NOT NULL,
    status smallint NOT NULL,
    message text,
    owner_id integer NOT NULL REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS biosample_submission (
    id serial PRIMARY KEY,
    uid_submission_id integer NOT NULL REFERENCES uid_submission (id) DEFERRABLE INITIALLY DEFERRED,
    usi_submission_name varchar(255) UNIQUE,
    status smallint NOT NULL,
    message text,
    samples_count integer NOT NULL CHECK (samples_count >= 0),
    samples_status jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS uid_animal (
    id serial PRIMARY KEY,
    name varchar(255) NOT NULL,
    status smallint,
    biosample_id varchar(255) UNIQUE,
    submission_id integer NOT NULL REFERENCES uid_submission (id) DEFERRABLE INITIALLY DEFERRED
  )`,
  `CREATE TABLE IF NOT EXISTS uid_sample (
    id serial PRIMARY KEY,
    name varchar(255) NOT NULL,
    status smallint,
    biosample_id varchar(255) UNIQUE,
    animal_id integer NOT NULL REFERENCES uid_animal (id) DEFERRABLE INITIALLY DEFERRED,
    submission_id integer NOT NULL REFERENCES uid_submission (id) DEFERRABLE INITIALLY DEFERRED
  )`,
  `CREATE TABLE IF NOT EXISTS validation_validationresult (
    id serial PRIMARY KEY,
    submission_id integer NOT NULL REFERENCES uid_submission (id) DEFERRABLE INITIALLY DEFERRED,
    content_type_id integer NOT NULL REFERENCES django_content_type (id) DEFERRABLE INITIALLY DEFERRED,
    object_id integer NOT NULL CHECK (object_id >= 0),
    status varchar(255),
    messages text[] NOT NULL,
    UNIQUE (content_type_id, object_id)
  )`,
  `CREATE TABLE IF NOT EXISTS validation_validationsummary (
    id serial PRIMARY KEY,
    submission_id integer NOT NULL REFERENCES uid_submission (id) DEFERRABLE INITIALLY DEFERRED,
    type varchar(6),
    all_count integer NOT NULL CHECK (all_count >= 0),
    validation_known_count integer NOT NULL CHECK (validation_known_count >= 0),
    issues_count integer NOT NULL CHECK (issues_count >= 0),
    pass_count integer NOT NULL CHECK (pass_count >= 0),
    warning_count integer NOT NULL CHECK (warning_count >= 0),
    error_count integer NOT NULL CHECK (error_count >= 0),
    messages jsonb[] NOT NULL,
    UNIQUE (submission_id, type)
  )`,
];

/** Makes the tables that are absent. Only for the embedded database: on a server they are Django's. */
export async function createTables(tx: Queries): Promise<void> {
  for (const table of TABLES) await tx.query(table);
}

/** @throws {ConfigError} when one of the tables is absent; the text names those that are. */
export async function expectTables(database: Queries): Promise<void> {
  const names = TABLES.flatMap(
    (table) => /^CREATE TABLE IF NOT EXISTS (\w+)/.exec(table)?.[1] ?? [],
  );
  const missing = await database.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL',
    [names],
  );
  if (missing.length === 0) return;
  const without =
    missing.length === names.length ? 'its tables' : missing.map(({ name }) => name).join(', ');
  throw new ConfigError(
    `DATABASE_URL: expected the database of InjectTool, got one without ${without}`,
    {
      hint: "The original makes them (manage.py migrate); to try things, make an empty database and run 'npm run trial-database'.",
    },
  );
}
