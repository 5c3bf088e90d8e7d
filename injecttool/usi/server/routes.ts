import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  availableStatusesDocument,
  samplesDocument,
  type Site,
  statusDocument,
  submissionDocument,
  validationResultDocument,
  validationResultsDocument,
} from './documents.ts';
import type { Store } from './store.ts';
import {
  advanceStatus,
  advanceValidation,
  canBeSubmitted,
  type StoredSubmission,
  submit,
} from './submission.ts';
import type { TokenIssuer } from './tokens.ts';

const MAX_BODY_BYTES = 10_000;

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  store: Store;
  tokens: TokenIssuer;
  site: Site;
  now: () => Date;
  /** Whether a submission moves on when it has been looked at. */
  moves: boolean;
}

/** A request whose token is good and whose submission is there. */
interface Visit extends Exchange {
  submission: StoredSubmission;
  url: URL;
  /** What the groups of the route matched. */
  rest: string | undefined;
}

const ROUTES: { method: string; path: RegExp; visit: (visit: Visit) => void | Promise<void> }[] = [
  { method: 'GET', path: /^\/api\/submissions\/([^/]+)$/, visit: sendSubmission },
  { method: 'GET', path: /^\/api\/submissions\/([^/]+)\/contents\/samples$/, visit: sendSamples },
  {
    method: 'GET',
    path: /^\/api\/submissions\/([^/]+)\/availableSubmissionStatuses$/,
    visit: sendAvailableStatuses,
  },
  { method: 'GET', path: /^\/api\/submissionStatuses\/([^/]+)$/, visit: sendStatus },
  { method: 'PUT', path: /^\/api\/submissionStatuses\/([^/]+)$/, visit: changeStatus },
  {
    method: 'GET',
    path: /^\/api\/validationResults\/search\/by-submission$/,
    visit: sendValidationResults,
  },
  {
    method: 'GET',
    path: /^\/api\/validationResults\/([^/]+)\/(\d+)$/,
    visit: sendValidationResult,
  },
];

export async function answerRequest(exchange: Exchange): Promise<void> {
  const { request, response, store, tokens, site } = exchange;
  const url = new URL(request.url ?? '/', site.url);
  if (url.pathname === '/auth' && request.method === 'GET') return sendToken(exchange);
  if (!tokens.accepts(request.headers.authorization)) {
    return refuse(response, 401, 'Full authentication is required to access this resource');
  }
  const matching = ROUTES.filter(({ path }) => path.test(url.pathname));
  const route = matching.find(({ method }) => method === request.method);
  if (!route) {
    if (matching.length > 0) return refuse(response, 405, 'Method not allowed');
    return refuse(response, 404, 'Not found');
  }
  const [, inPath, rest] = route.path.exec(url.pathname) ?? [];
  const name = inPath === undefined ? url.searchParams.get('submissionId') : decodeName(inPath);
  const submission = store.find(name ?? '');
  if (!submission) return refuse(response, 404, 'Submission not found');
  await route.visit({ ...exchange, submission, url, rest });
}

/** Undefined when the percent signs in it encode nothing: no submission has such a name. */
function decodeName(inPath: string): string | undefined {
  try {
    return decodeURIComponent(inPath);
  } catch {
    return undefined;
  }
}

function sendToken({ request, response, tokens }: Exchange): void {
  const token = tokens.issue(request.headers.authorization);
  if (token === undefined) return refuse(response, 401, 'Bad credentials');
  response.writeHead(200, { 'Content-Type': 'text/plain' }).end(token);
}

function sendSubmission({ response, site, submission }: Visit): void {
  sendHal(response, submissionDocument(site, submission));
}

function sendStatus({ response, site, submission, store, now, moves }: Visit): void {
  const document = statusDocument(site, submission);
  if (moves && advanceStatus(submission, now(), () => store.nextAccession())) store.save();
  sendHal(response, document);
}

async function changeStatus({
  request,
  response,
  site,
  submission,
  store,
  now,
}: Visit): Promise<void> {
  const body = await readJson(request);
  const wanted = typeof body === 'object' && body !== null && 'status' in body && body.status;
  if (wanted !== 'Submitted' || !canBeSubmitted(submission)) {
    return refuse(response, 400, `The status cannot change from ${submission.status} to that`);
  }
  submit(submission, now());
  store.save();
  sendHal(response, statusDocument(site, submission));
}

function sendAvailableStatuses({ response, site, submission }: Visit): void {
  sendHal(response, availableStatusesDocument(site, submission));
}

function sendSamples({ response, site, submission, url }: Visit): void {
  sendHal(response, samplesDocument(site, submission, readPage(url)));
}

function sendValidationResults(visit: Visit): void {
  const { response, site, submission, url, store, now, moves } = visit;
  const document = validationResultsDocument(site, submission, readPage(url));
  const isLast = document._links.next === undefined;
  if (moves && isLast && advanceValidation(submission, now())) store.save();
  sendHal(response, document);
}

function sendValidationResult({ response, site, submission, rest }: Visit): void {
  const index = Number(rest);
  if (index >= submission.samples.length) return refuse(response, 404, 'Not found');
  sendHal(response, validationResultDocument(site, submission, index));
}

function readPage(url: URL): number {
  const page = Number(url.searchParams.get('page') ?? 0);
  return Number.isSafeInteger(page) && page >= 0 ? page : 0;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MAX_BODY_BYTES) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sendHal(response: ServerResponse, document: object): void {
  response.writeHead(200, { 'Content-Type': 'application/hal+json' }).end(JSON.stringify(document));
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(JSON.stringify({ message }));
}
