import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  defineSignal,
  isCancellation,
  makeContinueAsNewFunc,
  proxyActivities,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { FailedCall } from '../activities/after-failure.ts';
import type { CallMemo, Parking, ToldCall } from '../parking.ts';

// the same for every task: limits, retries and exclusivity are the activity's affair, where the task is known
const tasks = proxyActivities<Record<string, (...args: unknown[]) => Promise<unknown>>>({
  startToCloseTimeout: '365 days',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', backoffCoefficient: 1 },
  // unset it would be TRY_CANCEL, which reports the end while the task still runs and holds its lock
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

const { afterFailure, __leave: leaveQueue } = proxyActivities<{
  afterFailure(call: FailedCall): Promise<void>;
  __leave(call: ToldCall): Promise<void>;
}>({
  startToCloseTimeout: '5m',
  // hooks and mails must not keep a failed call open for ever
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout: '20s',
});

const turn = defineSignal('turn');

/**
 * The one workflow of all tasks, found under any workflow type because it is the default export: it runs the activity
 * of that name with the arguments it got. Its input is the user's arguments and nothing else, so that the CLI, the
 * Web UI and any schedule can start a task. A call that waits for a lock is parked here, where it holds no worker's slot.
 */
export default async function runTask(...args: unknown[]): Promise<unknown> {
  const { workflowType: task, memo } = workflowInfo();
  const { options, carry } = (memo?.['sedano'] ?? {}) as CallMemo;
  try {
    return await runInTurn({ task, args, options, carry });
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const call = { task, args, ...outcome(error) };
    await CancellationScope.nonCancellable(() => afterFailure(call)).catch(() => {
      // the call's own error is its result, whatever became of its hooks
    });
    throw error;
  }
}

/** Runs the call, round after round, until it has got its lock. */
async function runInTurn(first: ToldCall): Promise<unknown> {
  let woken = false;
  setHandler(turn, () => {
    woken = true;
  });
  for (let call = first; ;) {
    woken = false;
    try {
      return await runOnce(call);
    } catch (error) {
      const parking = parkingOf(error);
      if (!parking) throw error;
      if (!call.carry) showParked(call, parking);
      call = { ...call, carry: parking.carry };
    }
    await park(call, () => woken);
  }
}

async function runOnce(call: ToldCall): Promise<unknown> {
  const { task, args, options, carry } = call;
  const told = options !== undefined || carry !== undefined;
  const run = told ? tasks['__call'] : tasks[task];
  if (run === undefined) throw new Error(`no activity proxy for '${task}'`);
  return told ? await run(call) : await run(...args);
}

/** Waits to be woken, or for the time to ask again. A call that is revoked meanwhile gives up its place. */
async function park(call: ToldCall, woken: () => boolean): Promise<void> {
  const againMs = call.carry?.againMs ?? 0;
  try {
    if (workflowInfo().continueAsNewSuggested) await continueInNewRun(call);
    await condition(woken, againMs);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(() => leaveQueue(call)).catch(() => {
      // whoever wakes it later finds it gone
    });
    throw error;
  }
}

/** A history holds only so much; the call's input stays the user's arguments. */
async function continueInNewRun({ args, options, carry }: ToldCall): Promise<never> {
  const memo: CallMemo = { options, carry };
  const next = makeContinueAsNewFunc<typeof runTask>({ memo: { sedano: memo } });
  return await next(...args);
}

/** Lets those who look on see that the call waits. */
function showParked({ options }: ToldCall, { lockId, carry }: Parking): void {
  const memo: CallMemo = { options, waiting: { lockId, sinceMs: carry.sinceMs } };
  upsertMemo({ sedano: memo });
}

/** What an activity answers when its call is to wait here. */
function parkingOf(error: unknown): Parking | undefined {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof ApplicationFailure)) return;
  const [ours, parking] = (error.cause.details ?? []) as [object?, Parking?];
  return error.cause.type === 'LockBusy' && ours && 'sedano' in ours ? parking : undefined;
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
