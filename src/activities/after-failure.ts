import { Context } from '@temporalio/activity';
import type { Sedano } from '../app.ts';
import { enterTask } from '../current-task.ts';
import {
  TaskCrashedError,
  TaskFailedError,
  TaskNotRegisteredError,
  TaskRevokedError,
} from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { CRASHED_TYPE, passingFailure, UNKNOWN_TASK_RETRY_MS } from '../failure.ts';
import type { Registration } from '../registry.ts';
import { DurableCall, WorkerStopped } from './durable-call.ts';
import { HEARTBEAT_MS } from './execute.ts';
import { runHook } from './hooks.ts';
import type { WorkerLife } from './worker-life.ts';

/** What the workflow tells of a call that failed or was revoked. */
export interface FailedCall {
  task: string;
  args: unknown[];
  state: 'FAILURE' | 'REVOKED';
  error: { type: string; message: string; stack?: string | undefined };
}

/**
 * The activity that runs a task's `onFailure` and `afterReturn` once its call has failed or was revoked: after the
 * call's last attempt, in any worker of the queue, so also when the attempt's own worker died.
 */
export function createAfterFailure(
  app: Sedano,
  life: WorkerLife,
): (failed: FailedCall) => Promise<void> {
  return async ({ task: name, args, state, error: text }) => {
    const registration = app.registered(name);
    if (!registration) return refuseUnknown(name, state);
    const context = Context.current();
    const call = new DurableCall(registration, { context, args });
    const ended = { state, error: toError(text, call.id), call };
    const hooks = () => enterTask(registration.task, call, () => runHooks(registration, ended));
    const timer = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
    try {
      await life.during(call, () => Promise.race([hooks(), call.interrupted]));
    } catch (error) {
      // another one runs the hooks
      if (error instanceof WorkerStopped) throw passingFailure(error.name, error, 1);
      // hooks catch their own errors: what is thrown here would be thrown again
      getTaskLogger('sedano').error(
        { err: error, task: name },
        'The hooks of a call could not run',
      );
    } finally {
      clearInterval(timer);
    }
  };
}

/** A task that failed has been run, so another worker knows it; one that was revoked may be known to none. */
function refuseUnknown(taskName: string, state: FailedCall['state']): void {
  const message = `this worker does not know the task '${taskName}', so it cannot run its hooks`;
  if (state === 'REVOKED') return getTaskLogger('sedano').warn({ task: taskName }, message);
  const error = new TaskNotRegisteredError(message, { taskName });
  throw passingFailure(error.name, error, UNKNOWN_TASK_RETRY_MS);
}

interface Ended {
  state: FailedCall['state'];
  error: Error;
  call: DurableCall;
}

async function runHooks(
  { task, name }: Registration,
  { state, error, call }: Ended,
): Promise<void> {
  if (state === 'FAILURE') {
    call.logger.error({ err: error }, `Task '${name}' failed: ${error.message}`);
    await runHook(task, 'onFailure', () => task.onFailure(error, call));
  }
  await runHook(task, 'afterReturn', () => task.afterReturn(state, error, call));
}

function toError({ type, message, stack }: FailedCall['error'], taskId: string): Error {
  if (type === 'TaskRevokedError') return new TaskRevokedError(message, { taskId });
  if (type === CRASHED_TYPE) return new TaskCrashedError(message, { taskId });
  const error = new TaskFailedError(message, {
    taskId,
    type,
    ...(stack === undefined ? {} : { remoteStack: stack }),
  });
  // where the task threw says more than where its failure was read
  if (stack !== undefined) error.stack = stack;
  return error;
}
