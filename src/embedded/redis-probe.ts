import { messageOf } from './server-process.ts';

/** What a Redis said to a PING. */
export type RedisAnswer =
  | { kind: 'ready'; pid?: number }
  /** It is there, and refuses: asking again does not help. */
  | { kind: 'refused'; reason: string }
  | { kind: 'silent'; reason: string };

/**
 * Asks the Redis at `url` for a sign of life, for at most `timeoutMs`. Never throws, and never names the password.
 *
 * @param askPid also ask for the number of its process, which a managed Redis may forbid.
 */
export async function askRedis(
  url: string,
  timeoutMs: number,
  askPid = false,
): Promise<RedisAnswer> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  });
  // connect() says only that the connection is closed; the reason comes as an event
  let reason: string | undefined;
  redis.on('error', (error) => {
    reason ??= messageOf(error);
  });
  try {
    await redis.connect();
    await redis.ping();
    if (!askPid) return { kind: 'ready' };
    const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
    return { kind: 'ready', pid };
  } catch (error) {
    return explain(reason ?? messageOf(error));
  } finally {
    redis.disconnect();
  }
}

function explain(reason: string): RedisAnswer {
  return {
    kind: /NOAUTH|WRONGPASS|NOPERM|invalid password/.test(reason) ? 'refused' : 'silent',
    reason,
  };
}
