import type { Command } from 'commander';
import type { LastRun, RoutineRow } from '../../routines/list.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson, printTable } from '../output.ts';

/** What every command of the group takes. */
export interface SharedOptions {
  app?: string;
  json?: boolean;
}

/** `sedano routines list` */
export function addListCommand(routines: Command): Command {
  return routines
    .command('list')
    .description('list the routines with their next times and last runs')
    .action(async (options: SharedOptions) => {
      await using app = await loadApp(options.app);
      const rows = await app.listRoutines();
      if (options.json) printJson(rows);
      else if (rows.length > 0) printList(rows);
      else print('No routines yet: a worker creates those of the table when it starts.');
    });
}

/** In short; next times are on the wall clock of the routine's zone. */
export function printRoutines(rows: readonly RoutineRow[]): void {
  printTable(
    ['ROUTINE', 'TASK', 'CRONTAB', 'ZONE', 'ON', 'NEXT'],
    rows.map((row) => [
      row.name,
      row.task,
      row.crontab,
      row.timezone,
      row.enabled ? 'yes' : 'no',
      nextOf(row),
    ]),
  );
}

function nextOf({ enabled, nextLocal }: RoutineRow): string {
  return (enabled && nextLocal[0]) || '-';
}

function printList(rows: readonly RoutineRow[]): void {
  printTable(
    [
      'ROUTINE',
      'TASK',
      'CRONTAB',
      'IN WORDS',
      'ZONE',
      'ON',
      'NEXT',
      'LAST RUN',
      'RESULT',
      'RUNS',
      'SKIPS',
      'MISSES',
    ],
    rows.map((row) => [
      row.origin === 'code' ? row.name : `${row.name} (${row.origin})`,
      row.task,
      row.crontab,
      row.words,
      row.timezone,
      row.enabled ? 'yes' : 'no',
      nextOf(row),
      row.last?.at.toISOString().slice(0, 16).replace('T', ' ').concat(' UTC') ?? '-',
      row.last ? short(resultOf(row.last)) : '-',
      String(row.runs),
      String(row.skips),
      String(row.misses),
    ]),
  );
}

/** How a run ended, on one line. */
export function resultOf({ state, result, error }: LastRun): string {
  if (state === 'UNKNOWN') return 'no longer kept';
  if (error !== undefined) return `${state}: ${error}`;
  return state === 'SUCCESS' ? `${state}: ${JSON.stringify(result ?? null)}` : state;
}

const MAX_SHOWN = 40;

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN - 1)}…`;
}
