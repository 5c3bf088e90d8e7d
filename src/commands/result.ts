import type { Command } from 'commander';
import type { AsyncResult } from '../async-result.ts';
import type { Duration } from '../duration.ts';
import { ResultTimeoutError, SedanoError, TaskFailedError } from '../errors.ts';
import { appOption, loadApp } from './load-app.ts';
import { print, printError, printJson, shown } from './output.ts';
import { EXIT, Exit } from './exit.ts';

interface ResultOptions {
  app?: string;
  runId?: string;
  wait?: boolean;
  timeout?: Duration;
  json?: boolean;
  debug?: boolean;
}

/** `sedano result ID` */
export function addResultCommand(program: Command): void {
  program
    .command('result')
    .description('print the state of a call, and its value, error or progress')
    .argument('<id>', "the call's id")
    .addOption(appOption())
    .option('--run-id <id>', 'one certain run of the id (default: the latest)')
    .option('-w, --wait', 'wait until the call has ended')
    .option(
      '-t, --timeout <duration>',
      "how long --wait waits, for example '30s' (default: no limit)",
    )
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(async (id: string, options: ResultOptions) => {
      await using app = await loadApp(options.app);
      const result = app.result(id, options.runId === undefined ? {} : { runId: options.runId });
      await showResult(result, options);
    });
}

/** Prints a call's state and outcome; the exit code says how it stands. */
export async function showResult(result: AsyncResult, options: ResultOptions): Promise<void> {
  if (options.wait) await waitForEnd(result, options.timeout);
  const state = await result.state();
  const info = await result.info();
  if (options.json) printJson({ id: result.id, state, ...jsonOutcome(info) });
  else showText(state, info, options);
  if (state === 'SUCCESS') return;
  throw new Exit(
    state === 'FAILURE' || state === 'REVOKED' || state === 'UNKNOWN' ? EXIT.failed : EXIT.notReady,
  );
}

async function waitForEnd(result: AsyncResult, timeout: Duration | undefined): Promise<void> {
  try {
    await result.get(timeout === undefined ? {} : { timeout });
  } catch (error) {
    // how it ended, or that it has not, is shown below
    if (!(error instanceof ResultTimeoutError) && !('taskId' in Object(error))) throw error;
  }
}

function showText(state: string, info: unknown, options: ResultOptions): void {
  print(state);
  if (info instanceof Error) printError(info, { debug: options.debug ?? false });
  else if (info !== undefined) print(shown(info));
}

function jsonOutcome(info: unknown): object {
  if (!(info instanceof Error)) return info === undefined ? {} : { info };
  const type = info instanceof TaskFailedError ? info.type : info.name;
  const hint = info instanceof SedanoError ? info.hint : undefined;
  return { error: { type, message: info.message, hint } };
}
