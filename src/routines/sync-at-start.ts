import type { Sedano } from '../app.ts';
import { getTaskLogger } from '../logger.ts';
import { settleFinished } from './finished.ts';
import { syncRoutines } from './sync.ts';

/**
 * Syncs the routines when a worker starts, pauses those that are done, and logs what it did and what it left alone.
 *
 * @throws as `syncRoutines`.
 */
export async function syncAtStart(app: Sedano): Promise<void> {
  const logger = getTaskLogger('sedano');
  const { created, followed, drift, orphans, foreign, past } = await syncRoutines(app);
  if (created.length > 0) logger.info({ created }, 'Routines created');
  if (followed.length > 0) logger.info({ followed }, 'Routines follow the code');
  if (drift.length > 0) {
    const edited = drift.map(({ name, fields }) => ({
      name,
      fields: fields.filter(({ state }) => state === 'edited').map(({ field }) => field),
    }));
    logger.warn({ edited }, 'Routines edited on the server stay so; see sedano routines diff');
  }
  if (orphans.length > 0) {
    logger.warn({ orphans }, 'Routines that have left the table; see sedano routines prune');
  }
  if (foreign.length > 0) {
    logger.warn({ foreign }, 'Schedules that Sedano did not make have the names of routines');
  }
  if (past.length > 0) logger.warn({ past }, 'Routines whose one moment has passed');
  const done = await settleFinished(app);
  if (done.length > 0) logger.info({ done }, 'Routines paused after their one run');
}
