// Read by the client too: imports nothing but small node built-ins.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectHome } from './home.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';

/** Where a server answers, and its process when it is one of ours. */
export interface TemporalRecord {
  /** Host and port of gRPC, `127.0.0.1:7233`. */
  address: string;
  namespace: string;
  /** The web page, when there is one. */
  uiUrl?: string;
  /** The HTTP API, when there is one. */
  httpUrl?: string;
  /** Version of the server, `1.31.2`. */
  version?: string;
  process?: ProcessIdentity;
}

export interface RedisRecord {
  url: string;
  process?: ProcessIdentity;
}

/** The contents of `dev.json`. It is written before a server is ready, so that a killed start leaves no unknown process. */
export interface DevFile {
  /** The process that started the servers. */
  process: ProcessIdentity;
  /** When it did, ISO 8601 in UTC. */
  since: string;
  /** Whether both servers answer. */
  ready: boolean;
  temporal?: TemporalRecord;
  redis?: RedisRecord;
}

/** The servers of a project that are running now. */
export interface DevServers {
  /** The process that started them. */
  pid: number;
  /** Where Temporal is. */
  temporal: {
    /** Host and port of gRPC, `127.0.0.1:7233`. */
    address: string;
    /** The namespace that commands of the project use. */
    namespace: string;
    /** The web page, when there is one. */
    uiUrl?: string;
    /** The HTTP API, when there is one. */
    httpUrl?: string;
  };
  /** Where Redis is. */
  redis: {
    /** It can hold a password. */
    url: string;
  };
}

/**
 * The servers that `dev.json` in `home` names, when the process that started them lives, or when they themselves do
 * (it was killed); undefined otherwise. Never throws and asks no server.
 *
 * @param home the folder of the project's data, default `projectHome()`.
 */
export function readDevFile(home: string = projectHome()): DevServers | undefined {
  const file = loadDevFile(home);
  if (!file?.ready || !file.temporal || !file.redis) return undefined;
  if (!isAlive(file.process) && !serversLive(file.temporal, file.redis)) return undefined;
  const { process: _temporal, version: _version, ...temporal } = file.temporal;
  return { pid: file.process.pid, temporal, redis: { url: file.redis.url } };
}

/** What `dev.json` in `home` says, whoever is alive; undefined when there is none that can be read. */
export function loadDevFile(home: string): DevFile | undefined {
  try {
    const file: unknown = JSON.parse(readFileSync(devFilePath(home), 'utf8'));
    return isDevFile(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces `dev.json` in one step. Only its owner may read it: the address of a Redis can hold a password. */
export function writeDevFile(home: string, file: DevFile): void {
  const path = devFilePath(home);
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

export function removeDevFile(home: string): void {
  rmSync(devFilePath(home), { force: true });
}

function devFilePath(home: string): string {
  return join(home, 'dev.json');
}

function serversLive(temporal: TemporalRecord, redis: RedisRecord): boolean {
  const ours = [temporal.process, redis.process].filter((process) => process !== undefined);
  return ours.length > 0 && ours.every(isAlive);
}

function isDevFile(value: unknown): value is DevFile {
  return typeof value === 'object' && value !== null && 'process' in value && 'ready' in value;
}
