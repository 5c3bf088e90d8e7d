export { completeRetrieval, type CompleteRetrievalOptions } from './complete.ts';
export { RetrievalConnectionError, RetrievalError, type RetrievalFailure } from './errors.ts';
export { failRetrieval, type FailRetrievalOptions } from './fail.ts';
export { fetchStatus, type FetchStatusOptions } from './fetch-status.ts';
export type { MailOwner, OwnerMail } from './owner-mail.ts';
