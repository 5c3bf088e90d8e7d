import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleOverlapPolicy, type ScheduleDescription } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { SedanoError } from '../errors.ts';
import { scheduleId } from './definition.ts';
import { readSchedule } from './write.ts';

/** What a routine has made of being told to run now. */
export type RunNow =
  | { outcome: 'started'; id: string; runId: string }
  /** It still runs, and its overlap is skip. */
  | { outcome: 'skipped'; id: string | undefined };

const MAX_TRIGGERS = 5;
const LOOKS = 8;
// two triggers in the same second have the same run id, and the second of them vanishes
const LOOK_EVERY_MS = 150;

/**
 * Runs a routine once, now, whether it is paused or not. While a run of it still goes on there is no other.
 *
 * @throws {RoutineNotFoundError} when there is no schedule of this name.
 * @throws {SedanoError} when the server has dropped it several times.
 */
export async function runRoutine(app: Sedano, name: string): Promise<RunNow> {
  const { description } = await readSchedule(app, name);
  for (let triggers = 0; triggers < MAX_TRIGGERS; triggers++) {
    await app.client.request((client) =>
      client.schedule
        .getHandle(scheduleId(app, name))
        // never ALLOW_ALL, the SDK's default: the routine's runs would run side by side
        .trigger(ScheduleOverlapPolicy.SKIP),
    );
    for (let looks = 0; looks < LOOKS; looks++) {
      const now = (await readSchedule(app, name)).description;
      const outcome = compare(description, now);
      if (outcome) return outcome;
      await delay(LOOK_EVERY_MS);
    }
  }
  throw new SedanoError(
    `routine '${name}': the server has dropped ${MAX_TRIGGERS} requests to run it now`,
    { hint: 'Try again when nothing else asks for it.' },
  );
}

function compare(before: ScheduleDescription, { info }: ScheduleDescription): RunNow | undefined {
  const known = new Set(before.info.recentActions.map(({ action }) => action.workflow.workflowId));
  const started = info.recentActions
    .map(({ action }) => action.workflow)
    .findLast(({ workflowId }) => !known.has(workflowId));
  if (started) {
    return { outcome: 'started', id: started.workflowId, runId: started.firstExecutionRunId };
  }
  if (info.numActionsSkippedOverlap <= before.info.numActionsSkippedOverlap) return undefined;
  return { outcome: 'skipped', id: info.runningActions[0]?.workflow.workflowId };
}
