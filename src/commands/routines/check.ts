import type { Command } from 'commander';
import { checkRoutines } from '../../routines/check.ts';
import { EXIT, Exit } from '../exit.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson } from '../output.ts';
import type { SharedOptions } from './list.ts';

/** `sedano routines check` */
export function addCheckCommand(routines: Command): Command {
  return routines
    .command('check')
    .description('exit code 1 when a routine did not run when it was due, or has no schedule')
    .action(async (options: SharedOptions) => {
      await using app = await loadApp(options.app);
      const findings = await checkRoutines(app);
      if (options.json) printJson({ routines: app.routineTable.size, findings });
      else if (findings.length === 0) print(allWell(app.routineTable.size));
      else for (const { name, message } of findings) print(`${name}: ${message}`);
      if (findings.length > 0) throw new Exit(EXIT.failed);
    });
}

function allWell(count: number): string {
  if (count === 0) return 'The table has no routines.';
  return count === 1
    ? 'The routine runs as it should.'
    : `All ${count} routines run as they should.`;
}
