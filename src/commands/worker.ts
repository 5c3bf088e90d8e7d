import { InvalidArgumentError, type Command } from 'commander';
import type { Duration } from '../duration.ts';
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
    .option('-g, --grace <duration>', 'how long a stop waits for running calls', '30s')
    .option('--debug', 'print the stack of an error')
    .action(async ({ app: module, concurrency, grace }: WorkerCommandOptions) => {
      await using app = await loadApp(module);
      const { runUntilSignal, startWorker } = await import('../worker.ts');
      const worker = await startWorker(app, { concurrency, grace });
      print(
        `Worker of '${app.name}' polls ${worker.queues.join(', ')}; ${app.tasks.length} tasks. Ctrl-C stops it.`,
      );
      await runUntilSignal(worker);
    });
}

/** @throws {InvalidArgumentError} which commander shows with the option's name. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new InvalidArgumentError('Expected a whole number from 1 up.');
  return Number(text);
}
