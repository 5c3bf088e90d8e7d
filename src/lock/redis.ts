import { Redis } from 'ioredis';
import { ConfigError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';

const RECONNECT_MAX_MS = 2_000;

/** A URL, and the setting it comes from. */
export interface NamedUrl {
  url: string;
  where: string;
}

/** A Redis URL, and how it may be shown: without user and password. */
export interface RedisAddress extends NamedUrl {
  shown: string;
}

/** @throws {ConfigError} when it is not a redis:// or rediss:// URL; the text does not repeat it, for its password. */
export function parseRedisUrl({ url, where }: NamedUrl): RedisAddress {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '') {
    throw new ConfigError(
      `${where}: expected a URL such as redis://localhost:6379, got ${parsed ? `one of ${parsed.protocol}` : 'none'}`,
      {
        hint: 'Write redis://[user:password@]host:port[/database], or rediss:// for TLS.',
      },
    );
  }
  // ioredis would send another path as it is, and end the process at the server's refusal
  if (!/^\/?\d*$/.test(parsed.pathname)) {
    throw new ConfigError(
      `${where}: expected a database number after the port, got '${parsed.pathname.slice(1)}'`,
      {
        hint: 'Write for example redis://localhost:6379/1, or nothing for database 0.',
      },
    );
  }
  return { url, where, shown: `${parsed.hostname}:${parsed.port === '' ? '6379' : parsed.port}` };
}

interface ConnectOptions {
  /** How long an answer may be owed before the connection counts as broken. */
  silenceMs: number;
  /** @default true */
  autoResubscribe?: boolean;
}

/**
 * A connection that reconnects for ever. Commands wait while it is away, so each caller bounds its own wait; a
 * command that was sent when the connection broke is sent again, so each command must bear that.
 */
export function connectRedis(
  address: RedisAddress,
  { silenceMs, autoResubscribe = true }: ConnectOptions,
): Redis {
  const logger = getTaskLogger('sedano.redis');
  const redis = new Redis(address.url, {
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(times * 50, RECONNECT_MAX_MS),
    autoResubscribe,
    socketTimeout: silenceMs,
    // the primary has become a replica: the name may lead to another one now
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    // a user with the fewest rights may not tell it
    disableClientInfo: true,
    connectionName: 'sedano',
  });
  // each request that waits for the connection listens
  redis.setMaxListeners(0);
  // one line for each outage, not one for each attempt
  let away = false;
  redis.on('error', (error: Error) => {
    if (!away)
      logger.warn({ err: error }, `Redis at ${address.shown} cannot be reached; trying again`);
    away = true;
    // ioredis would go on in database 0, where others may hold the same locks
    if (error.message.includes('DB index')) redis.disconnect();
  });
  redis.on('ready', () => {
    if (away) logger.info(`Redis at ${address.shown} is back`);
    away = false;
  });
  return redis;
}

/**
 * Resolves when commands are sent at once instead of being kept until the connection is back; rejects when it has
 * ended for good, or when `signal` aborts.
 */
export async function untilReady(redis: Redis, signal: AbortSignal): Promise<void> {
  if (redis.status === 'ready') return;
  const done = new AbortController();
  const { promise, resolve, reject } = withResolvers();
  const onEnd = () => reject(new Error('the connection has ended'));
  redis.on('ready', resolve).on('end', onEnd);
  signal.addEventListener('abort', () => reject(signal.reason as Error), { signal: done.signal });
  try {
    if (redis.status === 'end') onEnd();
    await promise;
  } finally {
    redis.off('ready', resolve).off('end', onEnd);
    done.abort();
  }
}

// Promise.withResolvers() comes with Node 22
function withResolvers() {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
