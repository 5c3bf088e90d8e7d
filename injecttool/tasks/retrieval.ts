import {
  BaseTask,
  currentTask,
  exclusiveTask,
  getTaskLogger,
  InvalidArgumentsError,
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
    expectSubmissionId(submissionId);
    await completeRetrieval({
      database: await useDatabase(),
      submissionId,
      log: logger,
      mailOwner,
      repeated: isRepeated(),
    });
    return 'success';
  }

  override async onFailure(error: Error, call: TaskCall): Promise<void> {
    await super.onFailure(error, call);
    const [submissionId] = call.args;
    if (!isSubmissionId(submissionId)) return;
    await failRetrieval({
      database: await useDatabase(),
      submissionId,
      error,
      log: logger,
      mailOwner,
      repeated: isRepeated(),
    });
  }
}

/** Whether this was begun before: the task's code, or its hooks, which have attempts of their own. */
function isRepeated(): boolean {
  return currentTask().attempt > 1;
}

/** The largest that PostgreSQL's integer holds. */
const MAX_ID = 2_147_483_647;

function isSubmissionId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;
}

/**
 * Whoever starts a call by hand passes anything.
 *
 * @throws {InvalidArgumentsError} when it is no id.
 */
function expectSubmissionId(value: unknown): void {
  if (isSubmissionId(value)) return;
  const got = value === undefined ? 'none' : JSON.stringify(value).slice(0, 100);
  throw new InvalidArgumentsError(
    `Complete Retrieval Process: expected the id of a UID submission, a whole number, got ${got}`,
    {
      hint: `It is the id in uid_submission, from 1 to ${MAX_ID}: sedano call 'Complete Retrieval Process' 12`,
    },
  );
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
