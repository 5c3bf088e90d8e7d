import { ConfigError, SedanoError } from '../../errors.ts';
import { assertTaskName } from '../../registry.ts';
import type { Definition } from '../definition.ts';
import { readArguments, readObject } from './arguments.ts';
import type { PeriodicTask } from './periodic-task.ts';
import { readTiming, shownTime, LAST_TIME_MS, type Timing } from './timing.ts';

/** A row as a routine, or why it cannot be one. */
export type Translation = Translated | Refused;

export interface Translated {
  name: string;
  definition: Definition;
  /** What differs from what beat does with the row, one sentence each. */
  notes: string[];
}

export interface Refused {
  name: string;
  refused: string;
}

/** What a row is translated for. */
export interface TranslationContext {
  now: Date;
  /** A task of the app by its name. */
  findTask: (name: string) => TranslationTask | undefined;
  /** The queues that the app's workers poll. */
  queues: ReadonlySet<string>;
}

export interface TranslationTask {
  queue: string;
  /** Whether a busy call joins the one that runs. */
  joins: boolean;
}

// beat adds it to its table by itself
const BACKEND_CLEANUP = 'celery.backend_cleanup';
const PERIODIC_TASK_NAME = 'periodic_task_name';

/** The routine that does what beat does with the row. */
export function translate(row: PeriodicTask, context: TranslationContext): Translation {
  const { name } = row;
  try {
    return { name, ...translateOrThrow(row, context) };
  } catch (error) {
    if (error instanceof SedanoError) return { name, refused: error.message };
    throw error;
  }
}

/** @throws {SedanoError} with the reason as its message */
function translateOrThrow(
  row: PeriodicTask,
  context: TranslationContext,
): Omit<Translated, 'name'> {
  if (row.task === BACKEND_CLEANUP) {
    throw new ConfigError("not needed: Temporal's retention removes old results");
  }
  assertName(row.name);
  const task = readTask(row, context);
  const timing = readTiming(row, context.now);
  const limits = readLimits(row, timing, context.now);
  const { args, notes } = readArguments(row);
  const queue = row.queue ?? task.queue;
  return {
    definition: {
      task: row.task,
      schedule: timing.schedule,
      timezone: timing.timezone,
      args,
      queue,
      enabled: row.enabled,
      overlap: 'skip',
      missed: 'latest',
      startAt: timing.startAt,
      endAt: limits.endAt,
      jitterMs: 0,
      description: row.description,
      expiresMs: limits.expiresMs,
    },
    notes: [
      ...timing.notes,
      ...limits.notes,
      ...notes,
      ...queueNotes(queue, context),
      ...droppedNotes(row),
    ],
  };
}

function assertName(name: string): void {
  if (name.trim() !== '' && !/\p{C}/u.test(name) && Buffer.byteLength(name) <= 200) return;
  throw new ConfigError('name: expected 1 to 200 bytes of printable characters');
}

function readTask(row: PeriodicTask, { findTask }: TranslationContext): TranslationTask {
  assertTaskName(row.task, 'task');
  const task = findTask(row.task);
  if (!task) throw new ConfigError(`task '${row.task}': no task of that name is registered`);
  if (task.joins) {
    throw new ConfigError(
      `task '${row.task}' has onBusy 'join': a routine has nobody to give the other call's result to`,
    );
  }
  if (row.exchange !== null || row.routingKey !== null) {
    throw new ConfigError(
      'exchange and routing_key: only the broker knows to which queue they lead; give it a queue instead',
    );
  }
  return task;
}

type Limits = Pick<Definition, 'endAt' | 'expiresMs'> & { notes: string[] };

function readLimits(row: PeriodicTask, { startAt, onceMs }: Timing, now: Date): Limits {
  const { expiresMs: endMs, expireSeconds } = row;
  // beat takes 0 for none
  const expiresMs = expireSeconds ? expireSeconds * 1_000 : null;
  if (endMs === null || endMs > LAST_TIME_MS) return { endAt: null, expiresMs, notes: [] };
  if (endMs <= now.getTime()) {
    throw new ConfigError(
      `expires: ${shownTime(endMs)} has passed, and beat does not run it again`,
    );
  }
  const firstMs = onceMs ?? (startAt === null ? undefined : Date.parse(startAt));
  if (firstMs !== undefined && endMs <= firstMs) {
    throw new ConfigError(
      `expires: ${shownTime(endMs)} is not after its first time, ${shownTime(firstMs)}: it never runs`,
    );
  }
  const endAt = new Date(endMs).toISOString();
  if (expiresMs === null) return { endAt, expiresMs, notes: [] };
  return {
    endAt,
    expiresMs: null,
    notes: ['expire_seconds is dropped, as by beat, since there is expires'],
  };
}

function queueNotes(queue: string, { queues }: TranslationContext): string[] {
  return queues.has(queue)
    ? []
    : [`queue '${queue}' is that of no task here: no worker of this app polls it`];
}

function droppedNotes({ priority, headers }: PeriodicTask): string[] {
  const names = Object.keys(readObject(headers, 'headers')).filter(
    (name) => name !== PERIODIC_TASK_NAME,
  );
  return [
    ...(priority === null ? [] : [`priority ${priority} is dropped: routines have none`]),
    ...(names.length === 0 ? [] : [`headers (${names.join(', ')}) are dropped: calls have none`]),
  ];
}
