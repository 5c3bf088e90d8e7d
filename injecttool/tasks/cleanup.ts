import { BaseTask, currentTask, exclusiveTask, getTaskLogger, NotifyAdminTaskMixin } from 'sedano';
import { app } from '../app.ts';
import { cleanBiosampleSubmissions } from '../maintenance/clean-biosample-submissions.ts';
import { useDatabase } from '../resources.ts';

const logger = getTaskLogger('injecttool.cleanup');

/** Deletes what BioSamples completed long ago. */
export class CleanUpTask extends NotifyAdminTaskMixin(BaseTask) {
  override readonly name = 'Clean biosample models';
  override readonly description = 'Delete old completed biosample submissions';

  @exclusiveTask({ taskName: 'Clean biosample models', lockId: 'CleanUpTask' })
  override async run(): Promise<string> {
    const { signal } = currentTask();
    await cleanBiosampleSubmissions({
      database: await useDatabase(),
      now: () => new Date(),
      log: logger,
      signal,
    });
    return 'success';
  }
}

export const cleanUpTask = app.register(new CleanUpTask());
