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
  contentType: string;
  text: string;
}

/**
 * Sends one request and reads the whole answer.
 *
 * @throws {UsiConnectionError} when there is no answer in time, or one with a status of 500 and above.
 * @throws {UsiDataError} when the answer is too large.
 */
export async function exchange(request: Request, limits: Limits): Promise<Answer> {
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'manual', // a redirect would take the credentials along
      signal: AbortSignal.timeout(limits.timeoutMs),
    });
    const text = await readText(response, request, limits.maxBytes);
    if (response.status >= 500) {
      throw new UsiConnectionError(
        `${describeRequest(request)}: the server failed with ${response.status}`,
      );
    }
    return {
      status: response.status,
      location: response.headers.get('location'),
      contentType: response.headers.get('content-type') ?? 'no content type',
      text,
    };
  } catch (error) {
    throw error instanceof SedanoError ? error : connectionError(error, request, limits);
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
  return Buffer.concat(chunks).toString('utf8');
}

function connectionError(error: unknown, request: Request, { timeoutMs }: Limits): Error {
  const what = describeRequest(request);
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new UsiConnectionError(`${what}: no complete answer within ${timeoutMs / 1_000} s`);
  }
  return new UsiConnectionError(`${what}: no connection (${describeReason(error)})`, {
    cause: error,
  });
}

/** `fetch` says only "fetch failed"; what happened is in its cause. */
function describeReason(error: unknown): string {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (reason instanceof Error) {
    return 'code' in reason && typeof reason.code === 'string' ? reason.code : reason.message;
  }
  return String(reason);
}
