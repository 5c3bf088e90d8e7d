import {
  ActivityCancellationType,
  ActivityFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { FailedCall } from '../activities/after-failure.ts';

// the same for every task: limits, retries and exclusivity are the activity's affair, where the task is known
const tasks = proxyActivities<Record<string, (...args: unknown[]) => Promise<unknown>>>({
  startToCloseTimeout: '365 days',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', backoffCoefficient: 1 },
  // unset it would be TRY_CANCEL, which reports the end while the task still runs and holds its lock
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

const { afterFailure } = proxyActivities<{ afterFailure(call: FailedCall): Promise<void> }>({
  startToCloseTimeout: '5m',
  // hooks and mails must not keep a failed call open for ever
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout: '20s',
});

/**
 * The one workflow of all tasks, found under any workflow type because it is the default export: it runs the activity
 * of that name with the arguments it got. Its input is the user's arguments and nothing else, so that the CLI, the
 * Web UI and any schedule can start a task.
 */
export default async function runTask(...args: unknown[]): Promise<unknown> {
  const { workflowType } = workflowInfo();
  const run = tasks[workflowType];
  if (run === undefined) throw new Error(`no activity proxy for '${workflowType}'`);
  try {
    return await run(...args);
  } catch (error) {
    const call = { task: workflowType, args, ...outcome(error) };
    await CancellationScope.nonCancellable(() => afterFailure(call)).catch(() => {
      // the call's own error is its result, whatever became of its hooks
    });
    throw error;
  }
}

function outcome(error: unknown): Pick<FailedCall, 'state' | 'error'> {
  if (isCancellation(error))
    return {
      state: 'REVOKED',
      error: { type: 'TaskRevokedError', message: 'the call was revoked' },
    };
  const failure = error instanceof ActivityFailure && error.cause ? error.cause : error;
  const { message, stack, type } = failure as { message?: string; stack?: string; type?: string };
  return {
    state: 'FAILURE',
    error: { type: type ?? 'Error', message: message ?? String(failure), stack },
  };
}
