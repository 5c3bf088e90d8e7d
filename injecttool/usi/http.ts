import { SedanoError } from 'sedano';
import { UsiConnectionError, UsiDataError } from './errors.ts';

/** What one exchange may take at most. */
export interface Limits {
  timeoutMs: number;
  maxBytes: number;
}

export interface Request {
  method: 'GET' | 'PUT';
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

export interface Answer {
  status: number;
  /** Where a redirect points; it is never followed here. */
  location: string | null;
  /** The media type alone, as the server says it. */
  contentType: string;
  /** The body of a successful GET; empty otherwise: nothing else is of use. */
  text: string;
  /** False when only the end of the connection ended the body, so that it may have been cut off. */
  isWhole: boolean;
}

/**
 * Sends one request and reads the whole answer.
 *
 * @throws {UsiConnectionError} when there is no answer in time, one that breaks off, or one with a status of
 *   500 and above.
 * @throws {UsiDataError} when the answer is too large.
 */
export async function exchange(request: Request, limits: Limits): Promise<Answer> {
  let begun = false;
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'manual', // a redirect would take the credentials along
      signal: AbortSignal.timeout(limits.timeoutMs),
    });
    begun = true;
    // the status decides first: an error page that is huge, slow or cut off must not hide it
    const isWanted = response.ok && request.method === 'GET';
    const text = isWanted ? await readText(response, request, limits.maxBytes) : '';
    if (!isWanted) await discardBody(response);
    if (response.status >= 500) {
      throw new UsiConnectionError(
        `${describeRequest(request)}: the server failed with ${response.status}`,
      );
    }
    return {
      status: response.status,
      location: response.headers.get('location'),
      contentType: readMediaType(response.headers),
      text,
      isWhole: response.headers.has('content-length') || response.headers.has('transfer-encoding'),
    };
  } catch (error) {
    if (error instanceof SedanoError) throw error;
    throw connectionError(error, { request, limits, begun });
  }
}

/** The request in an error text: without its query, headers and body, where secrets could be. */
export function describeRequest({ method, url }: Pick<Request, 'method' | 'url'>): string {
  return `${method} ${url.origin}${url.pathname}`;
}

async function readText(response: Response, request: Request, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new UsiDataError(
        `${describeRequest(request)}: expected an answer of at most ${maxBytes} bytes, got more`,
      );
    }
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

async function discardBody({ body }: Response): Promise<void> {
  try {
    await body?.cancel();
  } catch {
    // the connection is gone already, and nobody wants what it would have brought
  }
}

/** `application/json` of `application/json; charset=utf-8`: nothing else that a server says goes into errors. */
function readMediaType(headers: Headers): string {
  const match = /^[\w.+-]{1,50}\/[\w.+-]{1,100}/.exec(headers.get('content-type') ?? '');
  return match?.[0].toLowerCase() ?? 'no content type';
}

// The error of `fetch` is no cause of ours: it can hold the bytes that were answered, a token among them,
// or quote a header that was to be sent.
function connectionError(
  error: unknown,
  { request, limits, begun }: { request: Request; limits: Limits; begun: boolean },
): Error {
  const what = describeRequest(request);
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new UsiConnectionError(
      `${what}: no complete answer within ${limits.timeoutMs / 1_000} s`,
    );
  }
  const outcome = begun ? 'the answer broke off' : 'no connection';
  return new UsiConnectionError(`${what}: ${outcome} (${describeReason(error)})`);
}

/** `fetch` says only "fetch failed"; what happened is in its cause. */
function describeReason(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { cause } = error;
  if (!(cause instanceof Error)) return error.name;
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
