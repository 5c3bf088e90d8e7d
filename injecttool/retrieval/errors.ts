import { SedanoError } from 'sedano';
import { UsiConnectionError } from '../usi/errors.ts';

/** One thing that went wrong while the others were looked at all the same. */
export interface RetrievalFailure {
  /** What it concerns, in words: a biosample submission, or the follow-up of a UID submission. */
  subject: string;
  error: unknown;
}

/** Some submissions could not be dealt with; asking again will not help. The message names each of them. */
export class RetrievalError extends SedanoError {
  override name = 'RetrievalError';
  readonly failures: readonly RetrievalFailure[];

  constructor(failures: readonly RetrievalFailure[]) {
    super(describeFailures(failures), { cause: failures[0]?.error });
    this.failures = failures;
  }
}

/** Some submissions could not be dealt with, at least one of them because USI could not be reached: worth a retry. */
export class RetrievalConnectionError extends UsiConnectionError {
  override name = 'RetrievalConnectionError';
  readonly failures: readonly RetrievalFailure[];

  constructor(failures: readonly RetrievalFailure[]) {
    super(describeFailures(failures), {
      cause: failures.find(({ error }) => error instanceof UsiConnectionError)?.error,
    });
    this.failures = failures;
  }
}

/** The one error for all of `failures`. */
export function combineFailures(
  failures: readonly RetrievalFailure[],
): RetrievalError | RetrievalConnectionError {
  const retriable = failures.some(({ error }) => error instanceof UsiConnectionError);
  return retriable ? new RetrievalConnectionError(failures) : new RetrievalError(failures);
}

function describeFailures(failures: readonly RetrievalFailure[]): string {
  const lines = failures.map(({ subject, error }) => `${subject}: ${describeError(error)}`);
  return [`${failures.length} failed while fetching the USI status:`, ...lines].join('\n');
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
