import {
  BaseTask,
  currentTask,
  exclusiveTask,
  getTaskLogger,
  NotifyAdminTaskMixin,
  type TaskCall,
} from 'sedano';
import { app } from '../app.ts';
import { useDatabase, useUsi } from '../resources.ts';
import {
  completeRetrieval,
  failRetrieval,
  fetchStatus,
  type OwnerMail,
} from '../retrieval/index.ts';
import { UsiConnectionError } from '../usi/index.ts';

const logger = getTaskLogger('injecttool.retrieval');

/** Looks at the submissions that wait for BioSamples, and starts the follow-up of each. */
export class FetchStatusTask extends NotifyAdminTaskMixin(BaseTask) {
  override readonly name = 'Fetch USI status';
  override readonly description = 'Fetch biosample using USI API';
  override readonly autoretryFor = [UsiConnectionError];
  override readonly maxRetries = 3;
  override readonly retryDelay = '180s';

  @exclusiveTask({ taskName: 'Fetch USI status', lockId: 'FetchStatusTask' })
  override async run(): Promise<string> {
    const usi = useUsi();
    await fetchStatus({
      database: await useDatabase(),
      usi,
      now: () => new Date(),
      log: logger,
      signal: currentTask().signal,
      startRetrieval: async (submissionId) => {
        await completeRetrievalProcess.delay(submissionId);
      },
    });
    return 'success';
  }
}

/** Brings one UID submission to what its parts at BioSamples have come to, and tells its owner. */
export class CompleteRetrievalTask extends BaseTask {
  override readonly name = 'Complete Retrieval Process';
  override readonly description = 'Settle a UID submission once BioSamples has answered';

  override async run(submissionId: number): Promise<string> {
    await completeRetrieval({
      database: await useDatabase(),
      submissionId,
      log: logger,
      mailOwner,
    });
    return 'success';
  }

  override async onFailure(error: Error, call: TaskCall): Promise<void> {
    await super.onFailure(error, call);
    const [submissionId] = call.args;
    if (typeof submissionId !== 'number') return;
    const database = await useDatabase();
    await failRetrieval({ database, submissionId, error, log: logger, mailOwner });
  }
}

/** The tables are written already: a mail that cannot be handed over is logged, and changes nothing. */
async function mailOwner({ to, subject, body }: OwnerMail): Promise<void> {
  try {
    await app.sendMail({ to, subject, text: body });
  } catch (err) {
    logger.error({ err, subject }, "The mail to the submission's owner could not be handed over");
  }
}

export const completeRetrievalProcess = app.register(new CompleteRetrievalTask());
export const fetchStatusTask = app.register(new FetchStatusTask());
