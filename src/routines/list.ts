import type { Sedano } from '../app.ts';
import type { TaskState } from '../async-result.ts';
import { SedanoError } from '../errors.ts';
import { readDefinition } from './definition.ts';
import { forEachOf } from './pool.ts';
import { originOf, type RoutineOrigin } from './provenance.ts';
import { parseSchedule } from './schedule-text.ts';
import { describeSchedule, sweepSchedules, type ServerSchedule } from './server-schedule.ts';

/** The last run that a routine's schedule has started. */
export interface LastRun {
  /** The id of its call, for `app.result()`. */
  id: string;
  /** The run of it. */
  runId: string;
  /** When it was started. */
  at: Date;
  /** How it stands; `UNKNOWN` when it is no longer kept. */
  state: TaskState;
  /** What it returned, once it has. */
  result?: unknown;
  /** What it failed with. */
  error?: string;
}

/** A routine as the server has it. */
export interface RoutineRow {
  /** Its name in the app. */
  name: string;
  /** Whose it is: the code's, an admin's, an orphan of the code, or not made by Sedano. */
  origin: RoutineOrigin;
  /** The name of its task. */
  task: string;
  /** When it runs, as the server has it: the five-field line, or `every 900s`, or `at 2027-01-01T00:00:00.000Z`. */
  crontab: string;
  /** The same in words. */
  words: string;
  /** The IANA zone of its times. */
  timezone: string;
  /** Whether it runs; false while it is paused. */
  enabled: boolean;
  /** Why it is paused, where somebody has said so. */
  note: string;
  /** The next times, at most ten, ascending. Also while it is disabled: when it would run. */
  next: Date[];
  /** The same on the wall clock of its zone: `2026-11-24 12:00`. */
  nextLocal: string[];
  /** Its last run; undefined before the first. */
  last: LastRun | undefined;
  /** How many runs it has started. */
  runs: number;
  /** How many due times fell away, since the run before still went on. */
  skips: number;
  /** How many due times were found too late. */
  misses: number;
}

/**
 * The routines as the server has them, by name: those of the app's table, and what else the app has there. One that has
 * no schedule yet is left out.
 *
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function listRoutines(app: Sedano): Promise<RoutineRow[]> {
  // the list is a second or two behind, and what the table names is asked for in any case
  const names = new Set(app.routineTable.keys());
  for await (const { name, birth } of sweepSchedules(app)) if (birth) names.add(name);
  const rows = await forEachOf([...names].toSorted(), async (name) => {
    const schedule = await describeSchedule(app, name);
    return schedule && (await toRow(app, name, schedule));
  });
  return rows.filter((row) => row !== undefined);
}

/** One of them, of what was read already. */
export async function toRow(
  app: Sedano,
  name: string,
  { description, birth }: ServerSchedule,
): Promise<RoutineRow> {
  const { task, schedule, timezone, enabled } = readDefinition(description);
  const { info, state } = description;
  return {
    name,
    origin: originOf(birth, app.routineTable.has(name)),
    task,
    crontab: schedule,
    words: inWords(schedule),
    timezone,
    enabled,
    note: state.note ?? '',
    next: info.nextActionTimes,
    nextLocal: info.nextActionTimes.map((time) => wallClock(time, timezone)),
    last: await readLast(app, description),
    runs: info.numActionsTaken,
    skips: info.numActionsSkippedOverlap,
    misses: info.numActionsMissedCatchupWindow,
  };
}

/** What another tool has made may have no words of ours. */
export function inWords(schedule: string): string {
  try {
    return parseSchedule(schedule).describe();
  } catch (error) {
    if (error instanceof SedanoError) return 'at other times';
    throw error;
  }
}

async function readLast(
  app: Sedano,
  { info }: ServerSchedule['description'],
): Promise<LastRun | undefined> {
  const last = info.recentActions.at(-1);
  if (!last) return undefined;
  const { workflowId: id, firstExecutionRunId: runId } = last.action.workflow;
  const result = app.result(id, { runId });
  // the schedule itself learns late that a run has ended
  const state = await result.state();
  const run = { id, runId, at: last.takenAt, state };
  if (state === 'SUCCESS') return { ...run, result: await result.get() };
  if (state !== 'FAILURE' && state !== 'REVOKED') return run;
  const error = await result.get().then(
    () => '',
    (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
  );
  return { ...run, error };
}

/** A time on the wall clock of a zone: `2026-11-24 12:00`. */
export function wallClock(time: Date, timeZone: string): string {
  try {
    // the Swedish form is ISO's, with a blank for the T
    const format = { timeZone, dateStyle: 'short', timeStyle: 'short' } as const;
    return new Intl.DateTimeFormat('sv-SE', format).format(time);
  } catch (error) {
    // a server takes zones that JavaScript does not know, such as `Local`
    if (error instanceof RangeError) return time.toISOString();
    throw error;
  }
}
