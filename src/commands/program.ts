import { createRequire } from 'node:module';
import { Command, type CommanderError } from 'commander';
import { addCallCommand } from './call.ts';
import { addDevCommand } from './dev.ts';
import { EXIT, Exit, UsageError } from './exit.ts';
import { addInitCommand } from './init.ts';
import { addLocksCommand } from './locks.ts';
import { print, printError } from './output.ts';
import { addResultCommand } from './result.ts';
import { addRevokeCommand } from './revoke.ts';
import { addRoutinesCommand } from './routines/index.ts';
import { addWorkerCommand } from './worker.ts';

const NOTES = `
Exit codes: 0 done; 1 the task failed, or an error; 2 wrong usage; 3 the result is not ready;
130 stopped by Ctrl-C before it was done.
Addresses: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, REDIS_URL, else those of 'sedano dev' in this folder.`;

/** Runs one command line. Returns the exit code; errors are shown as one message and one hint. */
export async function runCli(args: string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (thrown) {
    const error = firstOf(thrown);
    if (error instanceof Exit) return error.code;
    printError(error, { debug: args.includes('--debug') });
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

/** The error that came first, where closing what was open has failed too. */
function firstOf(error: unknown): unknown {
  // Node 20 has no class for them: they are known by their name
  if (!(error instanceof Error) || error.name !== 'SuppressedError') return error;
  return 'suppressed' in error ? firstOf(error.suppressed) : error;
}

function createProgram(): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const program = new Command('sedano')
    .description("Celery's ergonomics on Temporal's durability")
    .version(version)
    .addHelpText('after', NOTES)
    // its errors are shown as all others are
    .configureOutput({ writeOut: (text) => print(text.trimEnd()), outputError: () => {} });
  for (const add of [
    addInitCommand,
    addDevCommand,
    addWorkerCommand,
    addCallCommand,
    addResultCommand,
    addRevokeCommand,
    addRoutinesCommand,
    addLocksCommand,
  ]) {
    add(program);
  }
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride((error) => {
    throw toOurs(command, error);
  });
  command.commands.forEach(throwInsteadOfExit);
}

function toOurs(command: Command, { code, exitCode, message }: CommanderError): Error {
  // what was asked for has been printed
  if (exitCode === 0) return new Exit(EXIT.ok);
  // a command is missing, and the help that names them has been printed
  if (code === 'commander.help') return new Exit(EXIT.usage);
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return new UsageError(text, { hint: `Run '${pathOf(command)} --help' to see how it is used.` });
}

/** `sedano routines list` */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
