import { Redis } from 'ioredis';
import type { RedisAddress } from './redis.ts';

/** What Redis is told of itself by `INFO server` and `INFO memory`. */
interface ServerInfo {
  version: string;
  policy: string;
}

/** The first version of each line with the fixes of CVE-2025-49844, -46817 and -46818 (Lua). */
const FIXED: readonly (readonly [line: string, patch: number])[] = [
  ['6.2', 20],
  ['7.2', 11],
  ['7.4', 6],
  ['8.0', 4],
  ['8.2', 2],
];
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Looks for settings of the server with which locks are not safe.
 *
 * @returns a sentence for each, with the setting that is to be changed
 */
export async function checkServer(redis: Redis, address: RedisAddress): Promise<string[]> {
  const info = readInfo(`${await redis.info('server')}\n${await redis.info('memory')}`);
  const local = isLocal(address);
  return [
    ...policyWarning(info),
    // whoever can reach a Redis of this machine only is on it already
    ...(local ? [] : versionWarning(info)),
    ...(local ? [] : await passwordWarning(address)),
  ];
}

function readInfo(text: string): ServerInfo {
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return { version: field('redis_version'), policy: field('maxmemory_policy') };
}

function policyWarning({ policy }: ServerInfo): string[] {
  if (policy === 'noeviction' || policy === '') return [];
  return [
    `maxmemory-policy is ${policy}: a lock that is evicted can be granted twice. Set maxmemory-policy noeviction`,
  ];
}

function versionWarning({ version }: ServerInfo): string[] {
  const [major = '', minor = '', patch = ''] = version.split('.');
  const line = `${major}.${minor}`;
  const [, fixed] = FIXED.find(([known]) => known === line) ?? [];
  // a line that came later has the fixes; one without them gets them from whoever packages it, if at all
  const later = Number(major) > 8 || (major === '8' && Number(minor) > 2);
  if (later || (fixed !== undefined && Number(patch) >= fixed)) return [];
  return [
    `Redis ${version} may lack the fixes of its Lua (CVE-2025-49844): use 6.2.20, 7.2.11, 7.4.6, 8.0.4 or later of these lines, or one whose packager has them`,
  ];
}

/** One connection without credentials: it must not be let in. */
async function passwordWarning({ url }: RedisAddress): Promise<string[]> {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  const redis = new Redis(bare.href, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // it is expected to be refused
  redis.on('error', () => {});
  try {
    await redis.connect();
    await redis.ping();
    return [
      'it lets anybody in who reaches it, without a password. Set requirepass, or an ACL user with `user default off`',
    ];
  } catch {
    return [];
  } finally {
    redis.disconnect();
  }
}

function isLocal({ url }: RedisAddress): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
