import { currentTask, getTaskLogger } from 'sedano';
import { app } from '../app.ts';
import { clearSessions } from '../maintenance/clear-sessions.ts';
import { useDatabase } from '../resources.ts';

const logger = getTaskLogger('injecttool.sessions');

export const clearsessions = app.task(
  { name: 'clearsessions', description: 'Clean up expired sessions' },
  async () => {
    logger.info('Clearing sessions');
    const { signal } = currentTask();
    await clearSessions({
      database: await useDatabase(),
      now: () => new Date(),
      log: logger,
      signal,
    });
    return 'Session cleaned with success';
  },
);
