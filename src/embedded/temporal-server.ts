import { join } from 'node:path';
import { claimDatabase } from './database-version.ts';
import type { TemporalRecord } from './dev-file.ts';
import type { Environment } from './home.ts';
import { pollUntil } from './poll.ts';
import { freePort, retryLostPort, spawnServer, type ServerProcess } from './server-process.ts';
import type { TemporalProgram } from './temporal-program.ts';
import { openProbe, readyNamespace } from './temporal-probe.ts';

const PORT = 7233;
const UI_PORT = 8233;
const NAMESPACE = 'default';
const READY_TIMEOUT_MS = 60_000;
/** A call that has begun may take another 2 s. */
const RESUME_TIMEOUT_MS = 1_000;

/** An idle server answers a call in 150 ms by its own defaults, made for big clusters; with these in under 30 ms. */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=10000',
  'history.timerProcessorMaxPollRPS=10000',
  'history.visibilityProcessorMaxPollRPS=10000',
  'matching.rps=100000',
  'history.rps=100000',
  'frontend.rps=100000',
  'frontend.namespaceRPS=100000',
  'frontend.namespaceCount=20000',
  'matching.persistenceMaxQPS=100000',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  'system.enableActivityEagerExecution=true',
  // timers are otherwise rounded up to a second, for the clock skew that one machine does not have
  'history.timerProcessorMaxTimeShift="50ms"',
  // scheduled starts are otherwise limited to 30 a second
  'worker.schedulerNamespaceStartWorkflowRPS=2000',
];

export interface StartTemporalOptions {
  program: TemporalProgram;
  home: string;
  env: Environment;
  signal?: AbortSignal | undefined;
  /** Called as soon as there is a process, before it answers. */
  started: (record: TemporalRecord) => void;
  /** Called when the process has ended, for whatever reason. */
  ended: () => void;
}

/**
 * Starts a Temporal development server with its data in `<home>/temporal.db` and its log in `<home>/temporal.log`, on
 * port 7233 (page 8233) when free. Returns when it answers.
 *
 * @throws {SedanoError} when the database was made by another version, or the server ends or does not answer in 60 s.
 */
export async function startTemporal(options: StartTemporalOptions): Promise<TemporalRecord> {
  claimDatabase(databaseOf(options.home), options.program.serverVersion);
  return retryLostPort(() => startOnce(options));
}

async function startOnce(options: StartTemporalOptions): Promise<TemporalRecord> {
  const ports = await choosePorts();
  const record: TemporalRecord = {
    address: `127.0.0.1:${ports.grpc}`,
    namespace: NAMESPACE,
    uiUrl: `http://127.0.0.1:${ports.ui}`,
    httpUrl: `http://127.0.0.1:${ports.http}`,
    version: options.program.serverVersion,
  };
  const server = await spawnServer(
    {
      name: 'Temporal',
      program: options.program.path,
      args: serverArguments(databaseOf(options.home), ports),
      // trades memory for a fifth of the server's processor time
      env: { ...options.env, GOGC: '400' },
      cwd: options.home,
      log: join(options.home, 'temporal.log'),
      ended: options.ended,
    },
    (process) => {
      record.process = process;
      options.started(record);
    },
  );
  await waitUntilReady(server, ports.grpc, options.signal);
  return record;
}

/** Whether the server of a killed process still answers; it gets about 3 s. */
export async function temporalAnswers(
  record: TemporalRecord,
  signal?: AbortSignal,
): Promise<boolean> {
  const connection = await openProbe({ address: record.address });
  try {
    const answer = await pollUntil(
      async () => {
        const answer = await readyNamespace(connection, record.namespace);
        return answer.kind === 'ready' ? answer : undefined;
      },
      { timeoutMs: RESUME_TIMEOUT_MS, signal },
    );
    return answer !== undefined;
  } finally {
    await connection.close();
  }
}

interface Ports {
  grpc: number;
  ui: number;
  http: number;
}

async function choosePorts(): Promise<Ports> {
  return { grpc: await freePort(PORT), ui: await freePort(UI_PORT), http: await freePort() };
}

function databaseOf(home: string): string {
  return join(home, 'temporal.db');
}

function serverArguments(database: string, { grpc, ui, http }: Ports): string[] {
  const options = {
    ip: '127.0.0.1',
    namespace: NAMESPACE,
    port: String(grpc),
    'ui-port': String(ui),
    'http-port': String(http),
    'db-filename': database,
    'sqlite-pragma': ['journal_mode=wal', 'synchronous=normal'],
    'dynamic-config-value': DYNAMIC_CONFIG,
  };
  const flags = Object.entries(options).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [`--${name}`, value]),
  );
  return ['server', 'start-dev', ...flags];
}

async function waitUntilReady(
  server: ServerProcess,
  port: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const connection = await openProbe({ address: `127.0.0.1:${port}` });
  // it prints its addresses once it listens: an answer before that comes from somebody else on its port
  const listens = new RegExp(`Server: +\\S+:${port}\\b`);
  let reason = 'it does not listen';
  try {
    const ready = await pollUntil(
      async () => {
        server.throwIfEnded();
        if (!listens.test(server.output())) return undefined;
        const answer = await readyNamespace(connection, NAMESPACE);
        server.throwIfEnded();
        if (answer.kind === 'ready') return true;
        reason = answer.reason;
        return undefined;
      },
      { timeoutMs: READY_TIMEOUT_MS, signal },
    );
    if (!ready) throw server.silentError(reason);
  } finally {
    await connection.close();
  }
}
