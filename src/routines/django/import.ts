import { ScheduleAlreadyRunning, ScheduleNotFoundError } from '@temporalio/client';
import type { Sedano } from '../../app.ts';
import { SedanoError } from '../../errors.ts';
import { scheduleId, toSchedule } from '../definition.ts';
import { readPeriodicTasks } from './read.ts';
import {
  translate,
  type Refused,
  type Translated,
  type Translation,
  type TranslationContext,
} from './translate.ts';

/** What becomes of the periodic tasks of a Django project. */
export interface Import {
  routines: ImportedRoutine[];
  /** What cannot be translated, and why. */
  refused: Refused[];
}

export interface ImportedRoutine extends Translated {
  /** Whether Temporal has no schedule of its id, has one that is left as it is, or has got one just now. */
  state: 'absent' | 'exists' | 'created';
}

// requests under way at a time
const CONCURRENCY = 20;

/**
 * Reads django-celery-beat's tables and says what the app would get of them. Writes nothing.
 *
 * @param url of the PostgreSQL database
 * @throws {ConfigError} when `url` is not one of PostgreSQL, or `pg` is not installed.
 * @throws {SedanoError} when the database cannot be reached or read.
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function planImport(app: Sedano, url: string): Promise<Import> {
  const rows = await readPeriodicTasks(url);
  const context = contextOf(app, new Date());
  const translations = rows.map((row) => withTableNote(app, translate(row, context)));
  const translated = translations.filter((one) => 'definition' in one);
  const exist = await findExisting(
    app,
    translated.map(({ name }) => name),
  );
  return {
    routines: translated.map((routine) => ({
      ...routine,
      state: exist.has(routine.name) ? 'exists' : 'absent',
    })),
    refused: translations.filter((one) => 'refused' in one),
  };
}

/**
 * Creates the schedules that are absent; one that has come into being since the plan is left as it is.
 *
 * @throws {SedanoError} when one cannot be created; the text says how many have been.
 */
export async function applyImport(app: Sedano, plan: Import): Promise<Import> {
  const routines: ImportedRoutine[] = [];
  for (const routine of plan.routines) {
    if (routine.state !== 'absent') {
      routines.push(routine);
      continue;
    }
    try {
      const created = await createIfAbsent(app, routine);
      routines.push({ ...routine, state: created ? 'created' : 'exists' });
    } catch (error) {
      const count = routines.filter(({ state }) => state === 'created').length;
      throw new SedanoError(
        `${count} created; then '${routine.name}' could not be: ${messageOf(error)}`,
        { cause: error, hint: 'Run it again: those that exist are left as they are.' },
      );
    }
  }
  return { ...plan, routines };
}

function contextOf(app: Sedano, now: Date): TranslationContext {
  const queueOf = (queue: string | undefined) => queue ?? app.options.queue;
  return {
    now,
    findTask: (name) => {
      const registration = app.registered(name);
      return (
        registration && {
          queue: queueOf(registration.task.queue),
          joins: registration.exclusive?.onBusy === 'join',
        }
      );
    },
    queues: new Set([app.options.queue, ...app.tasks.map(({ task }) => queueOf(task.queue))]),
  };
}

function withTableNote(app: Sedano, translation: Translation): Translation {
  if ('refused' in translation || !app.routineTable.has(translation.name)) return translation;
  const note = "the app's table has it too: 'sedano routines diff' shows where they differ";
  return { ...translation, notes: [...translation.notes, note] };
}

/** Those of `names` of which Temporal has a schedule, whosever it is. */
async function findExisting(app: Sedano, names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const left = [...names];
  const look = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (await exists(app, name)) found.add(name);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, look));
  return found;
}

async function exists(app: Sedano, name: string): Promise<boolean> {
  try {
    await app.client.request((client) =>
      client.schedule.getHandle(scheduleId(app, name)).describe(),
    );
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

async function createIfAbsent(app: Sedano, { name, definition }: Translated): Promise<boolean> {
  const options = toSchedule(app, name, definition, {
    memo: { code: definition, release: null, edits: [] },
    // not the code's: a sync does not take it for one that has left the table
    birth: { app: app.name, routine: name, by: 'admin', code: definition },
  });
  try {
    await app.client.request((client) => client.schedule.create(options));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
