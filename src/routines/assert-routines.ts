import type { Sedano } from '../app.ts';
import { ConfigError } from '../errors.ts';

/**
 * @throws {ConfigError} when routines of the table name tasks that are not registered, or whose `onBusy` is nothing for
 *   a routine.
 */
export function assertRoutinesRun(app: Sedano): void {
  assertTasksExist(app);
  assertNoneJoins(app);
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
