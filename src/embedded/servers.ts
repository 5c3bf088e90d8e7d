import { resolve } from 'node:path';
import { durationMs, type Duration } from '../duration.ts';
import type { RedisRecord, TemporalRecord } from './dev-file.ts';
import { programCache, projectHome, type Environment } from './home.ts';
import { OwnedHome } from './owned-home.ts';
import { findServers, type Found, type Origin, type SearchSettings } from './server-search.ts';

/** How the servers are found or started. */
export interface ServersOptions {
  /** Folder of the data. @default `projectHome()` */
  home?: string;
  /** Folder of fetched and built programs. @default `programCache()` */
  cache?: string;
  /** Install packages without asking. @default false */
  yes?: boolean;
  /** Called with one line for each thing that takes time or is worth telling. @default nothing is told */
  report?: (line: string) => void;
  /** Aborts the start. Servers that have been returned are ended with `stop()`. */
  signal?: AbortSignal;
  /** Variables that are looked at, and that the servers get. @default `process.env` */
  env?: Environment;
  /** How long the servers named by `TEMPORAL_ADDRESS` and `REDIS_URL` may take to answer. @default '10s' */
  reachTimeout?: Duration;
  /** Where the official Temporal CLI is asked for. @default `https://temporal.download` */
  downloadUrl?: string;
}

/** Two servers that answer. */
export interface Servers extends AsyncDisposable {
  /** The Temporal. */
  temporal: {
    /** Host and port of gRPC. */
    address: string;
    /** The namespace that is used in it. */
    namespace: string;
    /** The web page; undefined when the environment named the server. */
    uiUrl?: string;
    /** The HTTP API; likewise. */
    httpUrl?: string;
    /** The process; undefined when the environment named the server. */
    pid?: number;
    /** Where it comes from. */
    origin: Origin;
    /** Version of the server, `1.31.2`; undefined when the environment named it. */
    version?: string;
  };
  /** The Redis. */
  redis: {
    /** Its URL, which can hold a password. */
    url: string;
    /** The process; undefined when the environment named the server. */
    pid?: number;
    /** Where it comes from. */
    origin: Origin;
  };
  /** Ends what was started or adopted, within 10 s. May be called more than once. */
  stop(): Promise<void>;
}

/**
 * Finds or starts a Temporal server and a Redis on this machine: those that `TEMPORAL_ADDRESS` and `REDIS_URL` name,
 * else those that a killed process left running in `home`, else new ones. Programs that are missing are downloaded,
 * built or installed. When it returns both answer; when it throws nothing is left running.
 *
 * @throws {SedanoError} when another live process has started servers in `home`, a named server cannot be reached,
 *   a program cannot be had, or a server does not start.
 * @throws {ConfigError} when `reachTimeout` is not a duration, or `REDIS_URL` not the URL of a Redis.
 * @throws the signal's reason when it aborts.
 */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  options.signal?.throwIfAborted();
  const settings = searchSettings(options);
  const home = OwnedHome.take(resolve(options.home ?? projectHome(settings.env)));
  try {
    const [temporal, redis] = await findServers(home, settings);
    home.record({ temporal: temporal.server, redis: redis.server, ready: true });
    return handleOf(home, temporal, redis);
  } catch (error) {
    await home.close();
    throw error;
  }
}

function searchSettings(options: ServersOptions): SearchSettings {
  const env = options.env ?? process.env;
  return {
    cache: resolve(options.cache ?? programCache(env)),
    yes: options.yes ?? false,
    report: options.report ?? (() => {}),
    signal: options.signal,
    env,
    timeoutMs: durationMs(options.reachTimeout ?? '10s', 'reachTimeout of startServers'),
    downloadUrl: options.downloadUrl,
  };
}

function handleOf(
  home: OwnedHome,
  temporal: Found<TemporalRecord>,
  redis: Found<RedisRecord>,
): Servers {
  const stop = () => home.close();
  return {
    temporal: describe(temporal),
    redis: describe(redis),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function describe<Server extends TemporalRecord | RedisRecord>({ server, origin }: Found<Server>) {
  const { process, ...rest } = server;
  return { ...rest, ...(process && { pid: process.pid }), origin };
}
