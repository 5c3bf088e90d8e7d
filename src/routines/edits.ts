import type { Sedano } from '../app.ts';
import { assertTexts } from '../checks.ts';
import { assertTimezone } from '../crontab/zone.ts';
import { ConfigError, RoutineConflictError, RoutineError } from '../errors.ts';
import { toJsonArguments } from '../json.ts';
import { assertTaskName } from '../registry.ts';
import {
  DEFINITION_FIELDS,
  readDefinition,
  sameField,
  scheduleId,
  type Definition,
  type DefinitionField,
  type Edit,
} from './definition.ts';
import { assertPolicies } from './policies.ts';
import { originOf } from './provenance.ts';
import { parseSchedule } from './schedule-text.ts';
import { isOther } from './spec.ts';
import type { ServerSchedule } from './server-schedule.ts';
import { codeOf, planSync } from './sync.ts';
import { newEdit, pick, readSchedule, writeUntilDone, type Write } from './write.ts';

/** Who edits, and what they have seen. */
export interface EditOptions {
  /** Shown beside the edit: a name, for example `ada on host`. */
  by: string;
  /** What whoever decided on the edit has looked at. @default what the server has now */
  seen?: Definition;
}

/** What an edit has made of a routine. */
export interface Edited {
  definition: Definition;
  /** What was written; undefined when all was so already. */
  edit: Edit | undefined;
}

/**
 * Changes fields of a routine on the server. Others may write at the same time: an edit of other fields is kept, and this
 * one goes on top of it; one of the same field ends this one.
 *
 * @throws {RoutineConflictError} when the same field has become something else meanwhile.
 * @throws {RoutineNotFoundError} when there is no schedule of this name.
 * @throws {RoutineError} when it is not ours.
 * @throws {ConfigError} when a value is wrong.
 */
export async function editRoutine(
  app: Sedano,
  name: string,
  changes: Partial<Definition>,
  { by, seen }: EditOptions,
): Promise<Edited> {
  const first = await readOwn(app, name);
  const before = seen ?? readDefinition(first.description);
  const to = completed(app, before, changes);
  assertDefinition({ ...before, ...to }, `routine '${name}'`);
  const edit = newEdit({ by, server: before, to });
  if (edit.fields.length === 0) return { definition: before, edit: undefined };
  const after = await writeUntilDone(app, name, (schedule) => {
    if (hasLanded(schedule, edit)) return undefined;
    const server = readDefinition(schedule.description);
    assertNoConflict(name, { before, server, edit });
    return writeOf(app, name, { schedule, edit, target: { ...server, ...to } });
  });
  return { definition: readDefinition(after.description), edit };
}

/** In the list of edits, since a later one may have been built on it; the list may have moved on past it, too. */
function hasLanded({ memo, description }: ServerSchedule, { id, fields, to }: Edit): boolean {
  if (memo?.edits.some((edit) => edit.id === id)) return true;
  const server = readDefinition(description);
  return fields.every((field) => sameField(field, server, { ...server, ...to }));
}

function assertNoConflict(
  name: string,
  { before, server, edit }: { before: Definition; server: Definition; edit: Edit },
): void {
  const wanted = { ...server, ...edit.to };
  const fields = edit.fields.filter(
    (field) => !sameField(field, server, before) && !sameField(field, server, wanted),
  );
  if (fields.length === 0) return;
  const which = fields
    .map((field) => {
      const [was, has, want] = [before, server, wanted].map((one) => JSON.stringify(one[field]));
      return `${field} was ${was}, is ${has} now, and was to become ${want}`;
    })
    .join('; ');
  throw new RoutineConflictError(
    `routine '${name}': somebody else has changed it meanwhile: ${which}`,
    { routine: name, fields, hint: `See who with: sedano routines show '${name}'` },
  );
}

function writeOf(
  app: Sedano,
  name: string,
  write: {
    schedule: ServerSchedule;
    edit: Edit;
    target: Definition;
    notes?: string | undefined;
  },
): Write {
  const { memo, birth } = write.schedule;
  if (memo) return { ...write, code: memo.code, release: memo.release };
  // what the code said before is lost: with what it says now every other difference stays an edit
  const code = codeOf(app, name) ?? birth?.code ?? write.target;
  return { ...write, code, release: app.options.release ?? null };
}

/**
 * Pauses a routine until it is resumed. What runs goes on.
 *
 * @returns whether it ran until now.
 * @throws as {@link editRoutine}.
 */
export async function pauseRoutine(
  app: Sedano,
  name: string,
  { by, reason = '' }: { by: string; reason?: string | undefined },
): Promise<boolean> {
  // an update with a token, not the server's own pause: that one is lost when a run-now comes at the same moment
  return await setEnabled(app, name, { by, enabled: false, notes: reason });
}

/**
 * Lets a paused routine run again; the times that passed meanwhile are not made up for.
 *
 * @returns whether it was paused until now.
 * @throws as {@link editRoutine}.
 */
export async function resumeRoutine(
  app: Sedano,
  name: string,
  { by }: { by: string },
): Promise<boolean> {
  return await setEnabled(app, name, { by, enabled: true, notes: '' });
}

const MAX_NOTES_BYTES = 1_000;

