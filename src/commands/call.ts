import { Option, type Command } from 'commander';
import type { Sedano } from '../app.ts';
import type { Duration } from '../duration.ts';
import { TaskNotRegisteredError } from '../errors.ts';
import type { Registration } from '../registry.ts';
import { UsageError } from './exit.ts';
import { appOption, loadApp } from './load-app.ts';
import { print, printJson, shown } from './output.ts';
import { showResult, timeoutOption } from './result.ts';

interface CallOptions {
  app?: string;
  inline?: boolean;
  wait?: boolean;
  timeout?: Duration;
  json?: boolean;
  debug?: boolean;
}

/** `sedano call NAME [ARGS…]` */
export function addCallCommand(program: Command): void {
  program
    .command('call')
    .description('start a durable call of a task and print its id')
    .argument('<name>', "the task's name")
    .argument('[args...]', 'its arguments, each as JSON: 1 \'"text"\' \'{"a":1}\'')
    .addOption(appOption())
    .addOption(
      new Option(
        '--inline',
        'run the code in this process instead, and print what it returns',
      ).conflicts(['wait', 'timeout']),
    )
    .option('-w, --wait', 'wait for the result and print it')
    .addOption(timeoutOption())
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(call);
}

async function call(name: string, texts: string[], options: CallOptions): Promise<void> {
  const args = parseArguments(texts);
  await using app = await loadApp(options.app);
  const registration = registered(app, name);
  if (options.inline) {
    const run = registration.task.run.bind(registration.task) as (
      ...args: unknown[]
    ) => Promise<unknown>;
    const value = await run(...args);
    return options.json ? printJson(value ?? null) : print(shown(value));
  }
  const result = await app.sendTask(name, args);
  if (options.wait) return await showResult(result, options);
  const { id, runId, accepted } = result;
  if (options.json)
    printJson({ id, runId, accepted, ...(accepted ? {} : { message: await result.get() }) });
  else print(accepted ? id : String(await result.get()));
}

/** @throws {UsageError} naming the first that is not JSON. */
function parseArguments(texts: string[]): unknown[] {
  return texts.map((text, index) => {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new UsageError(`argument ${index + 1}: expected JSON, got ${text}`, {
        cause: error,
        hint: `Text is JSON in double quotes, which the shell must leave alone: '"${text}"'`,
      });
    }
  });
}

/** @throws {TaskNotRegisteredError} before anything is sent. */
function registered(app: Sedano, name: string): Registration {
  const registration = app.registered(name);
  if (registration) return registration;
  const names = app.tasks.map((task) => `'${task.name}'`).toSorted();
  throw new TaskNotRegisteredError(`app '${app.name}' has no task '${name}'`, {
    taskName: name,
    hint: names.length === 0 ? 'It has no tasks at all.' : `It has ${names.join(', ')}.`,
  });
}
