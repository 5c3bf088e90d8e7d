import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleDescription,
} from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { ConfigError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { definitionOf, readDefinition, scheduleId, toSchedule } from './definition.ts';
import type { Routine } from './routine.ts';

/**
 * Creates a schedule for each routine of the table that has none, and leaves every other schedule as it is: what an
 * admin has edited stays. Any number of workers may do so at once; one of them creates.
 *
 * @returns the names of those created now
 * @throws {ConfigError} when routines name tasks that are not registered, or that join; nothing is created then.
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function createMissingRoutines(app: Sedano): Promise<string[]> {
  assertTasksExist(app);
  assertNoneJoins(app);
  const created: string[] = [];
  for (const [name, routine] of app.routineTable) {
    if (await createIfAbsent(app, name, routine)) created.push(name);
  }
  if (created.length > 0) getTaskLogger('sedano').info({ created }, 'Routines created');
  return created;
}

/** A routine as the server has it. */
export interface RoutineRow {
  /** Its name in the app's table. */
  name: string;
  /** The name of its task. */
  task: string;
  /** When it runs, as the server has it: the five-field line, or `every 900s`, or `at 2027-01-01T00:00:00.000Z`. */
  crontab: string;
  /** The IANA zone of its times. */
  timezone: string;
  /** Whether it runs; false while it is paused. */
  enabled: boolean;
  /** The next times, at most ten, ascending. Also while it is disabled: when it would run. */
  next: Date[];
  /** The same on the wall clock of its zone: `2026-11-24 12:00`. */
  nextLocal: string[];
}

/**
 * The routines of the app's table as the server has them, by name; one that has no schedule yet is left out.
 *
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function listRoutines(app: Sedano): Promise<RoutineRow[]> {
  const rows: RoutineRow[] = [];
  for (const name of [...app.routineTable.keys()].toSorted()) {
    const description = await describeSchedule(app, name);
    if (description) rows.push(toRow(name, description));
  }
  return rows;
}

async function describeSchedule(
  app: Sedano,
  name: string,
): Promise<ScheduleDescription | undefined> {
  try {
    return await app.client.request((client) =>
      client.schedule.getHandle(scheduleId(app, name)).describe(),
    );
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

function toRow(name: string, description: ScheduleDescription): RoutineRow {
  const { task, schedule, timezone, enabled } = readDefinition(description);
  const next = description.info.nextActionTimes;
  return {
    name,
    task,
    crontab: schedule,
    timezone,
    enabled,
    next,
    nextLocal: next.map((time) => wallClock(time, timezone)),
  };
}

function wallClock(time: Date, timeZone: string): string {
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

/** @throws {ConfigError} when a task's `onBusy` is nothing for a routine. */
function assertNoneJoins(app: Sedano): void {
  for (const [name, { task }] of app.routineTable) {
    if (app.registered(task)?.exclusive?.onBusy !== 'join') continue;
    throw new ConfigError(
      `routine '${name}': task '${task}' has onBusy 'join', expected another: a routine has nobody to give the other call's result to`,
      { hint: "Use 'message' (its run is told who runs), 'raise', 'wait' or 'replace'." },
    );
  }
}

function assertTasksExist(app: Sedano): void {
  const missing = [...app.routineTable].filter(([, { task }]) => !app.registered(task));
  if (missing.length === 0) return;
  const which = missing.map(([name, { task }]) => `routine '${name}': task '${task}'`).join('; ');
  const names = app.tasks.map(({ name }) => `'${name}'`).toSorted();
  throw new ConfigError(
    `${which}: expected a registered task (${names.length === 0 ? 'there is none' : names.join(', ')})`,
    {
      hint: 'Check the spelling in the routine table, and that the task is in a folder given to autodiscoverTasks().',
    },
  );
}

async function createIfAbsent(app: Sedano, name: string, routine: Routine): Promise<boolean> {
  const code = definitionOf(app, name, routine);
  const options = toSchedule(app, name, code, {
    memo: { code, release: null, edits: [] },
    birth: { app: app.name, routine: name, by: 'code', code },
  });
  try {
    await app.client.request((client) => client.schedule.create(options));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}
