import type { Command } from 'commander';
import { deleteRoutine, pauseRoutine, resumeRoutine } from '../../routines/edits.ts';
import { runRoutine } from '../../routines/run-now.ts';
import { EXIT, Exit } from '../exit.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson } from '../output.ts';
import { whoAmI } from '../who.ts';
import type { SharedOptions } from './list.ts';

/** `sedano routines run NAME` */
export function addRunCommand(routines: Command): Command {
  return named(routines, 'run')
    .description('run a routine once, now; not while it still runs')
    .action(async (name: string, { app: module, json }: SharedOptions) => {
      await using app = await loadApp(module);
      const { id, ...done } = await runRoutine(app, name);
      if (json) printJson({ name, ...done, id });
      else if (done.outcome === 'started') print(id ?? '');
      else print(`Skipped, because it still runs${id === undefined ? '' : `: ${id}`}.`);
      if (done.outcome === 'skipped') throw new Exit(EXIT.failed);
    });
}

/** `sedano routines pause NAME` */
export function addPauseCommand(routines: Command): Command {
  return named(routines, 'pause')
    .description('let a routine rest until it is resumed; what runs goes on')
    .option('--reason <text>', 'why, for those who see it')
    .action(async (name: string, options: SharedOptions & { reason?: string }) => {
      await using app = await loadApp(options.app);
      const changed = await pauseRoutine(app, name, { by: whoAmI(), reason: options.reason });
      if (options.json) printJson({ name, enabled: false, changed });
      else
        print(changed ? `Routine '${name}' is paused.` : `Routine '${name}' was paused already.`);
    });
}

/** `sedano routines resume NAME` */
export function addResumeCommand(routines: Command): Command {
  return named(routines, 'resume')
    .description('let a paused routine run again')
    .action(async (name: string, { app: module, json }: SharedOptions) => {
      await using app = await loadApp(module);
      const changed = await resumeRoutine(app, name, { by: whoAmI() });
      if (json) printJson({ name, enabled: true, changed });
      else print(changed ? `Routine '${name}' runs again.` : `Routine '${name}' was not paused.`);
    });
}

/** `sedano routines delete NAME` */
export function addDeleteCommand(routines: Command): Command {
  return named(routines, 'delete')
    .description('delete a routine that is not in the table')
    .action(async (name: string, { app: module, json }: SharedOptions) => {
      await using app = await loadApp(module);
      await deleteRoutine(app, name);
      if (json) printJson({ name, deleted: true });
      else print(`Routine '${name}' is deleted; what runs goes on.`);
    });
}

function named(routines: Command, verb: string): Command {
  return routines.command(verb).argument('<name>', 'the name of the routine');
}