async function setEnabled(
  app: Sedano,
  name: string,
  { by, enabled, notes }: { by: string; enabled: boolean; notes: string },
): Promise<boolean> {
  if (Buffer.byteLength(notes) > MAX_NOTES_BYTES) {
    throw new ConfigError(
      `routine '${name}': reason: expected at most ${MAX_NOTES_BYTES} bytes, got ${Buffer.byteLength(notes)}`,
    );
  }
  const first = await readOwn(app, name);
  const edit = newEdit({ by, server: readDefinition(first.description), to: { enabled } });
  await writeUntilDone(app, name, (schedule) => {
    // somebody may have undone it since: it has been there
    if (schedule.memo?.edits.some(({ id }) => id === edit.id)) return undefined;
    const server = readDefinition(schedule.description);
    if (server.enabled === enabled && (schedule.description.state.note ?? '') === notes)
      return undefined;
    return writeOf(app, name, { schedule, edit, target: { ...server, enabled }, notes });
  });
  return edit.fields.length > 0;
}

/**
 * Takes the code's value over an edit.
 *
 * @param fields those to adopt; all that differ when empty
 * @throws {RoutineError} when it is not in the table, or not ours.
 * @throws {RoutineNotFoundError} when it has no schedule yet.
 * @throws {ConfigError} when no field is called so.
 */
export async function adopt(
  app: Sedano,
  name: string,
  { by, fields = [] }: { by: string; fields?: readonly string[] },
): Promise<Edited> {
  const code = codeOf(app, name);
  const chosen = fields.length === 0 ? DEFINITION_FIELDS : fields.map(asField);
  if (!code) {
    throw new RoutineError(`routine '${name}' is not in the table: the code says nothing of it`, {
      routine: name,
      hint: 'Remove those that have left the table with: sedano routines prune',
    });
  }
  const first = await readOwn(app, name);
  const to = pick(code, chosen);
  const edit = newEdit({ by: `${by}, by adopt`, server: readDefinition(first.description), to });
  const release = app.options.release ?? null;
  const after = await writeUntilDone(app, name, (schedule) => {
    const server = readDefinition(schedule.description);
    const isSame = DEFINITION_FIELDS.every((field) =>
      sameField(field, server, { ...server, ...to }),
    );
    // the memo learns it too, so that the fields follow the code from now on
    if (isSame && schedule.memo?.release === release) {
      const { memo } = schedule;
      if (chosen.every((field) => sameField(field, memo.code, code))) return undefined;
    }
    return { target: { ...server, ...to }, code, release, edit };
  });
  return {
    definition: readDefinition(after.description),
    edit: edit.fields.length === 0 ? undefined : edit,
  };
}

/**
 * Deletes a routine that the table does not have: an orphan, or one that an admin has made.
 *
 * @throws {RoutineError} when it is in the table, or not ours.
 * @throws {RoutineNotFoundError} when there is no schedule of this name.
 */
export async function deleteRoutine(app: Sedano, name: string): Promise<void> {
  if (app.routineTable.has(name)) {
    throw new RoutineError(`routine '${name}' is in the table: the next worker would create it`, {
      routine: name,
      hint: `Disable it: sedano routines pause '${name}', or enabled: false in the table.`,
    });
  }
  await readOwn(app, name);
  await app.client.request((client) => client.schedule.getHandle(scheduleId(app, name)).delete());
}

/**
 * Deletes the orphans of the app: what the code made and has left the table.
 *
 * @param names only these; a name that is no orphan now is left alone
 * @returns the names of those deleted
 */
export async function prune(app: Sedano, names?: readonly string[]): Promise<string[]> {
  const orphans = (await planSync(app))
    .filter(({ name, origin }) => origin === 'orphan' && (names?.includes(name) ?? true))
    .map(({ name }) => name);
  const deleted: string[] = [];
  for (const name of orphans) {
    // the list is a second behind: what it names may be gone, or another's by now
    const { birth } = await readSchedule(app, name).catch(() => ({ birth: undefined }));
    if (originOf(birth, app.routineTable.has(name)) !== 'orphan') continue;
    await deleteRoutine(app, name);
    deleted.push(name);
  }
  return deleted;
}

/** @throws {RoutineError} when the schedule of this name is not ours. */
async function readOwn(app: Sedano, name: string): Promise<ServerSchedule> {
  const schedule = await readSchedule(app, name);
  if (schedule.birth) return schedule;
  throw new RoutineError(
    `schedule '${scheduleId(app, name)}' was not made by Sedano: it is left alone`,
    {
      routine: name,
      hint: 'Change it with the tool that made it, or delete it there and run: sedano routines sync',
    },
  );
}

/** Only a crontab has a wall clock: with another schedule the zone is UTC, and with a crontab again the app's. */
function completed(
  app: Sedano,
  before: Definition,
  changes: Partial<Definition>,
): Partial<Definition> {
  const { schedule, timezone } = changes;
  const hasClock = (text: string) => !/^(every|at) /.test(text);
  if (!hasClock(schedule ?? before.schedule)) return { ...changes, timezone: 'UTC' };
  if (schedule === undefined || timezone !== undefined || hasClock(before.schedule)) return changes;
  return { ...changes, timezone: app.options.timezone };
}

function assertDefinition(definition: Definition, where: string): void {
  const { task, schedule, timezone, args, overlap, missed, jitterMs } = definition;
  assertTaskName(task, where);
  if (!isOther(schedule)) parseSchedule(schedule);
  assertTimezone(timezone, `${where}: timezone`);
  toJsonArguments(args, where);
  assertTexts(definition, ['queue'], where);
  assertPolicies(overlap, missed, where);
  if (!Number.isInteger(jitterMs) || jitterMs < 0) {
    throw new ConfigError(`${where}: jitterMs: expected whole milliseconds, got ${jitterMs}`);
  }
}

function asField(name: string): DefinitionField {
  const field = DEFINITION_FIELDS.find((one) => one === name);
  if (field) return field;
  throw new ConfigError(`field '${name}': expected one of ${DEFINITION_FIELDS.join(', ')}`);
}
