import { Context } from '@temporalio/activity';
import type { Sedano } from '../app.ts';
import { readBeat } from '../beat.ts';
import { TaskNotRegisteredError } from '../errors.ts';
import { passingFailure, UNKNOWN_TASK_RETRY_MS } from '../failure.ts';
import { createAfterFailure } from './after-failure.ts';
import { createExecute } from './execute.ts';
import type { WorkerLife } from './worker-life.ts';

/** The activities of a worker: one for each task under its name, `default` for unknown ones, and those of Sedano itself. */
export function createActivities(
  app: Sedano,
  life: WorkerLife,
): Record<string, (...args: never[]) => Promise<unknown>> {
  const tasks = app.tasks.map((task) => [task.name, createExecute(task, life)] as const);
  return {
    ...Object.fromEntries(tasks),
    default: refuseUnknownTask,
    afterFailure: createAfterFailure(app, life),
  };
}

/** Fails in a way that costs the call nothing: during a rolling deploy another worker soon knows the task. */
async function refuseUnknownTask(): Promise<never> {
  const { info, heartbeat } = Context.current();
  const { activityType: taskName } = info;
  const beat = readBeat(info.heartbeatDetails);
  heartbeat({ ...beat, ended: beat.ended + 1 });
  const error = new TaskNotRegisteredError(`this worker does not know the task '${taskName}'`, {
    taskName,
  });
  throw passingFailure(error.name, error, UNKNOWN_TASK_RETRY_MS);
}
