import { currentTask, getTaskLogger } from 'sedano';
import { app } from '../app.ts';
import { cleanRegistrations } from '../maintenance/clean-registrations.ts';
import { useDatabase } from '../resources.ts';

const logger = getTaskLogger('injecttool.registrations');

export const cleanupregistration = app.task(
  { name: 'cleanupregistration', description: 'Clean up expired registrations' },
  async () => {
    logger.info('Cleaning up registrations');
    const { signal } = currentTask();
    await cleanRegistrations({
      database: await useDatabase(),
      now: () => new Date(),
      log: logger,
      signal,
    });
    return 'Registrations cleaned with success';
  },
);
