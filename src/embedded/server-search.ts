import type { RedisRecord, TemporalRecord } from './dev-file.ts';
import { givenRedis, givenTemporal } from './given-servers.ts';
import type { Environment } from './home.ts';
import type { OwnedHome } from './owned-home.ts';
import { findRedis } from './redis-program.ts';
import { redisAnswers, startRedis } from './redis-server.ts';
import { endProcess } from './server-process.ts';
import { findTemporal } from './temporal-program.ts';
import { startTemporal, temporalAnswers } from './temporal-server.ts';
import { together } from './together.ts';

/** A server that did not answer a call will hardly answer a signal. */
const SILENT_GRACE_MS = 2_000;

/** Where a server comes from: named by the environment, left by a process that was killed, or started now. */
export type Origin = 'environment' | 'adopted' | 'started';

export interface Found<Server> {
  server: Server;
  origin: Origin;
}

export interface SearchSettings {
  cache: string;
  yes: boolean;
  report: (line: string) => void;
  signal: AbortSignal | undefined;
  env: Environment;
  /** How long a server that the environment names may take to answer. */
  timeoutMs: number;
  downloadUrl: string | undefined;
}

type Start<Server> = (signal: AbortSignal) => Promise<Found<Server>>;

/**
 * Finds or starts both servers. When one cannot be had the other may be running: `home` has it on record.
 *
 * @throws {SedanoError} when a server cannot be reached, found or started.
 */
export async function findServers(
  home: OwnedHome,
  settings: SearchSettings,
): Promise<[Found<TemporalRecord>, Found<RedisRecord>]> {
  const [temporal, redis] = await together(
    settings.signal,
    (signal) => existingTemporal(home, { ...settings, signal }),
    (signal) => existingRedis(home, { ...settings, signal }),
  );
  // both programs before either start, and Redis first: it fails at once where Temporal may be built for minutes
  const redisStart = redis ? async () => redis : await prepareRedis(home, settings);
  const temporalStart = temporal ? async () => temporal : await prepareTemporal(home, settings);
  return together(settings.signal, temporalStart, redisStart);
}

async function existingTemporal(
  home: OwnedHome,
  settings: SearchSettings,
): Promise<Found<TemporalRecord> | undefined> {
  const given = await givenTemporal(settings);
  const left = home.temporal;
  if (!given && left && (await temporalAnswers(left, settings.signal))) {
    settings.report(
      `adopting the Temporal at ${left.address}, which a killed process left running`,
    );
    return { server: left, origin: 'adopted' };
  }
  await endLeft('Temporal', left, settings);
  return given && { server: given, origin: 'environment' };
}

async function existingRedis(
  home: OwnedHome,
  settings: SearchSettings,
): Promise<Found<RedisRecord> | undefined> {
  const given = await givenRedis(settings);
  const left = home.redis;
  if (!given && left && (await redisAnswers(left, settings.signal))) {
    settings.report(`adopting the Redis at ${left.url}, which a killed process left running`);
    return { server: left, origin: 'adopted' };
  }
  await endLeft('Redis', left, settings);
  return given && { server: given, origin: 'environment' };
}

async function endLeft(
  name: string,
  left: TemporalRecord | RedisRecord | undefined,
  { report }: SearchSettings,
): Promise<void> {
  if (!left?.process) return;
  report(`ending process ${left.process.pid}, a ${name} that a killed process left running`);
  await endProcess(left.process, SILENT_GRACE_MS);
}

async function prepareTemporal(
  home: OwnedHome,
  settings: SearchSettings,
): Promise<Start<TemporalRecord>> {
  const program = await findTemporal(settings);
  const { env, report } = settings;
  return async (signal) => {
    const started = (temporal: TemporalRecord) => home.record({ temporal });
    const ended = () => tellEnd('Temporal', home, report);
    const server = await startTemporal({ program, home: home.folder, env, signal, started, ended });
    return { server, origin: 'started' };
  };
}

async function prepareRedis(
  home: OwnedHome,
  settings: SearchSettings,
): Promise<Start<RedisRecord>> {
  const program = await findRedis(settings);
  const { env, report } = settings;
  return async (signal) => {
    const started = (redis: RedisRecord) => home.record({ redis });
    const ended = () => tellEnd('Redis', home, report);
    const server = await startRedis({ program, home: home.folder, env, signal, started, ended });
    return { server, origin: 'started' };
  };
}

/** Nobody else would say so: calls then only wait. An end during the start is an error of the start. */
function tellEnd(name: string, home: OwnedHome, report: (line: string) => void): void {
  if (!home.ready || home.closing) return;
  report(`${name} has ended by itself; its log is in ${home.folder}`);
}
