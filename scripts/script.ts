import { Exit, EXIT } from '../src/commands/exit.ts';
import { printError } from '../src/commands/output.ts';
import { StopSignal } from '../src/commands/stop-signal.ts';

/**
 * Does the work of a script, and ends the process with its exit code: 1 with the error's text and hint when it throws.
 * A signal aborts the work, which puts away what it started.
 */
export async function runScript(work: (signal: AbortSignal) => Promise<number>): Promise<never> {
  process.exit(await exitCodeOf(work));
}

async function exitCodeOf(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  using stop = new StopSignal();
  try {
    return await work(stop.signal);
  } catch (error) {
    if (error instanceof Exit) return error.code;
    printError(error, { debug: true });
    return EXIT.failed;
  }
}
