import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { addCallCommand } from './call.ts';
import { addDevCommand } from './dev.ts';
import { EXIT, Exit } from './exit.ts';
import { print, printError } from './output.ts';
import { addResultCommand } from './result.ts';
import { addRevokeCommand } from './revoke.ts';
import { addRoutinesCommand } from './routines.ts';
import { addWorkerCommand } from './worker.ts';

const EXIT_CODES = `
Exit codes: 0 done; 1 the task failed, or an error; 2 wrong usage; 3 the result is not ready.
Addresses: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, REDIS_URL, else those of 'sedano dev' in this folder.`;

/** Runs one command line. Returns the exit code; errors are shown as one message and one hint. */
export async function runCli(args: string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    // commander has printed its own message
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    printError(error, { debug: args.includes('--debug') });
    return EXIT.failed;
  }
}

function createProgram(): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const program = new Command('sedano')
    .description("Celery's ergonomics on Temporal's durability")
    .version(version)
    .exitOverride()
    .showHelpAfterError('(run with --help for the options)')
    .addHelpText('after', EXIT_CODES)
    .configureOutput({ writeOut: (text) => print(text.trimEnd()) });
  for (const add of [
    addDevCommand,
    addWorkerCommand,
    addCallCommand,
    addResultCommand,
    addRevokeCommand,
    addRoutinesCommand,
  ]) {
    add(program);
  }
  return program;
}
