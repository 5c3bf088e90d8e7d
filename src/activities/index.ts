import { Context } from '@temporalio/activity';
import type { Sedano } from '../app.ts';
import { readBeat } from '../beat.ts';
import { TaskNotRegisteredError } from '../errors.ts';
import type { ToldCall } from '../parking.ts';
import { passingFailure, UNKNOWN_TASK_RETRY_MS } from '../failure.ts';
import { createAfterFailure } from './after-failure.ts';
import { execute } from './execute.ts';
import { ownerOf } from './exclusive.ts';
import { DurableCall } from './durable-call.ts';
import { createExpire } from './expire.ts';
import type { WorkerLife } from './worker-life.ts';

/** The activities of a worker: one for each task under its name, `default` for unknown ones, and those of Sedano itself. */
export function createActivities(
  app: Sedano,
  life: WorkerLife,
): Record<string, (...args: never[]) => Promise<unknown>> {
  const tasks = app.tasks.map((registration) => {
    const run = (...args: unknown[]) => execute(registration, { args }, life);
    return [registration.name, run] as const;
  });
  return {
    ...Object.fromEntries(tasks),
    default: () => refuseUnknownTask(Context.current().info.activityType),
    __call: async ({ task, ...told }: ToldCall) => {
      const registration = app.registered(task);
      return registration ? await execute(registration, told, life) : refuseUnknownTask(task);
    },
    __leave: createLeave(app),
    __expire: createExpire(app),
    afterFailure: createAfterFailure(app, life),
  };
}

/** Fails in a way that costs the call nothing: during a rolling deploy another worker soon knows the task. */
function refuseUnknownTask(taskName: string): never {
  const { info, heartbeat } = Context.current();
  const beat = readBeat(info.heartbeatDetails);
  heartbeat({ ...beat, ended: beat.ended + 1 });
  const error = new TaskNotRegisteredError(`this worker does not know the task '${taskName}'`, {
    taskName,
  });
  throw passingFailure(error.name, error, UNKNOWN_TASK_RETRY_MS);
}

/** A call that was revoked while it waited gives up its place. */
function createLeave(app: Sedano) {
  return async ({ task, args, carry }: ToldCall): Promise<void> => {
    const registration = app.registered(task);
    if (!registration?.exclusive) return;
    const locks = await app.locks();
    const call = new DurableCall(registration, { context: Context.current(), args, carry });
    await locks.leave(registration.exclusive.lockIdOf(args), ownerOf(registration, call));
  };
}
