export {
  createUsiClient,
  type UsiClient,
  type UsiClientOptions,
  type UsiSample,
  type UsiSubmission,
} from './client.ts';
export { UnknownSubmissionError, UsiConnectionError, UsiDataError } from './errors.ts';
export type { UsiValidationResult } from './shapes.ts';
export type { UsiAccount } from './token.ts';
