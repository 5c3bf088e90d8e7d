import { WorkflowNotFoundError, type ScheduleDescription } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { SedanoError } from '../errors.ts';
import { readDefinition, scheduleId } from './definition.ts';
import { outsideEdits } from './edit-history.ts';
import { forEachOf } from './pool.ts';
import { parseSchedule } from './schedule-text.ts';
import { describeSchedule, type ServerSchedule } from './server-schedule.ts';
import { isPast } from './sync.ts';

/** Something about a routine that is not as it should be. */
export interface CheckFinding {
  /** The routine's name in the app. */
  name: string;
  /** It has no schedule; its schedule is not ours; or a due time has passed without a run. */
  problem: 'vanished' | 'foreign' | 'overdue';
  /** In words, without the name. */
  message: string;
  /** The due time that has passed, ISO 8601 in UTC. */
  due?: string;
}

/** A busy server starts thirty runs a second, and forty seconds late is no failure. */
export const OVERDUE_AFTER_MS = 60_000;

/**
 * What is wrong with routines of the table, by name; nothing when all run as they should.
 *
 * @param names those to look at. @default all
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function checkRoutines(
  app: Sedano,
  names: readonly string[] = [...app.routineTable.keys()],
): Promise<CheckFinding[]> {
  const findings = await forEachOf(names.toSorted(), async (name) => await check(app, name));
  return findings.filter((finding) => finding !== undefined);
}

async function check(app: Sedano, name: string): Promise<CheckFinding | undefined> {
  const schedule = await describeSchedule(app, name);
  if (!schedule) {
    // the server forgets one whose moment has passed
    if (isPast(app.routineTable.get(name))) return undefined;
    const message = 'the server has no schedule for it; create it with: sedano routines sync';
    return { name, problem: 'vanished', message };
  }
  if (!schedule.birth) {
    const message = `Sedano did not make the schedule '${scheduleId(app, name)}', which is left alone`;
    return { name, problem: 'foreign', message };
  }
  const { description } = schedule;
  // most need no more than this one request
  if (!overdueSince(description)) return undefined;
  const due = overdueSince(description, await lookCloser(app, name, schedule));
  if (!due) return undefined;
  const last = description.info.recentActions.at(-1)?.takenAt.toISOString() ?? 'none';
  const message = `due at ${due.toISOString()}, and has not run since; its last run: ${last}`;
  return { name, problem: 'overdue', message, due: due.toISOString() };
}

/** What tells whether a due time had to become a run, beside the schedule itself. */
export interface Circumstances {
  /** @default now */
  now?: Date;
  /** Due times before these are no longer asked for: the last run has ended, or a pause. */
  since?: readonly Date[];
  /** The run before goes on, and keeps the next from starting. @default false */
  isBusy?: boolean;
}

/**
 * The due time that should have become a run, and has become nothing; undefined when all is well.
 *
 * The server counts what it has missed without saying when, so that as many due times are taken to be accounted for.
 */
export function overdueSince(
  description: ScheduleDescription,
  { now = new Date(), since = [], isBusy = false }: Circumstances = {},
): Date | undefined {
  const { info, state } = description;
  const definition = readDefinition(description);
  if (state.paused || state.remainingActions === 0) return undefined;
  // the server goes through the times in order: one that has passed and is still to come was never looked at
  const stuck = info.nextActionTimes.find(
    (time) => time.getTime() < now.getTime() - OVERDUE_AFTER_MS,
  );
  if (stuck) return stuck;
  if (isBusy) return undefined;
  const last = info.recentActions.at(-1);
  const known = [info.createdAt, info.lastUpdatedAt, last?.scheduledAt, last?.takenAt, ...since];
  const from = Math.max(...known.map((date) => date?.getTime() ?? 0));
  const until = now.getTime() - OVERDUE_AFTER_MS - definition.jitterMs;
  const dues = timesAfter(definition, new Date(from), info.numActionsMissedCatchupWindow + 1);
  const unaccounted = dues.at(info.numActionsMissedCatchupWindow);
  return unaccounted && unaccounted.getTime() < until ? dues[0] : undefined;
}

function timesAfter(
  {
    schedule,
    timezone,
    startAt,
    endAt,
  }: Pick<ReturnType<typeof readDefinition>, 'schedule' | 'timezone' | 'startAt' | 'endAt'>,
  from: Date,
  count: number,
): Date[] {
  try {
    // a due time on the limit itself counts
    const first =
      startAt === null ? from : new Date(Math.max(from.getTime(), Date.parse(startAt) - 1));
    const times = parseSchedule(schedule).next({ from: first, count, timezone });
    return times.filter((time) => endAt === null || time.getTime() <= Date.parse(endAt));
  } catch (error) {
    // another tool has made it: the server alone knows its times
    if (error instanceof SedanoError) return [];
    throw error;
  }
}

/** What only further requests tell: whether the last run goes on or when it ended, and when another tool has resumed it. */
async function lookCloser(
  app: Sedano,
  name: string,
  schedule: ServerSchedule,
): Promise<Circumstances> {
  const { description } = schedule;
  const edits = await outsideEdits(app, name, schedule);
  const resumed = edits.filter(({ action }) => action === 'resume').map(({ at }) => new Date(at));
  const last = description.info.recentActions.at(-1);
  // with this overlap the run before is no reason
  if (!last || description.policies.overlap === 'ALLOW_ALL') return { since: resumed };
  const run = await describeRun(app, last.action.workflow.workflowId);
  return {
    since: [...resumed, ...(run?.closeTime ? [run.closeTime] : [])],
    isBusy: run?.status.name === 'RUNNING',
  };
}

async function describeRun(app: Sedano, id: string) {
  try {
    return await app.client.request(({ workflow }) => workflow.getHandle(id).describe());
  } catch (error) {
    // no longer kept
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
