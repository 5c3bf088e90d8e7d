import { UsiConnectionError, UsiDataError } from './errors.ts';
import { type Answer, describeRequest, exchange, type Limits, type Request } from './http.ts';
import type { TokenSource } from './token.ts';

const MAX_REDIRECTS = 5;
const LONGEST_QUOTE = 200;

/** HAL over HTTPS with the token, to the one origin that may see it. */
export interface UsiApi {
  /** The JSON behind `href`: a link that USI gave, or a path. */
  get(href: string): Promise<unknown>;
  /** Sends `body` as JSON; whatever is answered beside the status does not matter. */
  put(href: string, body: unknown): Promise<void>;
}

export interface UsiApiOptions {
  /** Root of the USI API. */
  root: URL;
  tokens: TokenSource;
  limits: Limits;
}

/**
 * Its functions throw {@link UsiConnectionError} when USI fails or does not answer, and {@link UsiDataError}
 * when it refuses, when a link leads to another origin, and when an answer is not JSON.
 */
export function createApi(options: UsiApiOptions): UsiApi {
  return {
    async get(href) {
      let url = resolveLink(href, options.root);
      for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
        const request = { method: 'GET', url } as const;
        const answer = await send(request, options);
        if (answer.location === null || answer.status < 300 || answer.status >= 400) {
          return parseJson(answer, request);
        }
        url = resolveLink(answer.location, options.root, url);
      }
      throw new UsiDataError(`${href}: expected at most ${MAX_REDIRECTS} redirects, got more`);
    },
    async put(href, body) {
      const url = resolveLink(href, options.root);
      const request = { method: 'PUT', url, body: JSON.stringify(body) } as const;
      const answer = await send(request, options);
      if (answer.status >= 300) {
        throw new UsiDataError(`${describeRequest(request)}: got a redirect, expected none`);
      }
    },
  };
}

/**
 * The address of a link, with its template part cut off.
 *
 * @throws {UsiDataError} when it leads to another origin than USI's: the token would go there.
 */
export function resolveLink(href: string, root: URL, base: URL = root): URL {
  const plain = cutTemplate(href);
  if (!URL.canParse(plain, base.href)) {
    throw new UsiDataError(`USI gave a link that is none: '${href.slice(0, LONGEST_QUOTE)}'`);
  }
  const url = new URL(plain, base);
  const stranger = describeStranger(url, root);
  if (stranger !== undefined) {
    throw new UsiDataError(
      `USI gave a link to ${stranger}, expected one to ${root.origin}: it is not followed`,
    );
  }
  return url;
}

/** `…/x{?projection}` without its template parts, wherever they stand. */
export function cutTemplate(href: string): string {
  // no brace inside the braces: else many that are never closed would take for ever
  return href.replace(/\{[^{}]*\}/g, '');
}

/** What `url` is when it may not be called with the token; undefined when it may. */
function describeStranger(url: URL, root: URL): string | undefined {
  // the protocol as well: a `blob:` address has the origin of what made it
  if (url.origin === 'null' || url.protocol === 'blob:') return `an address of '${url.protocol}'`;
  if (url.origin !== root.origin) return url.origin;
  return url.username === '' && url.password === '' ? undefined : `${url.origin} with an account`;
}

async function send(
  request: Pick<Request, 'method' | 'url' | 'body'>,
  options: UsiApiOptions,
): Promise<Answer> {
  const first = await sendOnce(request, options);
  // once more with a new token: USI may have forgotten the old one before its time
  const answer = first.status === 401 ? await sendOnce(request, options) : first;
  if (answer.status >= 400) {
    throw new UsiDataError(
      `${describeRequest(request)}: USI refused it with status ${answer.status}`,
      { httpStatus: answer.status },
    );
  }
  return answer;
}

async function sendOnce(
  request: Pick<Request, 'method' | 'url' | 'body'>,
  { tokens, limits }: UsiApiOptions,
): Promise<Answer> {
  const token = await tokens.get();
  const headers = {
    Accept: 'application/hal+json',
    Authorization: `Bearer ${token}`,
    ...(request.body !== undefined && { 'Content-Type': 'application/json' }),
  };
  const answer = await exchange({ ...request, headers }, limits);
  if (answer.status === 401) tokens.discard(token);
  return answer;
}

function parseJson(answer: Answer, request: Pick<Request, 'method' | 'url'>): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    const what = describeRequest(request);
    if (!answer.isWhole && /[/+]json$/.test(answer.contentType)) {
      throw new UsiConnectionError(`${what}: the answer broke off (no complete JSON)`);
    }
    throw new UsiDataError(
      `${what}: expected JSON, got ${answer.text.length} characters of ${answer.contentType}`,
    );
  }
}
