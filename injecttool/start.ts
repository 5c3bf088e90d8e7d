// npm start: InjectTool's asynchronous layer on one machine. It does the main job once, visibly, and keeps working.
//   npm start               until Ctrl-C
//   npm start -- --once     ends after the main job
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { SedanoError } from 'sedano';
import { projectHome, startServers, type Servers } from 'sedano/dev';
import { runUntilSignal, startWorker } from 'sedano/worker';
import { isTrial } from './database/trial.ts';
import { readSettings } from './settings.ts';
import type { UsiServer } from './usi/server.ts';

const say = (line = '') => console.log(line);

/** The account of the project's own USI server, which is on this machine only. */
const OWN_ACCOUNT = { username: 'injecttool', password: 'injecttool' };

// what was started must be stopped within ten seconds, so calls that run longer are left for the next start
const GRACE = '4s';

/** What shells say of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

process.exit(await main(process.argv.includes('--once')));

async function main(oneRun: boolean): Promise<number> {
  const stop = abortOnSignal();
  try {
    await using servers = await startServers({ yes: true, report: say, signal: stop });
    await using usiServer = await startOwnUsiServer();
    await runApplication({ servers, usiServer, oneRun, stop });
    return 0;
  } catch (error) {
    if (stop.aborted) return INTERRUPTED;
    const { message, hint } =
      error instanceof SedanoError ? error : { message: String(error), hint: undefined };
    console.error(`Error: ${message}${hint === undefined ? '' : `\nHint: ${hint}`}`);
    return 1;
  }
}

/** Ctrl-C, at any moment: the process ends when what it started has been stopped. */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  // SIGHUP: its terminal was closed
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, abort);
  return controller.signal;
}

type OwnUsiServer = (UsiServer & AsyncDisposable) | undefined;

/**
 * Without an account at EBI the project's own USI server takes its place: the environment then names that one. Not on a
 * database in earnest, whose submissions it does not know, and where nobody wants rows for a trial.
 */
async function startOwnUsiServer(): Promise<OwnUsiServer> {
  const settings = readSettings(process.env, projectHome());
  if (settings.usiAccount !== undefined) return undefined;
  if (settings.databaseUrl !== undefined && !(await isTrialDatabase(settings.databaseUrl))) {
    say("USI        USI_MANAGER is not set: 'Fetch USI status' is left out");
    return undefined;
  }
  const { startUsiServer } = await import('./usi/server.ts');
  const server = await startUsiServer({
    file: join(projectHome(), 'usi.json'),
    account: OWN_ACCOUNT,
  });
  say(`USI        ${server.url} (the project's own server: USI_MANAGER is not set)`);
  process.env['USI_URL'] = server.url;
  process.env['USI_AUTH_URL'] = server.url;
  process.env['USI_MANAGER'] = OWN_ACCOUNT.username;
  process.env['USI_MANAGER_PASSWORD'] = OWN_ACCOUNT.password;
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}

async function isTrialDatabase(url: string): Promise<boolean> {
  const { openPostgres } = await import('./database/postgres.ts');
  const database = openPostgres(url);
  try {
    return await isTrial(database);
  } finally {
    await database.close();
  }
}

interface Application {
  servers: Servers;
  usiServer: OwnUsiServer;
  oneRun: boolean;
  stop: AbortSignal;
}

async function runApplication({ servers, usiServer, oneRun, stop }: Application): Promise<void> {
  // the settings are read when the app is imported, so after the environment is complete
  const [{ app, settings }, { closeResources, useDatabase }, { runMainJob }] = await Promise.all([
    import('./app.ts'),
    import('./resources.ts'),
    import('./main-job.ts'),
  ]);
  await using _app = app;
  await using _resources = { [Symbol.asyncDispose]: closeResources };
  const database =
    settings.databaseUrl === undefined ? shownPath(settings.embeddedFolder) : undefined;
  say(`Database   ${database === undefined ? 'DATABASE_URL' : `embedded, in ${database}`}`);
  // the first start makes the embedded one, which takes some seconds
  await useDatabase();
  stop.throwIfAborted();
  await using worker = await startWorker(app, { grace: GRACE });
  say(`Queue      ${worker.queues.join(', ')}`);
  say(`Temporal   ${servers.temporal.address}`);
  say(`Redis      ${shownRedis(servers.redis.url)}`);
  if (servers.temporal.uiUrl !== undefined) say(`Web UI     ${servers.temporal.uiUrl}`);
  say();
  const hasUsi = settings.usiAccount !== undefined;
  await Promise.race([runMainJob({ say, usiServer, hasUsi }), rejectWhenAborted(stop)]);
  if (oneRun) return;
  say();
  say('Working. Ctrl-C stops the worker and what was started here.');
  await runUntilSignal(worker);
}

async function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

/** Short where it lies below the working directory. */
function shownPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

/** Without user and password. */
function shownRedis(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? '6379' : port}`;
}
