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
  patched,
  proxyActivities,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { FailedCall } from '../activities/after-failure.ts';
import type { BeginBy, CallMemo, Parking, ToldCall } from '../parking.ts';
import { beginByOfRun, type LateRule } from './begin-by.ts';

// the same for every task: limits, retries and exclusivity are the activity's affair, where the task is known
const tasks = proxyActivities<Record<string, (...args: unknown[]) => Promise<unknown>>>({
  startToCloseTimeout: '365 days',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', backoffCoefficient: 1 },
  // unset it would be TRY_CANCEL, which reports the end while the task still runs and holds its lock
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

const {
  afterFailure,
  __leave: leaveQueue,
  __expire: expire,
} = proxyActivities<{
  afterFailure(call: FailedCall): Promise<void>;
  __leave(call: ToldCall): Promise<void>;
  __expire(reason: string): Promise<void>;
}>({
  startToCloseTimeout: '5m',
  // hooks and mails must not keep a failed call open for ever
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout: '20s',
});

const turn = defineSignal('turn');

/** A routine's run is too late to begin. */
class Expired extends Error {}

/**
 * The one workflow of all tasks, found under any workflow type because it is the default export: it runs the activity
 * of that name with the arguments it got. Its input is the user's arguments and nothing else, so that the CLI, the
 * Web UI and any schedule can start a task. A call that waits for a lock is parked here, where it holds no worker's slot.
 */
export default async function runTask(...args: unknown[]): Promise<unknown> {
  const { workflowType: task, memo } = workflowInfo();
  const told = (memo?.['sedano'] ?? {}) as CallMemo & { extra?: LateRule };
  const { options, carry } = told;
  try {
    return await runInTurn({ task, args, options, carry, beginBy: beginByOf(told) });
  } catch (thrown) {
    if (thrown instanceof ContinueAsNew) throw thrown;
    const error = thrown instanceof Expired ? await revokeThisRun(thrown.message) : thrown;
    const call = { task, args, ...outcome(error, thrown) };
    await CancellationScope.nonCancellable(() => afterFailure(call)).catch(() => {
      // the call's own error is its result, whatever became of its hooks
    });
    throw error;
  }
}

function beginByOf({ beginBy, extra }: CallMemo & { extra?: LateRule }): BeginBy | undefined {
  const limit = beginBy ?? (extra && beginByOfRun(extra));
  // a worker of the release before may have begun the run
  return limit && patched('begin-by') ? limit : undefined;
}

/** Has the run cancelled, so that it shows as revoked everywhere; returns what the workflow is to end with. */
async function revokeThisRun(reason: string): Promise<unknown> {
  try {
    await CancellationScope.nonCancellable(() => expire(reason));
    return await CancellationScope.current().cancelRequested;
  } catch (cancelled) {
    return cancelled;
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
      assertInTime(call);
      return await runOnce(call);
    } catch (error) {
      const parking = parkingOf(error);
      if (!parking) throw await endOf(error, call);
      if (!call.carry) showParked(call, parking);
      call = { ...call, carry: parking.carry };
    }
    await park(call, () => woken);
  }
}

function assertInTime({ beginBy, carry }: ToldCall): void {
  if (!beginBy || carry?.beat.begun || Date.now() < beginBy.ms) return;
  throw new Expired(beginBy.reason);
}

/** The error that ends the call; one that expires gives up its place. */
async function endOf(error: unknown, call: ToldCall): Promise<unknown> {
  const failure = ownFailureOf(error);
  const expired = failure?.type === 'Expired' ? new Expired(failure.message) : error;
  if (expired instanceof Expired && call.carry) await giveUpPlace(call);
  return expired;
}

async function runOnce(call: ToldCall): Promise<unknown> {
  const { task, args, options, carry, beginBy } = call;
  const told = options !== undefined || carry !== undefined || beginBy !== undefined;
  const run = told ? tasks['__call'] : tasks[task];
  if (run === undefined) throw new Error(`no activity proxy for '${task}'`);
  return told ? await run(call) : await run(...args);
}

/** Waits to be woken, or for the time to ask again. A call that is revoked meanwhile gives up its place. */
async function park(call: ToldCall, woken: () => boolean): Promise<void> {
  const againMs = Math.min(call.carry?.againMs ?? 0, leftMs(call));
  try {
    if (workflowInfo().continueAsNewSuggested) await continueInNewRun(call);
    await condition(woken, againMs);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await giveUpPlace(call);
    throw error;
  }
}

/** How long it may still wait before it has to begin. */
function leftMs({ carry, beginBy }: ToldCall): number {
  return !beginBy || carry?.beat.begun ? Infinity : Math.max(1, beginBy.ms - Date.now());
}

async function giveUpPlace(call: ToldCall): Promise<void> {
  await CancellationScope.nonCancellable(() => leaveQueue(call)).catch(() => {
    // whoever wakes it later finds it gone
  });
}

/** A history holds only so much; the call's input stays the user's arguments. */
async function continueInNewRun({ args, options, carry, beginBy }: ToldCall): Promise<never> {
  const memo: CallMemo = { options, carry, ...(beginBy ? { beginBy } : {}) };
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
  const failure = ownFailureOf(error);
  const [, parking] = (failure?.details ?? []) as [object?, Parking?];
  return failure?.type === 'LockBusy' ? parking : undefined;
}

/** The failure of an activity that Sedano itself has decided on. */
function ownFailureOf(error: unknown): ApplicationFailure | undefined {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof ApplicationFailure)) return;
  const [ours]: unknown[] = error.cause.details ?? [];
  return typeof ours === 'object' && ours && 'sedano' in ours ? error.cause : undefined;
}

/** @param thrown what led to `error`. */
function outcome(error: unknown, thrown: unknown): Pick<FailedCall, 'state' | 'error'> {
  if (isCancellation(error)) {
    const why = thrown instanceof Expired ? `: ${thrown.message}` : '';
    const message = `the call was revoked${why}`;
    return { state: 'REVOKED', error: { type: 'TaskRevokedError', message } };
  }
  const failure = error instanceof ActivityFailure && error.cause ? error.cause : error;
  const { message, stack, type } = failure as { message?: string; stack?: string; type?: string };
  return {
    state: 'FAILURE',
    error: { type: type ?? 'Error', message: message ?? String(failure), stack },
  };
}
