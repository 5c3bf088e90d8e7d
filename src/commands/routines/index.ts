import { Option, type Command } from 'commander';
import { appOption } from '../load-app.ts';
import { addCheckCommand } from './check.ts';
import { addAdoptCommand, addDiffCommand, addPruneCommand, addSyncCommand } from './diff.ts';
import { addEditCommand } from './edit.ts';
import { addImportCommand } from './import.ts';
import { addListCommand } from './list.ts';
import { addNextCommand } from './next.ts';
import {
  addDeleteCommand,
  addPauseCommand,
  addResumeCommand,
  addRunCommand,
} from './one-routine.ts';
import { addShowCommand } from './show.ts';

/** `sedano routines …` */
export function addRoutinesCommand(program: Command): void {
  const routines = program.command('routines').description('the routine tasks of the app');
  for (const add of [
    addListCommand,
    addShowCommand,
    addNextCommand,
    addRunCommand,
    addPauseCommand,
    addResumeCommand,
    addEditCommand,
    addDeleteCommand,
    addDiffCommand,
    addSyncCommand,
    addCheckCommand,
    addAdoptCommand,
    addPruneCommand,
  ]) {
    withSharedOptions(add(routines));
  }
  addImportCommand(routines);
}

function withSharedOptions(command: Command): void {
  command
    .addOption(appOption())
    .addOption(new Option('--json', 'print JSON'))
    .option('--debug', 'print the stack of an error');
}
