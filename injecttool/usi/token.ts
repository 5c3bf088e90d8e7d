import { z } from 'zod';
import { UsiDataError } from './errors.ts';
import { describeRequest, exchange, type Limits, type Request } from './http.ts';

const LONGEST_MARGIN_MS = 5 * 60 * 1000; // 5m
const LONGEST_TOKEN_BYTES = 8 * 1024; // more would not fit into a header

/** The account that watches submissions. */
export interface UsiAccount {
  username: string;
  password: string;
}

/** Hands out tokens that are good for a while yet. */
export interface TokenSource {
  /** The current token, or a new one shortly before it expires; callers at the same time share one request. */
  get(): Promise<string>;
  /** Drops `token` if it is the current one: USI did not take it. */
  discard(token: string): void;
}

export interface TokenSourceOptions {
  /** Root of EBI's token service. */
  authUrl: URL;
  account: UsiAccount;
  limits: Limits;
  now: () => Date;
}

interface Token {
  value: string;
  renewAtMs: number;
}

const claimsShape = z.object({ exp: z.number(), iat: z.number().optional() });

/** Tokens live in this closure only, so that nothing that prints the client prints them. */
export function createTokenSource(options: TokenSourceOptions): TokenSource {
  let current: Token | undefined;
  let pending: Promise<Token> | undefined;

  async function renew(): Promise<Token> {
    try {
      current = await requestToken(options);
      return current;
    } finally {
      pending = undefined;
    }
  }

  return {
    async get() {
      if (current && options.now().getTime() < current.renewAtMs) return current.value;
      const token = await (pending ??= renew());
      return token.value;
    },
    discard(token) {
      if (current?.value === token) current = undefined;
    },
  };
}

async function requestToken({ authUrl, account, limits, now }: TokenSourceOptions): Promise<Token> {
  const credentials = Buffer.from(`${account.username}:${account.password}`).toString('base64');
  const request: Request = {
    method: 'GET',
    url: new URL(`${authUrl.pathname.replace(/\/+$/, '')}/auth`, authUrl),
    headers: { Accept: 'text/plain, */*;q=0.1', Authorization: `Basic ${credentials}` },
  };
  const requestedAtMs = now().getTime();
  const maxBytes = Math.min(limits.maxBytes, LONGEST_TOKEN_BYTES);
  const answer = await exchange(request, { ...limits, maxBytes });
  if (answer.status !== 200) {
    throw new UsiDataError(
      `${describeRequest(request)}: expected a token for account '${account.username}', got status ${answer.status}`,
      {
        httpStatus: answer.status,
        ...(answer.status === 401 && { hint: 'Check USI_MANAGER and USI_MANAGER_PASSWORD.' }),
      },
    );
  }
  return readToken(answer.text.trim(), requestedAtMs, describeRequest(request));
}

function readToken(value: string, requestedAtMs: number, what: string): Token {
  const claims = claimsShape.safeParse(decodeClaims(value));
  if (!claims.success) {
    // the text is not quoted: it may be a token after all
    throw new UsiDataError(`${what}: expected a JWT with the claim exp, got something else`);
  }
  const { exp, iat } = claims.data;
  // counted from the issuer's clock where it says it: this machine's may be wrong by more than the margin
  const lifetimeMs = iat === undefined ? exp * 1_000 - requestedAtMs : (exp - iat) * 1_000;
  const marginMs = Math.min(LONGEST_MARGIN_MS, lifetimeMs / 10);
  return { value, renewAtMs: requestedAtMs + lifetimeMs - marginMs };
}

function decodeClaims(token: string): unknown {
  // strictly: what else is in it would go into a header, and into the error of one that cannot be sent
  const match = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token);
  if (!match) return undefined;
  try {
    return JSON.parse(Buffer.from(match[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
