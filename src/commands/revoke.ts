import type { Command } from 'commander';
import { appOption, loadApp } from './load-app.ts';
import { print, printJson } from './output.ts';

/** `sedano revoke ID` */
export function addRevokeCommand(program: Command): void {
  program
    .command('revoke')
    .description('ask a call to end; one that no worker has begun ends at once')
    .argument('<id>', "the call's id")
    .addOption(appOption())
    .option('--terminate', 'end it at once, without its code and hooks having a say', false)
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(async (id: string, options: { app?: string; terminate: boolean; json?: boolean }) => {
      await using app = await loadApp(options.app);
      const result = app.result(id);
      if (await result.ready()) {
        const state = await result.state();
        return options.json ? printJson({ id, state }) : print(`${id} had ended already: ${state}`);
      }
      await result.revoke({ terminate: options.terminate });
      const state = await result.state();
      if (options.json) printJson({ id, state });
      else
        print(state === 'REVOKED' ? `${id} is revoked` : `${id} is asked to end; it is ${state}`);
    });
}
