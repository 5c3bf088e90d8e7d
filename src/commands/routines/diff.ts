import type { Command } from 'commander';
import type { Sedano } from '../../app.ts';
import { adopt, prune } from '../../routines/edits.ts';
import { lintRoutine, type LintFinding } from '../../routines/lint.ts';
import { codeOf, type RoutineDiff, type SyncReport } from '../../routines/sync.ts';
import { mayGoOn } from '../go-on.ts';
import { EXIT, Exit } from '../exit.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson, printTable } from '../output.ts';
import { whoAmI } from '../who.ts';
import { shownChanges, shownField } from './fields.ts';
import type { SharedOptions } from './list.ts';

/** `sedano routines diff` */
export function addDiffCommand(routines: Command): Command {
  return routines
    .command('diff')
    .description('what the server has against what the code says; changes nothing')
    .option('--full', 'ask for every schedule, not only for those that look changed in the list')
    .action(async (options: SharedOptions & { full?: boolean }) => {
      await using app = await loadApp(options.app);
      const onProgress = progressOf('asked for');
      const diffs = await app.diffRoutines({ full: options.full, onProgress });
      const routines = diffs.filter(isDifferent);
      const warnings = [...app.routineTable.keys()].flatMap((name) => warningsOf(app, name));
      if (options.json) return printJson({ routines, warnings });
      if (routines.length === 0) print('The server has what the code says.');
      else printDiffs(routines);
      for (const { message } of warnings) print(`Warning: ${message}`);
    });
}

/** `sedano routines sync` */
export function addSyncCommand(routines: Command): Command {
  return routines
    .command('sync')
    .description('create what is missing, let what nobody edited follow the code; edits stay')
    .option('--full', 'ask for every schedule, not only for those that look changed in the list')
    .action(async (options: SharedOptions & { full?: boolean }) => {
      await using app = await loadApp(options.app);
      const report = await app.syncRoutines({
        full: options.full,
        onProgress: progressOf('done'),
      });
      if (options.json) printJson(report);
      else printReport(report);
    });
}

/** `sedano routines adopt NAME [FIELD…]` */
export function addAdoptCommand(routines: Command): Command {
  return routines
    .command('adopt')
    .description("take the code's value over what was edited")
    .argument('<name>', 'the name of the routine')
    .argument('[fields...]', 'those to adopt; all when none is named')
    .action(async (name: string, fields: string[], { app: module, json }: SharedOptions) => {
      await using app = await loadApp(module);
      const { edit, definition } = await adopt(app, name, { by: whoAmI(), fields });
      if (json) printJson({ name, edit: edit ?? null, definition });
      else print(edit ? `Adopted: ${shownChanges(edit)}` : 'Nothing to adopt: it is so.');
    });
}

/** `sedano routines prune` */
export function addPruneCommand(routines: Command): Command {
  return routines
    .command('prune')
    .description('delete the routines that have left the table, after listing them')
    .option('-y, --yes', 'delete them without being asked')
    .action(async (options: SharedOptions & { yes?: boolean }) => {
      await using app = await loadApp(options.app);
      const diffs = await app.diffRoutines();
      const orphans = diffs.filter(({ origin }) => origin === 'orphan').map(({ name }) => name);
      if (!options.json) {
        print(orphans.length === 0 ? 'No orphans.' : `Left the table:\n  ${orphans.join('\n  ')}`);
      }
      const deleted = orphans.length === 0 ? [] : await pruneThem(orphans, options.yes);
      if (options.json) printJson({ deleted });
      else if (deleted.length > 0) print(`Deleted ${deleted.length}.`);

      async function pruneThem(names: string[], yes?: boolean): Promise<string[]> {
        if (!(await mayGoOn(`Delete ${names.length}?`, yes))) throw new Exit(EXIT.failed);
        return await prune(app, names);
      }
    });
}

/** What may not be meant in the table. */
function warningsOf(app: Sedano, name: string): LintFinding[] {
  const code = codeOf(app, name);
  return code ? lintRoutine(name, code) : [];
}

function isDifferent({ origin, missing, fields, newerRelease }: RoutineDiff): boolean {
  return (
    missing ||
    fields.length > 0 ||
    newerRelease !== null ||
    origin === 'orphan' ||
    origin === 'foreign'
  );
}

function printDiffs(diffs: readonly RoutineDiff[]): void {
  printTable(
    ['ROUTINE', 'ORIGIN', 'STATE', 'FIELD', 'SERVER', 'CODE'],
    diffs.flatMap(({ name, origin, missing, fields, newerRelease }) => {
      if (missing) return [[name, origin, 'missing', '-', '-', '-']];
      if (fields.length === 0) {
        const newer = newerRelease === null ? '-' : `release ${newerRelease} rules`;
        return [[name, origin, newer, '-', '-', '-']];
      }
      return fields.map(({ field, state, server, code }) => [
        name,
        origin,
        state,
        field,
        shownField(field, server),
        shownField(field, code),
      ]);
    }),
  );
  print('');
  print('missing and follows: sedano routines sync; edited: sedano routines adopt NAME [FIELD…];');
  print('orphan: sedano routines prune; foreign: not made by Sedano, and left alone.');
}

function printReport(report: SyncReport): void {
  const { created, followed, drift, orphans, foreign, past } = report;
  const lines = [
    ['Created', created],
    ['Following the code', followed.map(({ name, fields }) => `${name} (${fields.join(', ')})`)],
    ['Edited, left so', drift.map(shownDrift)],
    ['Left the table', orphans],
    ['Not made by Sedano, left alone', foreign],
    ['Not created, their one moment has passed', past],
  ] as const;
  for (const [what, names] of lines) {
    if (names.length > 0) print(`${what}: ${names.join(', ')}`);
  }
  if (lines.every(([, names]) => names.length === 0)) print('The server has what the code says.');
}

function shownDrift({ name, fields }: RoutineDiff): string {
  const edited = fields.filter(({ state }) => state === 'edited').map(({ field }) => field);
  return `${name} (${edited.join(', ')})`;
}

/** From so many on, a line on the terminal says how far it is. */
const MANY = 50;

function progressOf(word: string): (done: number, total: number) => void {
  return (done, total) => {
    if (!process.stderr.isTTY || total < MANY) return;
    process.stderr.write(`\r${done} of ${total} ${word}${done === total ? '\n' : ''}`);
  };
}
