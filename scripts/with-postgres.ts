// Runs a command while a PostgreSQL of its own is there, which DATABASE_URL names; ends with the command's exit code:
//   node --import=tsx scripts/with-postgres.ts npm test
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { EXIT } from '../src/commands/exit.ts';
import { identify } from '../src/embedded/process-identity.ts';
import { endProcess } from '../src/embedded/server-process.ts';
import { findPostgres } from './postgres/program.ts';
import { startPostgres } from './postgres/server.ts';
import { runScript } from './script.ts';

const COMMAND_GRACE_MS = 10_000;

const command = process.argv.slice(2);
await runScript(async (signal) => {
  if (command.length > 0) return await runWithPostgres(command, signal);
  console.error('Usage: node --import=tsx scripts/with-postgres.ts COMMAND [ARGUMENT…]');
  return EXIT.usage;
});

async function runWithPostgres(command: string[], signal: AbortSignal): Promise<number> {
  const report = (line: string) => console.log(`# ${line}`);
  const program = await findPostgres({ env: process.env, report, signal });
  await using server = await startPostgres(program, signal);
  report(`PostgreSQL ${server.version} at ${server.address}`);
  return await runCommand(command, { ...process.env, DATABASE_URL: server.url }, signal);
}

/** Its exit code. When the signal aborts, the command is ended before the abort's reason is thrown. */
async function runCommand(
  [file = '', ...args]: string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const child = spawn(file, args, { env, stdio: 'inherit' });
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  let ending: Promise<void> | undefined;
  const end = () => {
    if (identity) ending = endProcess(identity, COMMAND_GRACE_MS);
  };
  signal.addEventListener('abort', end);
  const [code, killedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  await ending;
  signal.throwIfAborted();
  return code ?? 128 + constants.signals[killedBy ?? 'SIGKILL'];
}
