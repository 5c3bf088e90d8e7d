import { isDeepStrictEqual } from 'node:util';
import type { ScheduleDescription, ScheduleOptions } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { Crontab } from '../crontab/crontab.ts';
import { durationMs, type Duration } from '../duration.ts';
import { toJsonArguments } from '../json.ts';
import { defaultOverlap, readPolicies, toPolicies } from './policies.ts';
import type { CatchupWindow, Missed, Overlap } from './policies.ts';
import type { Routine } from './routine.ts';
import { readTimes, sameSchedule, toTimes } from './spec.ts';

/**
 * A routine with every field said, as JSON in one form for each meaning: what the code says of it, or what the server
 * has. {@link sameField} compares two.
 */
export interface Definition {
  task: string;
  /**
   * `crontab.toString()`, `every 900s`, `every 900s offset 60s`, or `at 2027-01-01T00:00:00.000Z`; `calendars {…}` is
   * what another tool has made and no text of ours can say. Ask {@link sameField} whether two mean the same.
   */
  schedule: string;
  /** An IANA name; `'UTC'` for what has no wall clock. */
  timezone: string;
  args: unknown[];
  queue: string;
  enabled: boolean;
  overlap: Overlap;
  /** A length such as `3600s` is another tool's catch-up window, which none of the words says. */
  missed: Missed | CatchupWindow;
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
  /** What the server has no field for, and what a run has to know to tell whether it is late; as it is now. */
  extra: Pick<Definition, 'description' | 'missed' | 'expiresMs' | 'jitterMs' | 'overlap'>;
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

/** What the code says of a routine. */
export function definitionOf(app: Sedano, name: string, routine: Routine): Definition {
  const where = `routine '${name}'`;
  const { task, schedule, missed = 'latest' } = routine;
  const ms = (duration: Duration | undefined, field: string) =>
    duration === undefined ? undefined : durationMs(duration, `${where}: ${field}`);
  return {
    task,
    schedule: schedule.toString(),
    timezone: schedule instanceof Crontab ? (routine.timezone ?? app.options.timezone) : 'UTC',
    args: toJsonArguments(routine.args ?? [], where),
    queue: routine.queue ?? app.registered(task)?.task.queue ?? app.options.queue,
    enabled: routine.enabled ?? true,
    overlap: routine.overlap ?? defaultOverlap(missed),
    missed,
    startAt: routine.startAt?.toISOString() ?? null,
    endAt: routine.endAt?.toISOString() ?? null,
    jitterMs: ms(routine.jitter, 'jitter') ?? 0,
    description: routine.description ?? '',
    expiresMs: ms(routine.expires, 'expires') ?? null,
  };
}

/** What goes into a schedule beside what its routine says. */
export interface ScheduleNotes {
  /** For the action's memo; its `extra` is made of the definition. */
  memo: Pick<ActionMemo, 'code' | 'release' | 'edits'>;
  /** Absent where a schedule is written again: its memo cannot be changed. */
  birth?: Omit<BirthMemo, 'v'>;
  /** Why it is paused. @default '' */
  note?: string;
}

/**
 * The schedule that does what `definition` says.
 *
 * @throws {ConfigError} when its schedule cannot be read.
 */
export function toSchedule(
  app: Sedano,
  name: string,
  definition: Definition,
  { memo, birth, note = '' }: ScheduleNotes,
): ScheduleOptions {
  const { task, args, queue, startAt, endAt, jitterMs, overlap, missed } = definition;
  const { description, expiresMs } = definition;
  const id = scheduleId(app, name);
  const sedano: ActionMemo = {
    v: 2,
    ...memo,
    extra: { description, missed, expiresMs, jitterMs, overlap },
  };
  return {
    scheduleId: id,
    spec: {
      ...toTimes(definition),
      ...(startAt === null ? {} : { startAt: new Date(startAt) }),
      ...(endAt === null ? {} : { endAt: new Date(endAt) }),
      jitter: jitterMs,
    },
    action: {
      type: 'startWorkflow',
      workflowType: task,
      workflowId: id,
      taskQueue: queue,
      args,
      memo: { sedano },
    },
    policies: toPolicies(overlap, missed),
    state: {
      paused: !definition.enabled,
      note,
      ...(definition.schedule.startsWith('at ') ? { remainingActions: 1 } : {}),
    },
    ...(birth ? { memo: { sedano: { v: 2, ...birth } satisfies BirthMemo } } : {}),
  };
}

/** Two apps may share a namespace: their routines have ids of their own. */
export function scheduleId(app: Sedano, name: string): string {
  return `${app.name}/${name}`;
}

/** What the server has, whoever wrote it. */
export function readDefinition(schedule: ScheduleDescription): Definition {
  const { action, spec, policies, state, memo } = schedule;
  const said = saidIn(action.memo);
  // where the comment is gone, the same times are still said in the code's words
  const texts = [said.code, saidIn(memo).code].map((code) => String(code.schedule));
  const times = readTimes(spec, texts);
  // one that has run is paused to stay listed
  const done = times.schedule.startsWith('at ') && state.remainingActions === 0;
  return {
    task: action.workflowType,
    ...times,
    args: [...(action.args ?? [])],
    queue: action.taskQueue,
    enabled: done || !state.paused,
    ...readPolicies(policies),
    startAt: readLimit(spec.startAt),
    endAt: readLimit(spec.endAt),
    jitterMs: spec.jitter ?? 0,
    description: said.extra.description ?? said.code.description ?? '',
    expiresMs: said.extra.expiresMs ?? null,
  };
}

/** Protobuf's and Go's zero times are no limit. */
function readLimit(date: Date | undefined): string | null {
  return date === undefined || date.getTime() <= 0 ? null : date.toISOString();
}

/** Whether a field of two definitions means the same. */
export function sameField(field: DefinitionField, one: Definition, other: Definition): boolean {
  if (field === 'schedule') return sameSchedule(one.schedule, other.schedule);
  return isDeepStrictEqual(one[field], other[field]);
}

/** What a memo says, of whatever version it is and whoever has been at it. */
function saidIn(memo: Record<string, unknown> | undefined): {
  code: Partial<Definition>;
  extra: Partial<Definition>;
} {
  const { code, extra } = (memo?.['sedano'] ?? {}) as Record<string, Partial<Definition> | null>;
  // the first version had no `extra`
  return { code: code ?? {}, extra: extra ?? {} };
}
