import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { startServers, type Servers } from '../embedded/index.ts';
import { appOption, appPath, loadApp } from './load-app.ts';
import { print } from './output.ts';
import { printRoutines } from './routines.ts';
import { wholeNumber } from './worker.ts';

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
const GRACE = '4s';

async function dev(options: DevOptions): Promise<void> {
  const module = appPath(options.app);
  const starting = abortOnSignal();
  await using servers = await startServers({
    yes: options.yes ?? false,
    report: print,
    signal: starting.signal,
  });
  starting.done();
  printServers(servers);
  if (options.watch) await watchWorker(module, options.concurrency);
  else await runWorker(module, options.concurrency);
}

/** Ctrl-C while the servers are still being found, built or started. */
function abortOnSignal(): { signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.on('SIGINT', abort).on('SIGTERM', abort);
  return {
    signal: controller.signal,
    done: () => void process.off('SIGINT', abort).off('SIGTERM', abort),
  };
}

function printServers({ temporal, redis }: Servers): void {
  print(`Temporal   ${temporal.address}, namespace ${temporal.namespace} (${temporal.origin})`);
  if (temporal.uiUrl !== undefined) print(`Web UI     ${temporal.uiUrl}`);
  print(`Redis      ${redis.url} (${redis.origin})`);
}

async function runWorker(module: string, concurrency: number): Promise<void> {
  await using app = await loadApp(module);
  const { runUntilSignal, startWorker } = await import('../worker.ts');
  const worker = await startWorker(app, { concurrency, grace: GRACE });
  print(
    `Queue      ${worker.queues.join(', ')}; tasks: ${app.tasks.map(({ name }) => name).join(', ')}`,
  );
  const rows = await app.listRoutines();
  if (rows.length > 0) printRoutines(rows);
  print('Working. Ctrl-C stops the worker and what was started here.');
  await runUntilSignal(worker);
}

const DEBOUNCE_MS = 200;

/** A worker in a process of its own, started again when a file beside the app changes. */
async function watchWorker(module: string, concurrency: number): Promise<void> {
  const stopping = new AbortController();
  let worker: ChildProcess | undefined;
  let debounce: NodeJS.Timeout | undefined;
  const stopWorker = () => worker?.kill('SIGTERM');
  const stop = () => {
    stopping.abort();
    stopWorker();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const watcher = watch(dirname(module), { recursive: true }, (_event, file) => {
    if (file === null || !/\.[cm]?[jt]sx?$/.test(file) || file.includes('node_modules')) return;
    clearTimeout(debounce);
    debounce = setTimeout(() => {
      print(`${file} changed: the worker starts again`);
      stopWorker();
    }, DEBOUNCE_MS);
  });
  try {
    while (!stopping.signal.aborted) {
      worker = spawnWorker(module, concurrency);
      const [code] = (await once(worker, 'exit')) as [number | null];
      // a worker that breaks at once would be started again without end: wait for a change
      if (code !== 0) await changeOrStop(watcher, stopping.signal);
    }
  } finally {
    watcher.close();
    clearTimeout(debounce);
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

async function changeOrStop(watcher: FSWatcher, signal: AbortSignal): Promise<void> {
  try {
    await once(watcher, 'change', { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function spawnWorker(module: string, concurrency: number): ChildProcess {
  const [, cli = ''] = process.argv;
  const args = [
    ...process.execArgv,
    cli,
    'worker',
    '--app',
    module,
    '--grace',
    GRACE,
    '--concurrency',
    String(concurrency),
  ];
  // a group of its own: Ctrl-C reaches it through us, once
  return spawn(process.execPath, args, { stdio: 'inherit', detached: true });
}
