import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowNotFoundError, type WorkflowExecutionDescription } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { getTaskLogger } from '../logger.ts';
import { readParkedOwner, type CallMemo, type ParkedPlace } from '../parking.ts';

/**
 * Wakes the calls that are parked in their workflows when it is their turn. Redis may be away now: it is subscribed to
 * when it is back.
 *
 * @returns what ends it
 */
export function wakeParkedCalls(app: Sedano, queues: readonly string[]): () => Promise<void> {
  const closing = new AbortController();
  const sweep = { queues, signal: closing.signal };
  let unsubscribe = async () => {};
  void subscribeAtLast(app, sweep).then(async (end) => {
    if (closing.signal.aborted) await end();
    else unsubscribe = end;
  });
  return async () => {
    closing.abort(new Error('the worker stops'));
    await unsubscribe();
  };
}

const SUBSCRIBE_AGAIN_MS = 2_000;

/** Tries until Redis is there, or the worker stops. */
async function subscribeAtLast(app: Sedano, sweep: Sweep): Promise<() => Promise<void>> {
  for (let isFirst = true; !sweep.signal.aborted; isFirst = false) {
    try {
      return await subscribe(app, sweep);
    } catch (err) {
      const log = getTaskLogger('sedano.lock');
      const text = 'Calls that wait for a lock are not woken by this worker yet';
      if (isFirst) log.warn({ err }, text);
      else log.debug({ err }, text);
    }
    await delay(SUBSCRIBE_AGAIN_MS, undefined, { signal: sweep.signal }).catch(() => {});
  }
  return async () => {};
}

interface Sweep {
  queues: readonly string[];
  /** Ends it halfway. */
  signal: AbortSignal;
}

async function subscribe(app: Sedano, sweep: Sweep): Promise<() => Promise<void>> {
  const locks = await app.locks();
  await locks.touch();
  for (const warning of await locks.check()) getTaskLogger('sedano.redis').warn(warning);
  return await locks.onParkedTurn({
    wake: ({ owner }) => wake(app, owner),
    wakeAll: () => wakeAll(app, sweep),
  });
}

/** @returns false when the call has ended, so that its place can go */
async function wake(app: Sedano, owner: string): Promise<boolean> {
  const place = readParkedOwner(owner, app.client.target.namespace);
  // of another namespace, whose workers know it
  if (!place) return true;
  try {
    await app.client.request(async ({ workflow }) => {
      const handle = workflow.getHandle(place.id);
      const description = await handle.describe();
      const isThere = description.status.name === 'RUNNING' && isOf(description, place);
      if (!isThere) throw new Gone();
      await handle.signal('turn');
    });
    return true;
  } catch (error) {
    if (error instanceof Gone || error instanceof WorkflowNotFoundError) return false;
    getTaskLogger('sedano.lock').warn({ err: error, call: place.id }, 'A call could not be woken');
    return true;
  }
}

/** A call is listed as parked a moment after it was. */
const LISTED_AFTER_MS = 5_000;
const SIGNALS_AT_ONCE = 20;

/** Signals all calls that are parked, those first that have waited longest: they queue again in their order. */
async function wakeAll(app: Sedano, { queues, signal }: Sweep): Promise<void> {
  const woken = new Set<string>();
  for (const afterMs of [0, LISTED_AFTER_MS]) {
    await delay(afterMs, undefined, { signal });
    const parked = (await listParked(app, queues)).filter(({ runId }) => !woken.has(runId));
    for (let start = 0; start < parked.length; start += SIGNALS_AT_ONCE) {
      signal.throwIfAborted();
      const some = parked.slice(start, start + SIGNALS_AT_ONCE);
      await Promise.all(some.map(async ({ id, runId }) => await signalTurn(app, id, runId)));
      for (const { runId } of some) woken.add(runId);
    }
  }
  if (woken.size === 0) return;
  getTaskLogger('sedano.lock').warn(
    { calls: woken.size },
    'Redis has lost the places of waiting calls; they queue again',
  );
}

interface ParkedRun {
  id: string;
  runId: string;
  sinceMs: number;
}

async function listParked(app: Sedano, queues: readonly string[]): Promise<ParkedRun[]> {
  const names = queues.map((queue) => `'${queue.replaceAll("'", "''")}'`).join(', ');
  const query = `ExecutionStatus = 'Running' AND TaskQueue IN (${names})`;
  const parked: ParkedRun[] = [];
  await app.client.request(async ({ workflow }) => {
    for await (const { workflowId, runId, memo } of workflow.list({ query, pageSize: 1_000 })) {
      const { waiting, carry } = (memo?.['sedano'] ?? {}) as CallMemo;
      const sinceMs = waiting?.sinceMs ?? carry?.sinceMs;
      if (sinceMs !== undefined) parked.push({ id: workflowId, runId, sinceMs });
    }
  });
  return parked.toSorted((a, b) => a.sinceMs - b.sinceMs);
}

async function signalTurn(app: Sedano, id: string, runId: string): Promise<void> {
  try {
    await app.client.request(({ workflow }) => workflow.getHandle(id, runId).signal('turn'));
  } catch (error) {
    // it has ended since
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Whether the run keeps its place under this run id: its own or the first of its chain, and after a reset either. */
function isOf(
  { runId, memo, raw }: WorkflowExecutionDescription,
  { firstRunId }: ParkedPlace,
): boolean {
  const { carry } = (memo?.['sedano'] ?? {}) as CallMemo;
  const first = raw.workflowExecutionInfo?.firstRunId;
  return [first, runId, carry?.firstRunId].includes(firstRunId);
}

class Gone extends Error {}
