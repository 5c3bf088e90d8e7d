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
  return { url, where, shown: `${parsed.hostname}:${parsed.port === '' ? '6379' : parsed.port}` };
}

/**
 * A connection that reconnects for ever. Commands wait while it is away, so each caller bounds its own wait; a
 * command that was sent when the connection broke is sent again, so each command must bear that.
 */
export function connectRedis(address: RedisAddress): Redis {
  const logger = getTaskLogger('sedano.redis');
  const redis = new Redis(address.url, {
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(times * 100, RECONNECT_MAX_MS),
  });
  // one line for each outage, not one for each attempt
  let away = false;
  redis.on('error', (error: Error) => {
    if (!away)
      logger.warn({ err: error }, `Redis at ${address.shown} cannot be reached; trying again`);
    away = true;
  });
  redis.on('ready', () => {
    if (away) logger.info(`Redis at ${address.shown} is back`);
    away = false;
  });
  return redis;
}
