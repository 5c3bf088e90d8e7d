import { relative } from 'node:path';
import type { Command } from 'commander';
import type { Sedano } from '../app.ts';
import { lockSettings } from '../config.ts';
import type { Duration } from '../duration.ts';
import { projectHome, startServers, type Servers } from '../embedded/index.ts';
import { wholeNumber } from './arguments.ts';
import { appOption, appPath, loadApp } from './load-app.ts';
import { print } from './output.ts';
import { printRoutines } from './routines/list.ts';
import { StopSignal } from './stop-signal.ts';
import { watchWorker } from './watch-worker.ts';

interface DevOptions {
  app?: string;
  yes?: boolean;
  watch?: boolean;
  concurrency: number;
}

/** `sedano dev` */
export function addDevCommand(program: Command): void {
  program
    .command('dev')
    .description(
      'find or start Temporal and Redis, create the routines, run a worker; Ctrl-C stops what was started',
    )
    .addOption(appOption())
    .option('-y, --yes', 'install a missing Redis without asking')
    .option('-w, --watch', "restart the worker when a file in the app's folder changes")
    .option('-c, --concurrency <number>', 'calls that run at the same time', wholeNumber, 100)
    .option('--debug', 'print the stack of an error')
    .action(dev);
}

// servers must be stopped within ten seconds, so calls that run longer are left for the next start
const GRACE: Duration = '4s';

async function dev({ app: option, yes = false, watch, concurrency }: DevOptions): Promise<void> {
  using stop = new StopSignal();
  const module = appPath(option);
  // an app that is broken is told before anything starts; a watched one is mended while everything runs
  const app = watch ? undefined : await stop.race(loadApp(module));
  await using servers = await startServers({ yes, report: print, signal: stop.signal });
  print(`App        ${relative(process.cwd(), module)}`);
  printServers(servers);
  printGuard(app);
  if (app) await runWorker(app, concurrency, stop);
  else await watchWorker({ module, concurrency, grace: GRACE, signal: stop.signal });
}

function printServers({ temporal, redis }: Servers): void {
  print(`Temporal   ${temporal.address}, namespace ${temporal.namespace} (${temporal.origin})`);
  if (temporal.uiUrl !== undefined) print(`Web UI     ${temporal.uiUrl}`);
  print(`Redis      ${withoutPassword(redis.url)} (${redis.origin})`);
  print(`Data       ${relative(process.cwd(), projectHome())}`);
}

/** The locks of a Redis that is restarted by the hour are not what they are elsewhere. */
function printGuard(app: Sedano | undefined): void {
  const options = app?.options ?? { redis: undefined, leaseMs: 0, recoveryGuard: undefined };
  const { recoveryGuard } = lockSettings(options);
  // a watched app is not read here, and may change
  const unless = app ? '' : ' unless the app says otherwise';
  print(
    recoveryGuard
      ? `Guard      on${unless}: after a loss of data Redis lets nobody in for one lease`
      : `Guard      off${unless}: a Redis that loses its data may let a second holder in`,
  );
}

function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

async function runWorker(app: Sedano, concurrency: number, stop: StopSignal): Promise<void> {
  await using _app = app;
  const { runUntilSignal, startWorker } = await import('../worker/worker.ts');
  await using worker = await stop.race(startWorker(app, { concurrency, grace: GRACE }));
  const rows = await stop.race(app.listRoutines());
  print(`Queue      ${worker.queues.join(', ')}`);
  print(`Tasks      ${app.tasks.map(({ name }) => name).join(', ') || 'none'}`);
  if (rows.length > 0) {
    print('');
    printRoutines(rows);
  }
  print('\nWorking. Ctrl-C stops the worker and what was started here.');
  await runUntilSignal(worker);
}
