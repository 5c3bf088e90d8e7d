import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { UsiAccount } from '../token.ts';

/** Gives out and checks JWTs. The key is of this start only: after a restart callers ask for a new token. */
export interface TokenIssuer {
  /** A token for the account of a `Basic` header; undefined when it is not the right one. */
  issue(authorization: string | undefined): string | undefined;
  /** Whether a `Bearer` header carries a token of ours that has not expired. */
  accepts(authorization: string | undefined): boolean;
}

export function createTokenIssuer(
  account: UsiAccount,
  lifetimeSeconds: number,
  now: () => Date,
): TokenIssuer {
  const key = randomBytes(32);
  const expected = `Basic ${encode(`${account.username}:${account.password}`, 'base64')}`;
  const sign = (content: string) => createHmac('sha256', key).update(content).digest('base64url');
  const nowSeconds = () => Math.floor(now().getTime() / 1_000);

  return {
    issue(authorization) {
      if (!isSame(authorization ?? '', expected)) return undefined;
      const header = { alg: 'HS256', typ: 'JWT' };
      const iat = nowSeconds();
      const claims = { iss: 'usi', sub: account.username, iat, exp: iat + lifetimeSeconds };
      const content = [header, claims].map((part) => encode(JSON.stringify(part))).join('.');
      return `${content}.${sign(content)}`;
    },
    accepts(authorization) {
      const match = /^Bearer (([\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(authorization ?? '');
      if (!match) return false;
      const [, content = '', , payload = '', signature = ''] = match;
      if (!isSame(signature, sign(content))) return false;
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      return readExpiry(claims) > nowSeconds();
    },
  };
}

function readExpiry(claims: unknown): number {
  const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : 0;
  return typeof exp === 'number' ? exp : 0;
}

function encode(text: string, encoding: BufferEncoding = 'base64url'): string {
  return Buffer.from(text).toString(encoding);
}

/** In constant time, once the lengths agree. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
