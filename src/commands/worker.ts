import type { Command } from 'commander';
import type { Duration } from '../duration.ts';
import { duration, wholeNumber } from './arguments.ts';
import { appOption, loadApp } from './load-app.ts';
import { print } from './output.ts';

interface WorkerCommandOptions {
  app?: string;
  concurrency: number;
  grace: Duration;
}

/** `sedano worker` */
export function addWorkerCommand(program: Command): void {
  program
    .command('worker')
    .description(
      "run the app's tasks until a signal; a second signal does not wait for running ones",
    )
    .addOption(appOption())
    .option('-c, --concurrency <number>', 'calls that run at the same time', wholeNumber, 100)
    .option('-g, --grace <duration>', 'how long a stop waits for running calls', duration, '30s')
    .option('--debug', 'print the stack of an error')
    .action(async ({ app: module, concurrency, grace }: WorkerCommandOptions) => {
      stopWithWatcher();
      await using app = await loadApp(module);
      const { runUntilSignal, startWorker } = await import('../worker/worker.ts');
      const worker = await startWorker(app, { concurrency, grace });
      // before anybody is told that it can be stopped
      const stopped = runUntilSignal(worker);
      const { length } = app.tasks;
      print(
        `Worker of '${app.name}' polls ${worker.queues.join(', ')}; ${length} ${length === 1 ? 'task' : 'tasks'}. Ctrl-C stops it.`,
      );
      await stopped;
    });
}

/** `sedano dev --watch` holds a channel to its worker: when that process is killed, nobody else would end this one. */
function stopWithWatcher(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
}
