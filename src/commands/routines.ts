import type { Command } from 'commander';
import type { RoutineRow } from '../routines/schedules.ts';
import { appOption, loadApp } from './load-app.ts';
import { print, printJson, printTable } from './output.ts';

/** `sedano routines list` */
export function addRoutinesCommand(program: Command): void {
  const routines = program.command('routines').description('the routine tasks of the app');
  routines
    .command('list')
    .description('list the routines with their next times')
    .addOption(appOption())
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(async (options: { app?: string; json?: boolean }) => {
      await using app = await loadApp(options.app);
      const rows = await app.listRoutines();
      if (options.json) printJson(rows);
      else if (rows.length > 0) printRoutines(rows);
      else print('No routines yet: a worker creates those of the table when it starts.');
    });
}

/** Next times are shown on the wall clock of the routine's zone. */
export function printRoutines(rows: readonly RoutineRow[]): void {
  printTable(
    ['ROUTINE', 'TASK', 'CRONTAB', 'ZONE', 'ON', 'NEXT'],
    rows.map(({ name, task, crontab, timezone, enabled, nextLocal }) => [
      name,
      task,
      crontab ?? '?',
      timezone,
      enabled ? 'yes' : 'no',
      (enabled && nextLocal[0]) || '-',
    ]),
  );
}
