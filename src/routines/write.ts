import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Sedano } from '../app.ts';
import { RoutineNotFoundError, SedanoError } from '../errors.ts';
import {
  DEFINITION_FIELDS,
  readDefinition,
  sameField,
  toSchedule,
  type ActionMemo,
  type Definition,
  type DefinitionField,
  type Edit,
} from './definition.ts';
import { markOf, withEdit } from './memo.ts';
import { describeSchedule, sendUpdate, type ServerSchedule } from './server-schedule.ts';

// of those who write at once one gets through each time
const MAX_TRIES = 40;
const PAUSE_MS = 50;
const MAX_PAUSE_MS = 500;

/** What is to be written over a schedule as it was just read. */
export interface Write {
  /** What the schedule is to be. */
  target: Definition;
  /** What its memo is to say of the code. */
  code: Definition;
  release: string | null;
  /** What the list of edits is to say; without fields it is not listed. */
  edit: Edit;
  /** The reason of a pause; left as it is when undefined. */
  notes?: string | undefined;
}

/**
 * Writes until `decide` finds nothing left to write in what the server has. The default scheduler answers OK to an
 * update that it drops, so reading it back is the only way to know.
 *
 * @param decide undefined when what it is given is as it should be; called again with each reading.
 * @throws {RoutineNotFoundError} when there is no schedule of this name.
 */
export async function writeUntilDone(
  app: Sedano,
  name: string,
  decide: (schedule: ServerSchedule) => Write | undefined,
): Promise<ServerSchedule> {
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const schedule = await readSchedule(app, name);
    const write = decide(schedule);
    if (!write) return schedule;
    await send(app, name, { schedule, write });
    // others whose update was dropped try again too, not all at the same moment
    if (tries > 1) await delay(Math.random() * Math.min(tries * PAUSE_MS, MAX_PAUSE_MS));
  }
  throw new SedanoError(
    `routine '${name}': the server has dropped ${MAX_TRIES} updates, since others changed it each time`,
    { hint: 'Try again when nothing else writes to it.' },
  );
}

/** @throws {RoutineNotFoundError} when there is no schedule of this name. */
export async function readSchedule(app: Sedano, name: string): Promise<ServerSchedule> {
  const schedule = await describeSchedule(app, name);
  if (schedule) return schedule;
  const isInTable = app.routineTable.has(name);
  throw new RoutineNotFoundError(`app '${app.name}' has no schedule for routine '${name}'`, {
    routine: name,
    hint: isInTable
      ? 'It is in the table: create it with sedano routines sync.'
      : 'See what there is with: sedano routines list',
  });
}

/** The values of these fields. */
export function pick(
  definition: Partial<Definition>,
  fields: readonly DefinitionField[],
): Partial<Definition> {
  return Object.fromEntries(fields.map((field) => [field, definition[field]]));
}

/** An edit of what the server has to `to`; those of its fields that are so already are left out. */
export function newEdit({
  by,
  server,
  to,
}: {
  by: string;
  server: Definition;
  to: Partial<Definition>;
}): Edit {
  const target = { ...server, ...to };
  const fields = DEFINITION_FIELDS.filter((field) => !sameField(field, server, target));
  return {
    id: randomUUID(),
    at: new Date().toISOString(),
    by,
    fields,
    from: pick(server, fields),
    to: pick(target, fields),
  };
}

async function send(
  app: Sedano,
  name: string,
  { schedule, write }: { schedule: ServerSchedule; write: Write },
): Promise<void> {
  const { target, code, release, edit, notes } = write;
  const server = readDefinition(schedule.description);
  const options = toSchedule(app, name, target, {
    memo: { code, release, edits: schedule.memo?.edits ?? [] },
  });
  // toSchedule has made it
  const memo = options.action.memo?.['sedano'] as ActionMemo;
  const edited = DEFINITION_FIELDS.some((field) => !sameField(field, target, code));
  await sendUpdate(app, schedule, {
    fields: DEFINITION_FIELDS.filter((field) => !isDeepStrictEqual(server[field], target[field])),
    target: options,
    memo: edit.fields.length === 0 ? memo : withEdit(memo, edit),
    mark: markOf({ code, release }, edited),
    notes,
  });
}
