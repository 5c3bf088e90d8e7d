import type { Sedano } from '../app.ts';
import { RoutineNotFoundError } from '../errors.ts';
import { At } from './at.ts';
import { readDefinition } from './definition.ts';
import { forEachOf } from './pool.ts';
import { parseSchedule } from './schedule-text.ts';
import { sweepSchedules, type ListedSchedule, type ServerSchedule } from './server-schedule.ts';
import { codeOf } from './sync.ts';
import { newEdit, writeUntilDone, type Write } from './write.ts';

/** What a routine's pause says after its one run. */
export const DONE_NOTE = 'done';

/**
 * Pauses the routines whose one moment has come and whose run was started. The server drops a schedule that has nothing
 * left to do after seven days, unless it is paused.
 *
 * @returns the names of those that were paused
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function settleFinished(app: Sedano): Promise<string[]> {
  const names: string[] = [];
  for await (const listed of sweepSchedules(app))
    if (mayBeFinished(listed)) names.push(listed.name);
  const settled = await forEachOf(names.toSorted(), async (name) =>
    (await settle(app, name)) ? [name] : [],
  );
  return settled.flat();
}

/** The list does not show whether it has run, only that its moment has passed. */
function mayBeFinished({ visible }: ListedSchedule): boolean {
  if (!visible?.enabled || !visible.schedule?.startsWith('at ')) return false;
  const schedule = parseSchedule(visible.schedule);
  return schedule instanceof At && schedule.next().length === 0;
}

async function settle(app: Sedano, name: string): Promise<boolean> {
  let settled = false;
  try {
    // under the conflict token, not the server's own pause: whoever gives it another moment now is not undone
    await writeUntilDone(app, name, (schedule) => {
      if (!isFinished(schedule)) return undefined;
      settled = true;
      return pausing(app, name, schedule);
    });
  } catch (error) {
    // the list is a second or two behind
    if (!(error instanceof RoutineNotFoundError)) throw error;
  }
  return settled;
}

/** One that somebody has paused already stays listed, too. */
function isFinished({ birth, description }: ServerSchedule): boolean {
  const { state } = description;
  return (
    birth !== undefined &&
    !state.paused &&
    state.remainingActions === 0 &&
    readDefinition(description).schedule.startsWith('at ')
  );
}

/** Nobody's edit: it is not listed as one, and the routine still counts as enabled. */
function pausing(app: Sedano, name: string, { birth, memo, description }: ServerSchedule): Write {
  const server = readDefinition(description);
  return {
    target: { ...server, enabled: false },
    // where another tool has erased what the code said, every difference stays an edit
    code: memo?.code ?? codeOf(app, name) ?? birth?.code ?? server,
    release: memo ? memo.release : (app.options.release ?? null),
    edit: newEdit({ by: 'sedano', server, to: {} }),
    notes: DONE_NOTE,
  };
}
