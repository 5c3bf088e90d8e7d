import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Sedano } from '../../app.ts';
import { durationMs, type Duration } from '../../duration.ts';
import { MISSED, OVERLAPS } from '../../routines/policies.ts';
import { readDefinition, type Definition } from '../../routines/definition.ts';
import { editRoutine } from '../../routines/edits.ts';
import { wallClock } from '../../routines/list.ts';
import { parseSchedule } from '../../routines/schedule-text.ts';
import { isOther } from '../../routines/spec.ts';
import { readSchedule } from '../../routines/write.ts';
import { duration } from '../arguments.ts';
import { EXIT, Exit, UsageError } from '../exit.ts';
import { mayGoOn } from '../go-on.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson, printTable } from '../output.ts';
import { whoAmI } from '../who.ts';
import { shownChanges } from './fields.ts';
import type { SharedOptions } from './list.ts';
import { moment } from './next.ts';

interface EditOptions extends SharedOptions {
  schedule?: string;
  timezone?: string;
  args?: unknown[];
  queue?: string;
  overlap?: Definition['overlap'];
  missed?: Definition['missed'];
  jitter?: Duration;
  startAt?: Date | 'none';
  endAt?: Date | 'none';
  expires?: Duration | 'none';
  description?: string;
  yes?: boolean;
}

/** `sedano routines edit NAME` */
export function addEditCommand(routines: Command): Command {
  return routines
    .command('edit')
    .description('change a routine on the server; it stays so until you adopt what the code says')
    .argument('<name>', 'the name of the routine')
    .option('--schedule <text>', "a crontab line, 'every 15m', 'at 2027-01-01T12:00:00Z'")
    .option('--timezone <name>', 'the IANA zone of the crontab')
    .addOption(new Option('--args <json>', 'all arguments, a JSON list').argParser(jsonList))
    .option('--queue <name>', 'the task queue of its calls')
    .addOption(new Option('--overlap <word>', 'while it still runs').choices(OVERLAPS))
    .addOption(new Option('--missed <word>', 'after an outage').choices(MISSED))
    .addOption(new Option('--jitter <duration>', 'at most so much later').argParser(duration))
    .addOption(new Option('--start-at <time>', "or 'none'").argParser(orNone(moment)))
    .addOption(new Option('--end-at <time>', "or 'none'").argParser(orNone(moment)))
    .addOption(new Option('--expires <duration>', "or 'none'").argParser(orNone(duration)))
    .option('--description <text>', 'one sentence for people')
    .option('-y, --yes', 'change it without being asked')
    .action(edit);
}

async function edit(name: string, options: EditOptions): Promise<void> {
  const changes = changesIn(options);
  if (Object.keys(changes).length === 0) {
    throw new UsageError('nothing to change: expected at least one field', {
      hint: "For example: sedano routines edit NAME --schedule '0 3 * * *'",
    });
  }
  await using app = await loadApp(options.app);
  const { description } = await readSchedule(app, name);
  const seen = readDefinition(description);
  const next = { before: nextOf(app, seen), after: nextOf(app, { ...seen, ...changes }) };
  if (!options.json) printPreview(next);
  if (!(await mayGoOn(`Change routine '${name}'?`, options.yes))) throw new Exit(EXIT.failed);
  const done = await editRoutine(app, name, changes, { by: whoAmI(), seen });
  if (options.json) printJson({ name, edit: done.edit ?? null, next });
  else print(done.edit ? `Changed: ${shownChanges(done.edit)}` : 'Nothing to change: it is so.');
}

function changesIn(options: EditOptions): Partial<Definition> {
  const { schedule, timezone, args, queue, overlap, missed, description } = options;
  const { jitter, startAt, endAt, expires } = options;
  const date = (time: Date | 'none') => (time === 'none' ? null : time.toISOString());
  return {
    ...(schedule === undefined ? {} : { schedule: parseSchedule(schedule).toString() }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(args === undefined ? {} : { args }),
    ...(queue === undefined ? {} : { queue }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(missed === undefined ? {} : { missed }),
    ...(description === undefined ? {} : { description }),
    ...(jitter === undefined ? {} : { jitterMs: durationMs(jitter, '--jitter') }),
    ...(startAt === undefined ? {} : { startAt: date(startAt) }),
    ...(endAt === undefined ? {} : { endAt: date(endAt) }),
    ...(expires === undefined
      ? {}
      : { expiresMs: expires === 'none' ? null : durationMs(expires, '--expires') }),
  };
}

const PREVIEWED = 3;

/** The next times on the wall clock of its zone; none for what another tool has made. */
function nextOf(app: Sedano, { schedule, timezone, startAt, endAt }: Definition): string[] {
  if (isOther(schedule)) return [];
  const parsed = parseSchedule(schedule);
  const zone = /^(every|at) /.test(schedule) ? app.options.timezone : timezone;
  const from = new Date(Math.max(Date.now(), startAt === null ? 0 : Date.parse(startAt) - 1));
  return parsed
    .next({ count: PREVIEWED, timezone: zone, from })
    .filter((time) => endAt === null || time.getTime() <= Date.parse(endAt))
    .map((time) => `${wallClock(time, zone)} ${zone}`);
}

function printPreview({ before, after }: { before: string[]; after: string[] }): void {
  printTable(
    ['NEXT NOW', 'NEXT THEN'],
    Array.from({ length: Math.max(before.length, after.length, 1) }, (_, index) => [
      before[index] ?? '-',
      after[index] ?? '-',
    ]),
  );
}

/** @throws {InvalidArgumentError} */
function jsonList(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // told below
  }
  throw new InvalidArgumentError(`Expected a JSON list such as '[1, "text"]'.`);
}

function orNone<T>(read: (text: string) => T): (text: string) => T | 'none' {
  return (text) => (text === 'none' ? 'none' : read(text));
}
