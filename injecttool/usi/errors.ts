import { SedanoError, type SedanoErrorOptions } from 'sedano';

/** USI or its token service could not be reached, was too slow, or failed (5xx): worth another try. */
export class UsiConnectionError extends SedanoError {
  override name = 'UsiConnectionError';
}

/** USI answered, but with a refusal (4xx) or something that cannot be understood: another try will not help. */
export class UsiDataError extends SedanoError {
  override name = 'UsiDataError';
  /** The status of the answer, where it was the status that refused. */
  readonly httpStatus: number | undefined;

  constructor(
    message: string,
    { httpStatus, ...options }: SedanoErrorOptions & { httpStatus?: number } = {},
  ) {
    super(message, options);
    this.httpStatus = httpStatus;
  }
}

/** USI knows no submission of that name, or the account may not see it. */
export class UnknownSubmissionError extends UsiDataError {
  override name = 'UnknownSubmissionError';
  readonly submissionName: string;

  constructor(submissionName: string) {
    super(`USI knows no submission '${submissionName}'`, { httpStatus: 404 });
    this.submissionName = submissionName;
  }
}
