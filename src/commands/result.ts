import { Option, type Command } from 'commander';
import type { AsyncResult, TaskState } from '../async-result.ts';
import type { Duration } from '../duration.ts';
import {
  ResultTimeoutError,
  SedanoError,
  TaskCrashedError,
  TaskError,
  TaskFailedError,
  TaskRevokedError,
} from '../errors.ts';
import { duration } from './arguments.ts';
import { EXIT, Exit } from './exit.ts';
import { appOption, loadApp } from './load-app.ts';
import { print, printError, printJson, shown } from './output.ts';
import { withProgressLine } from './progress-line.ts';

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
    .addOption(timeoutOption())
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(async (id: string, options: ResultOptions) => {
      await using app = await loadApp(options.app);
      const result = app.result(id, options.runId === undefined ? {} : { runId: options.runId });
      await showResult(result, options);
    });
}

/** The option of all commands that can wait for a result. */
export function timeoutOption(): Option {
  return new Option('-t, --timeout <duration>', "wait no longer than this, for example '30s'")
    .argParser(duration)
    .implies({ wait: true });
}

/** Prints a call's state and outcome; the exit code says how it stands. */
export async function showResult(result: AsyncResult, options: ResultOptions): Promise<void> {
  if (options.wait) await waitForEnd(result, options);
  const state = await result.state();
  const info = state === 'UNKNOWN' ? await errorOf(result) : await result.info();
  if (options.json) printJson({ id: result.id, state, ...jsonOutcome(info) });
  else showText(state, info, options);
  if (state === 'SUCCESS') return;
  throw new Exit(hasFailed(state) ? EXIT.failed : EXIT.notReady);
}

function hasFailed(state: TaskState): boolean {
  return state === 'FAILURE' || state === 'REVOKED' || state === 'UNKNOWN';
}

async function errorOf(result: AsyncResult): Promise<unknown> {
  return await result.get().catch((error: unknown) => error);
}

/** Ctrl-C ends the waiting, not the call. */
async function waitForEnd(
  result: AsyncResult,
  { timeout, debug = false }: ResultOptions,
): Promise<void> {
  const interrupt = new AbortController();
  const stopped = new SedanoError(`stopped waiting for call '${result.id}'; it goes on`);
  const onSignal = () => interrupt.abort(stopped);
  process.on('SIGINT', onSignal);
  try {
    await withProgressLine(result, () => result.get({ timeout, signal: interrupt.signal }));
  } catch (error) {
    if (error === stopped || error instanceof ResultTimeoutError) {
      printError(error, { debug, hint: `See how it stands with: sedano result '${result.id}'` });
    }
    if (error === stopped) throw new Exit(EXIT.interrupted);
    // how the call ended, or that it has not, is shown by the caller
    if (!(error instanceof TaskError)) throw error;
  } finally {
    process.off('SIGINT', onSignal);
  }
}

function showText(state: TaskState, info: unknown, { debug = false }: ResultOptions): void {
  print(state);
  if (info instanceof Error) printError(info, { debug, hint: hintFor(info) });
  else if (info !== undefined) print(shown(info));
}

function hintFor(error: Error): string | undefined {
  if (error instanceof TaskRevokedError) return 'Call the task again if its value is still wanted.';
  if (error instanceof TaskCrashedError) return 'The logs of its workers say how they ended.';
  return undefined;
}

function jsonOutcome(info: unknown): object {
  if (!(info instanceof Error)) return info === undefined ? {} : { info };
  const type = info instanceof TaskFailedError ? info.type : info.name;
  const hint = info instanceof SedanoError ? info.hint : undefined;
  return { error: { type, message: info.message, hint } };
}
