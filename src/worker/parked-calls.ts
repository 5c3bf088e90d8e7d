import { WorkflowNotFoundError } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { getTaskLogger } from '../logger.ts';
import { readParkedOwner } from '../parking.ts';

/**
 * Wakes the calls that are parked in their workflows when it is their turn. Redis may be away now: it is subscribed to
 * when it is back.
 *
 * @returns what ends it
 */
export function wakeParkedCalls(app: Sedano): () => Promise<void> {
  const subscribed = subscribe(app).catch((error: unknown) => {
    getTaskLogger('sedano.lock').warn(
      { err: error },
      'Calls that wait for a lock are not woken by this worker; they ask again by themselves',
    );
    return async () => {};
  });
  return async () => {
    const unsubscribe = await subscribed;
    await unsubscribe();
  };
}

async function subscribe(app: Sedano): Promise<() => Promise<void>> {
  const locks = await app.locks();
  const unsubscribe = await locks.onParkedTurn(({ owner }) => wake(app, owner));
  await locks.touch();
  for (const warning of await locks.check()) getTaskLogger('sedano.redis').warn(warning);
  return unsubscribe;
}

/** @returns false when the call has ended, so that its place can go */
async function wake(app: Sedano, owner: string): Promise<boolean> {
  const place = readParkedOwner(owner, app.client.target.namespace);
  // of another namespace, whose workers know it
  if (!place) return true;
  try {
    await app.client.request(async ({ workflow }) => {
      const handle = workflow.getHandle(place.id);
      const { status, raw } = await handle.describe();
      const ours = raw.workflowExecutionInfo?.firstRunId === place.firstRunId;
      if (!ours || status.name !== 'RUNNING') throw new Gone();
      await handle.signal('turn');
    });
    return true;
  } catch (error) {
    if (error instanceof Gone || error instanceof WorkflowNotFoundError) return false;
    getTaskLogger('sedano.lock').warn({ err: error, call: place.id }, 'A call could not be woken');
    return true;
  }
}

class Gone extends Error {}
