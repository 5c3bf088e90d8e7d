import { Option, type Command } from 'commander';
import type { Sedano } from '../app.ts';
import { assertLockId } from '../exclusive.ts';
import type { LockState } from '../lock/lock.ts';
import { EXIT, Exit, UsageError } from './exit.ts';
import { appOption, loadApp } from './load-app.ts';
import { print, printJson, printTable } from './output.ts';
import { whoAmI } from './who.ts';

interface ListOptions {
  app?: string;
  json?: boolean;
}

interface ReleaseCommandOptions {
  app?: string;
  now?: boolean;
  fence?: string;
}

/** `sedano locks list | inspect ID | release ID` */
export function addLocksCommand(program: Command): void {
  const locks = program.command('locks').description('the locks of exclusive tasks');
  const json = () => new Option('--json', 'print JSON');
  const debug = () => new Option('--debug', 'print the stack of an error');
  locks
    .command('list')
    .description('the locks that were used within the last 7 days')
    .addOption(appOption())
    .addOption(json())
    .addOption(debug())
    .action(list);
  locks
    .command('inspect')
    .description('who holds a lock, and who waits for it')
    .argument('<id>', 'the lockId of the task')
    .addOption(appOption())
    .addOption(json())
    .addOption(debug())
    .action(inspect);
  locks
    .command('release')
    .description('ask the holder to let go; it stops at the latest when its lease ends')
    .argument('<id>', 'the lockId of the task')
    .addOption(appOption())
    .option('--now', 'end the hold at once, though its holder may still run; needs --fence')
    .option('--fence <number>', 'only the hold that inspect shows with this fence')
    .addOption(debug())
    .action(release);
}

async function list({ app: module, json }: ListOptions): Promise<void> {
  await using app = await loadApp(module);
  const locks = await app.locks();
  const states = await locks.list();
  if (json) return printJson(states);
  if (states.length === 0) return print('No locks: no exclusive task has run within 7 days.');
  printTable(
    ['LOCK', 'HELD BY', 'ON', 'SINCE', 'LEASE LEFT', 'WAIT'],
    states.map(({ lockId, holder, since, leftMs, waiters }) => [
      lockId,
      holder?.id ?? '-',
      holder ? `${holder.host}:${holder.pid}` : '-',
      since?.toISOString() ?? '-',
      holder ? seconds(leftMs) : '-',
      String(waiters.count),
    ]),
  );
}

async function inspect(lockId: string, { app: module, json }: ListOptions): Promise<void> {
  await using app = await loadApp(module);
  const state = await stateOf(app, lockId);
  if (json) return printJson(state);
  const { holder, since, leftMs, fence, revoked, waiters, lastEnd } = state;
  print(`Lock     ${lockId}`);
  if (holder) {
    print(`Held by  ${holder.id} (task '${holder.task}', run ${holder.runId})`);
    print(`On       ${holder.host}, process ${holder.pid}`);
    print(`Since    ${since?.toISOString()}, ${seconds(leftMs)} of the lease left`);
    print(`Fence    ${fence}${revoked ? ', asked back' : ''}`);
  } else {
    print('Held by  nobody');
  }
  print(`Waiting  ${waiters.count}`);
  for (const { rank, owner, kind } of waiters.first) print(`  ${rank + 1}. ${owner} (${kind})`);
  if (lastEnd) {
    const by = lastEnd.who === '' ? '' : ` by ${lastEnd.who}`;
    print(`Before   the hold with fence ${lastEnd.fence} ${END[lastEnd.how]}${by}`);
  }
}

const END = {
  released: 'was given back',
  revoked: 'was asked back',
  forced: 'was ended at once',
  expired: 'ended with its lease',
};

async function release(
  lockId: string,
  { app: module, now = false, fence }: ReleaseCommandOptions,
): Promise<void> {
  if (now && fence === undefined) {
    throw new UsageError('--now needs --fence: another hold could have begun meanwhile', {
      hint: `See the fence with: sedano locks inspect ${lockId}`,
    });
  }
  await using app = await loadApp(module);
  const { holder } = await stateOf(app, lockId);
  const locks = await app.locks();
  const who = whoAmI();
  const done = await locks.release(lockId, { who, now, ...(fence === undefined ? {} : { fence }) });
  if (!done) {
    print(
      `Nothing released: lock '${lockId}' is not held${fence === undefined ? '' : ` with fence ${fence}`}.`,
    );
    throw new Exit(EXIT.failed);
  }
  print(
    now
      ? `The hold of ${holder?.id} has ended; its code may run on for a third of the lease.`
      : `${holder?.id} is asked to let go; it stops at the latest when its lease ends.`,
  );
}

async function stateOf(app: Sedano, lockId: string): Promise<LockState> {
  assertLockId(lockId, 'locks');
  const locks = await app.locks();
  const state = await locks.inspect(lockId);
  if (state) return state;
  print(`Nothing is known of lock '${lockId}'.`);
  throw new Exit(EXIT.failed);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
