import type { Overlap } from './policies.ts';

/** What becomes of the times that fell into an outage: see {@link Routine}. */
export type Missed = 'latest' | 'skip' | 'all';

/**
 * A routine with every field said, as JSON in one form for each meaning: what the code says of it, or what the server
 * has. Two are equal field by field exactly when they mean the same.
 */
export interface Definition {
  task: string;
  /** `crontab.toString()`, `every 900s`, `every 900s offset 60s`, or `at 2027-01-01T00:00:00.000Z`. */
  schedule: string;
  /** An IANA name; `'UTC'` for what has no wall clock. */
  timezone: string;
  args: unknown[];
  queue: string;
  enabled: boolean;
  overlap: Overlap;
  missed: Missed;
  /** ISO 8601 in UTC; null is no limit. */
  startAt: string | null;
  endAt: string | null;
  jitterMs: number;
  description: string;
  /** How long after its due time a run that has not begun is dropped; null is never. */
  expiresMs: number | null;
}

/** The fields in the order in which they are shown. */
export const DEFINITION_FIELDS = [
  'task',
  'schedule',
  'timezone',
  'args',
  'queue',
  'enabled',
  'overlap',
  'missed',
  'startAt',
  'endAt',
  'jitterMs',
  'description',
  'expiresMs',
] as const satisfies readonly (keyof Definition)[];

export type DefinitionField = (typeof DEFINITION_FIELDS)[number];

/**
 * What a schedule of ours keeps in its action's memo, under `sedano`: the only place that can be changed later. It goes
 * along to every run, so it stays under 2 kB.
 */
export interface ActionMemo {
  v: 2;
  /** What the code last said, and which release of it. */
  code: Definition;
  release: string | null;
  /** What the server has no field for, as it is now. */
  extra: Pick<Definition, 'description' | 'missed' | 'expiresMs'>;
  /** The last five edits, the latest first. */
  edits: Edit[];
}

/** One edit by Sedano's own commands or page. */
export interface Edit {
  id: string;
  /** ISO 8601 in UTC. */
  at: string;
  by: string;
  fields: DefinitionField[];
  from: Partial<Definition>;
  to: Partial<Definition>;
}

/** What is written once, at birth, into the schedule's own memo, under `sedano`. */
export interface BirthMemo {
  v: 2;
  app: string;
  routine: string;
  /** `code` made it from the table; `admin` made it by hand or on the page. */
  by: 'code' | 'admin';
  code: Definition;
}
