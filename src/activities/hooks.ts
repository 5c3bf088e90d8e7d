import { getTaskLogger } from '../logger.ts';
import type { BaseTask } from '../task.ts';

/** Runs a hook that comes after the task's code: an error in it is logged and changes nothing. */
export async function runHook(
  task: BaseTask,
  hook: string,
  run: () => void | Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    getTaskLogger(task.name).error({ err: error }, `Hook ${hook} of task '${task.name}' failed`);
  }
}
