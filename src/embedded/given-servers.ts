import { ConfigError, SedanoError } from '../errors.ts';
import type { RedisRecord, TemporalRecord } from './dev-file.ts';
import type { Environment } from './home.ts';
import { pollUntil } from './poll.ts';
import { askRedis } from './redis-probe.ts';
import { askNamespace, openProbe, type Answer } from './temporal-probe.ts';

export interface GivenOptions {
  env: Environment;
  /** How long a server may take to answer. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * The Temporal that `TEMPORAL_ADDRESS` names (with namespace, TLS and key by Temporal's own variables), once it has
 * answered; undefined when the variable is not set.
 *
 * @throws {SedanoError} when it does not answer in time, refuses, or has no such namespace.
 */
export async function givenTemporal({
  env,
  timeoutMs,
  signal,
}: GivenOptions): Promise<TemporalRecord | undefined> {
  if (!env.TEMPORAL_ADDRESS) return undefined;
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  const overrideEnvVars = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({ overrideEnvVars });
  const address = connectionOptions.address ?? env.TEMPORAL_ADDRESS;
  const { tls, apiKey, metadata } = connectionOptions;
  const connection = await openProbe({ address, tls, apiKey, metadata });
  try {
    const answer = await finalAnswer(() => askNamespace(connection, namespace), timeoutMs, signal);
    if (answer.kind !== 'ready') throw temporalError(address, namespace, answer);
    return { address, namespace };
  } finally {
    await connection.close();
  }
}

/**
 * The Redis that `REDIS_URL` names, once it has answered; undefined when the variable is not set.
 *
 * @throws {ConfigError} when it is not the URL of a Redis.
 * @throws {SedanoError} when it does not answer in time, or refuses.
 */
export async function givenRedis({
  env,
  timeoutMs,
  signal,
}: GivenOptions): Promise<RedisRecord | undefined> {
  const url = env.REDIS_URL;
  if (!url) return undefined;
  const place = placeOf(url);
  const answer = await finalAnswer(() => askRedis(url, 2_000), timeoutMs, signal);
  if (answer.kind === 'ready') return { url };
  if (answer.kind === 'refused') {
    throw new SedanoError(`REDIS_URL: the Redis at ${place} refuses: ${answer.reason}`, {
      hint: 'Check the user name and the password in REDIS_URL.',
    });
  }
  throw new SedanoError(`REDIS_URL: no Redis answers at ${place}: ${answer.reason}`, {
    hint: 'Check that it runs and that this machine may reach it; unset REDIS_URL to have one started here.',
  });
}

interface Sign {
  kind: 'ready' | 'refused' | 'silent';
}

/** Asks again while the server is silent; the last answer when the time is over. */
async function finalAnswer<Said extends Sign>(
  ask: () => Promise<Said>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Said> {
  let last: Said | undefined;
  const final = await pollUntil(
    async () => {
      last = await ask();
      return last.kind === 'silent' ? undefined : last;
    },
    { timeoutMs, signal, everyMs: 100 },
  );
  return final ?? last ?? (await ask());
}

function temporalError(
  address: string,
  namespace: string,
  answer: Exclude<Answer, { kind: 'ready' }>,
): SedanoError {
  if (answer.kind === 'refused') {
    return new SedanoError(
      `TEMPORAL_ADDRESS: the Temporal at ${address} refuses namespace '${namespace}': ${answer.reason}`,
      { hint: 'Check TEMPORAL_NAMESPACE, and TEMPORAL_API_KEY or the TLS settings.' },
    );
  }
  return new SedanoError(`TEMPORAL_ADDRESS: no Temporal answers at ${address}: ${answer.reason}`, {
    hint: 'Check that it runs and that this machine may reach it; unset TEMPORAL_ADDRESS to have one started here.',
  });
}

/** Host and port of a Redis, for messages: the URL itself may hold a password. */
export function placeOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:') {
    return `${parsed.hostname}:${parsed.port || '6379'}`;
  }
  throw new ConfigError('REDIS_URL: expected a URL such as redis://localhost:6379 or rediss://…', {
    hint: 'It may hold a password, so it is not shown here.',
  });
}
