import { createHash } from 'node:crypto';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { toCalendarSpec } from '../crontab/calendar-spec.ts';
import { ConfigError } from '../errors.ts';
import { toJsonArguments } from '../json.ts';
import { getTaskLogger } from '../logger.ts';
import type { Routine } from './routine.ts';

const MEMO_VERSION = 1;

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
  /** The five-field line, or what else the calendar's comment says; undefined when the server has no comment. */
  crontab: string | undefined;
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

function toRow(name: string, { action, spec, state, info }: ScheduleDescription): RoutineRow {
  // an edit by Temporal's own command line leaves the zone empty, which the server reads as UTC
  const timezone = spec.timezone || 'UTC';
  return {
    name,
    task: action.workflowType,
    crontab: spec.calendars?.find(({ comment }) => comment)?.comment,
    timezone,
    enabled: !state.paused,
    next: info.nextActionTimes,
    nextLocal: info.nextActionTimes.map((time) => wallClock(time, timezone)),
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
  const options = toSchedule(app, name, routine);
  try {
    await app.client.request((client) => client.schedule.create(options));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}

/** Two apps may share a namespace: their routines have ids of their own. */
function scheduleId(app: Sedano, name: string): string {
  return `${app.name}/${name}`;
}

function toSchedule(app: Sedano, name: string, routine: Routine): ScheduleOptions {
  const id = scheduleId(app, name);
  const code = toRecord(app, routine);
  return {
    scheduleId: id,
    spec: { calendars: [toCalendarSpec(routine.schedule)], timezone: code.timezone },
    action: {
      type: 'startWorkflow',
      workflowType: routine.task,
      workflowId: id,
      taskQueue: code.queue,
      args: code.args,
      // what the code last said: the only memo that can be changed later
      memo: { sedano: { code, edits: [] } },
    },
    // one run for all that fell into an outage of the server, as Celery's beat does
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '365 days' },
    state: { paused: !code.enabled, note: '' },
    // whose it is and what the code said at its birth: written once
    memo: { sedano: { v: MEMO_VERSION, app: app.name, routine: name, hash: hash(code), code } },
  };
}

/** What the code says of a routine, as its schedule's memos keep it. */
function toRecord(app: Sedano, routine: Routine) {
  return {
    task: routine.task,
    schedule: routine.schedule.toString(),
    timezone: routine.timezone ?? app.options.timezone,
    args: toJsonArguments(routine.args ?? [], `task '${routine.task}'`),
    queue: routine.queue ?? app.registered(routine.task)?.task.queue ?? app.options.queue,
    enabled: routine.enabled ?? true,
    description: routine.description ?? '',
  };
}

function hash(record: object): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex').slice(0, 16);
}
