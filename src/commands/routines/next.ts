import { InvalidArgumentError, Option, type Command } from 'commander';
import { codeOf } from '../../routines/sync.ts';
import { wallClock } from '../../routines/list.ts';
import { parseSchedule } from '../../routines/schedule-text.ts';
import { RoutineNotFoundError } from '../../errors.ts';
import { wholeNumber } from '../arguments.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson, printTable } from '../output.ts';
import type { SharedOptions } from './list.ts';

interface NextOptions extends SharedOptions {
  at?: Date;
  count: number;
}

/** `sedano routines next NAME` */
export function addNextCommand(routines: Command): Command {
  return routines
    .command('next')
    .description('the next times of a routine of the table, computed without a server')
    .argument('<name>', 'the name of the routine')
    .addOption(new Option('--at <time>', 'the times after this one, ISO 8601').argParser(moment))
    .addOption(new Option('--count <number>', 'how many').argParser(wholeNumber).default(5))
    .action(next);
}

async function next(name: string, { app: module, json, at, count }: NextOptions): Promise<void> {
  await using app = await loadApp(module);
  const code = codeOf(app, name);
  if (!code) {
    const names = [...app.routineTable.keys()].map((one) => `'${one}'`).join(', ');
    throw new RoutineNotFoundError(`app '${app.name}' has no routine '${name}' in its table`, {
      routine: name,
      hint: names === '' ? 'Its table is empty.' : `It has ${names}.`,
    });
  }
  const { schedule, timezone } = code;
  const parsed = parseSchedule(schedule);
  const times = parsed.next({ count, timezone, ...(at ? { from: at } : {}) });
  if (json) return printJson({ name, schedule, words: parsed.describe(), timezone, next: times });
  print(`${schedule}, ${parsed.describe()}${code.enabled ? '' : ', not enabled in the table'}`);
  if (times.length === 0) return print('It never runs again.');
  printTable(
    [timezone, 'UTC'],
    times.map((time) => [wallClock(time, timezone), time.toISOString()]),
  );
}

/** @throws {InvalidArgumentError} */
export function moment(text: string): Date {
  const time = new Date(text);
  // a date without a zone would be that of the machine
  if (/^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(time.getTime())) {
    return time;
  }
  throw new InvalidArgumentError(
    "Expected a day or a moment with its zone: '2027-03-28T00:00:00Z'.",
  );
}
