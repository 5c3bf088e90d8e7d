import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { assertKeys, assertTexts } from './checks.ts';
import { assertTimezone } from './crontab/zone.ts';
import { durationMs, type Duration } from './duration.ts';
import { readDevFile } from './embedded/dev-file.ts';
import { ConfigError } from './errors.ts';
import {
  resolveMailOptions,
  type MailSettings,
  type ResolvedMailSettings,
} from './mail/settings.ts';

/** What an app can be told. */
export interface AppOptions {
  /** The task queue of its tasks. @default the app's name */
  queue?: string;
  /** Temporal's namespace. @default `TEMPORAL_NAMESPACE`, else that of `sedano dev` in this folder, else `'default'` */
  namespace?: string;
  /** IANA zone of the routines that name none. @default 'UTC' */
  timezone?: string;
  /**
   * The version of the code: dotted numbers (`'1.4.0'`, `'2026.11.24'`), or another text that sorts. Where two releases
   * that run at once disagree on a routine, the newer one's word counts; a release that went back has to say so with
   * `sedano routines adopt`.
   *
   * @default the word of the worker that started last counts
   */
  release?: string;
  /**
   * The Redis of exclusive tasks, `redis://` or `rediss://` for TLS.
   *
   * @default `REDIS_URL`, else that of `sedano dev` in this folder, else `redis://localhost:6379`
   */
  redis?: string;
  /** The locks of exclusive tasks. */
  lock?: {
    /** How long a lock outlives a holder that died; it is renewed three times as often. 1s to 1h. @default '30s' */
    lease?: Duration;
    /**
     * After Redis has lost its data nobody is let in for one lease, so that a holder from before is over.
     *
     * @default `SEDANO_RECOVERY_GUARD` (`on` or `off`), else true; false with the Redis of `sedano dev`
     */
    recoveryGuard?: boolean;
  };
  /** How mails are sent. @default what would be mailed is logged, without its text */
  mail?: MailSettings;
}

export interface ResolvedAppOptions {
  queue: string;
  namespace: string | undefined;
  timezone: string;
  release: string | undefined;
  redis: string | undefined;
  leaseMs: number;
  recoveryGuard: boolean | undefined;
  mail: ResolvedMailSettings;
}

const APP_OPTIONS = [
  'queue',
  'namespace',
  'timezone',
  'release',
  'redis',
  'lock',
  'mail',
] as const satisfies readonly (keyof AppOptions)[];

const MIN_LEASE_MS = 1_000;
const MAX_LEASE_MS = 3_600_000; // 1h

/** @throws {ConfigError} when the name or an option is wrong; the text names it. */
export function resolveAppOptions(name: string, options: AppOptions): ResolvedAppOptions {
  const where = `app '${name}'`;
  if (typeof name !== 'string' || !/^[^\p{C}/]{1,100}$/u.test(name)) {
    throw new ConfigError(
      `app name: expected 1 to 100 printable characters without '/', got ${JSON.stringify(name)}`,
    );
  }
  assertKeys(options, APP_OPTIONS, where);
  assertTexts(options, ['queue', 'namespace', 'release', 'redis'], where);
  // it goes along to every run of a routine
  if (options.release !== undefined && !/^[^\p{C}]{1,100}$/u.test(options.release)) {
    throw new ConfigError(
      `${where}: release: expected 1 to 100 printable characters, got ${JSON.stringify(options.release)}`,
    );
  }
  const { lease = '30s', recoveryGuard } = options.lock ?? {};
  assertKeys(options.lock ?? {}, ['lease', 'recoveryGuard'], `${where}: lock`);
  const leaseMs = durationMs(lease, `${where}: lock.lease`);
  if (leaseMs < MIN_LEASE_MS || leaseMs > MAX_LEASE_MS) {
    throw new ConfigError(`${where}: lock.lease: expected 1s to 1h, got ${leaseMs}ms`);
  }
  const timezone = options.timezone ?? 'UTC';
  assertTimezone(timezone, `${where}: timezone`);
  return {
    queue: options.queue ?? name,
    namespace: options.namespace,
    timezone,
    release: options.release,
    redis: options.redis,
    leaseMs,
    recoveryGuard,
    mail: resolveMailOptions(options.mail ?? {}, `${where}: mail`),
  };
}

/** Where Temporal is, for a client or a worker. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  connection: Omit<ClientConnectConfig['connectionOptions'], 'address'> & { address: string };
}

const DEFAULT_ADDRESS = 'localhost:7233';
const MAX_PORT = 65_535;

/**
 * Temporal's own environment variables and file decide (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
 * `TEMPORAL_TLS…`, `TEMPORAL_CONFIG_FILE`); where they name no address, `sedano dev` in this folder does.
 *
 * @throws {ConfigError} when a variable or the file is wrong.
 */
export function temporalTarget(options: Pick<ResolvedAppOptions, 'namespace'>): TemporalTarget {
  const { connectionOptions, namespace } = loadEnvironment();
  const dev = connectionOptions.address === undefined ? readDevFile()?.temporal : undefined;
  const address = connectionOptions.address ?? dev?.address ?? DEFAULT_ADDRESS;
  const match = /^(?:\[[0-9a-fA-F:]+\]|[^\s:/@]+)(?::(\d+))?$/.exec(address);
  if (!match || Number(match[1] ?? 0) > MAX_PORT) {
    throw new ConfigError(`TEMPORAL_ADDRESS: expected host:port, got '${address}'`, {
      hint: 'Write for example TEMPORAL_ADDRESS=localhost:7233, without http://.',
    });
  }
  return {
    address,
    namespace: options.namespace ?? namespace ?? dev?.namespace ?? 'default',
    connection: { ...connectionOptions, address },
  };
}

function loadEnvironment() {
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig();
    return { connectionOptions, namespace };
  } catch (error) {
    throw new ConfigError(`Temporal's configuration cannot be read: ${String(error)}`, {
      cause: error,
      hint: 'Check TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE and the TEMPORAL_TLS… variables.',
    });
  }
}

/** Where the locks are, the setting that says so, and how they are kept. */
export function lockSettings({
  redis,
  leaseMs,
  recoveryGuard,
}: Pick<ResolvedAppOptions, 'redis' | 'leaseMs' | 'recoveryGuard'>) {
  const { dev = false, ...url } = redisUrl(redis);
  // a Redis that is restarted by the hour would only be waited for
  return { url, leaseMs, recoveryGuard: recoveryGuard ?? guardOfEnvironment() ?? !dev };
}

function guardOfEnvironment(): boolean | undefined {
  const { SEDANO_RECOVERY_GUARD: guard } = process.env;
  if (guard === undefined || guard === '') return undefined;
  if (guard === 'on' || guard === 'off') return guard === 'on';
  throw new ConfigError(`SEDANO_RECOVERY_GUARD: expected on or off, got '${guard}'`, {
    hint: 'Unset it, and the guard is on except with the Redis of sedano dev.',
  });
}

function redisUrl(redis: string | undefined): { url: string; where: string; dev?: boolean } {
  if (redis !== undefined) return { url: redis, where: "the app's redis" };
  const { REDIS_URL } = process.env;
  if (REDIS_URL !== undefined && REDIS_URL !== '') return { url: REDIS_URL, where: 'REDIS_URL' };
  const dev = readDevFile();
  if (dev) return { url: dev.redis.url, where: 'REDIS_URL', dev: true };
  return { url: 'redis://localhost:6379', where: 'REDIS_URL' };
}
