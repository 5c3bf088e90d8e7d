import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisRecord } from './dev-file.ts';
import type { Environment } from './home.ts';
import { pollUntil } from './poll.ts';
import { askRedis } from './redis-probe.ts';
import { freePort, retryLostPort, spawnServer, type ServerProcess } from './server-process.ts';

const PORT = 6379;
const READY_TIMEOUT_MS = 30_000;

export interface StartRedisOptions {
  /** Path of `redis-server`. */
  program: string;
  home: string;
  env: Environment;
  signal?: AbortSignal | undefined;
  /** Called as soon as there is a process, before it answers. */
  started: (record: RedisRecord) => void;
  /** Called when the process has ended, for whatever reason. */
  ended: () => void;
}

/**
 * Starts a Redis with its data in `<home>/redis/` and its log in `<home>/redis.log`, on port 6379 when free.
 * Returns when it answers.
 *
 * @throws {SedanoError} when it ends or does not answer in 30 s.
 */
export async function startRedis(options: StartRedisOptions): Promise<RedisRecord> {
  mkdirSync(join(options.home, 'redis'), { recursive: true });
  return retryLostPort(() => startOnce(options));
}

/** Whether the Redis of a killed process still answers, within 3 s. */
export async function redisAnswers(record: RedisRecord, signal?: AbortSignal): Promise<boolean> {
  const ready = await pollUntil(() => isReady(record.url, record.process?.pid), {
    timeoutMs: 2_000,
    signal,
  });
  return ready === true;
}

async function startOnce({
  program,
  home,
  env,
  signal,
  started,
  ended,
}: StartRedisOptions): Promise<RedisRecord> {
  const port = await freePort(PORT);
  const record: RedisRecord = { url: `redis://127.0.0.1:${port}` };
  const server = await spawnServer(
    {
      name: 'Redis',
      program,
      args: serverArguments(port, join(home, 'redis')),
      env,
      cwd: home,
      log: join(home, 'redis.log'),
      ended,
    },
    (process) => {
      record.process = process;
      started(record);
    },
  );
  await waitUntilReady(server, record.url, signal);
  return record;
}

function serverArguments(port: number, data: string): string[] {
  const options = {
    bind: '127.0.0.1',
    port: String(port),
    dir: data,
    // locks survive a restart of the machine, but for the last second
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    // a lock that was evicted would be a lock held twice
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  };
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}

async function waitUntilReady(
  server: ServerProcess,
  url: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ready = await pollUntil(
    () => {
      server.throwIfEnded();
      return isReady(url, server.identity.pid);
    },
    { timeoutMs: READY_TIMEOUT_MS, signal },
  );
  if (!ready) throw server.silentError('no answer to PING');
}

/** Ready means this very process answers, not another on its port. */
async function isReady(url: string, pid: number | undefined): Promise<true | undefined> {
  const answer = await askRedis(url, 1_000, true);
  return answer.kind === 'ready' && answer.pid === pid ? true : undefined;
}
