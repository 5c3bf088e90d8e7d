import { ScheduleAlreadyRunning } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { assertRoutinesRun } from './assert-routines.ts';
import { At } from './at.ts';
import {
  definitionOf,
  readDefinition,
  sameField,
  toSchedule,
  type Definition,
  type DefinitionField,
} from './definition.ts';
import { markOf } from './memo.ts';
import { forEachOf } from './pool.ts';
import {
  compareToCode,
  originOf,
  type FieldDiff,
  type Provenance,
  type RoutineOrigin,
} from './provenance.ts';
import type { Routine } from './routine.ts';
import {
  createSchedule,
  describeSchedule,
  sweepSchedules,
  VISIBLE_FIELDS,
  type ListedSchedule,
  type ServerSchedule,
} from './server-schedule.ts';
import { newEdit, pick, writeUntilDone } from './write.ts';

/** How a routine stands: on the server, in the table, or both. */
export interface RoutineDiff {
  /** Its name in the app. */
  name: string;
  /** Whose it is. */
  origin: RoutineOrigin;
  /** It is in the table, and the server has no schedule for it. */
  missing: boolean;
  /** The fields in which the server differs from the code; none for what is not in the table or not ours. */
  fields: FieldDiff[];
  /** The newer release than this app's whose word counts; null where there is none. */
  newerRelease: string | null;
  /** Another tool has erased what the code last said: every difference counts as edited. */
  memoLost: boolean;
}

/** How much `diffRoutines` and `syncRoutines` look at, and whom they tell. */
export interface SyncOptions {
  /**
   * Ask for every schedule, not only for those that look changed in the list: an edit by another tool that has changed
   * nothing but arguments, queue or policies does not show there. @default false
   */
  full?: boolean | undefined;
  /** Told after each schedule that was asked for or written. */
  onProgress?: (done: number, total: number) => void;
}

/** What a sync has done, and what it has left alone. */
export interface SyncReport {
  /** The routines that have a schedule only now, by name. */
  created: string[];
  /** Those of which fields have followed the code. */
  followed: { name: string; fields: DefinitionField[] }[];
  /** Those that are left with fields that somebody has edited. */
  drift: RoutineDiff[];
  /** Those that the code made and that have left the table. */
  orphans: string[];
  /** Names of the table that a schedule has which is not ours. */
  foreign: string[];
  /** Those that were not created, since their one moment has passed. */
  past: string[];
}

/**
 * How each routine stands, without changing anything: those of the table, and what else the app has on the server.
 *
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function planSync(app: Sedano, options: SyncOptions = {}): Promise<RoutineDiff[]> {
  const looks = await lookAtAll(app, { ...options, unlisted: true });
  return looks.map(({ diff }) => diff);
}

/**
 * Creates what is missing and lets what nobody has edited follow the code; all else stays as it is. Any number of
 * workers may do so at once, and a second sync writes nothing.
 *
 * @throws {ConfigError} when routines name tasks that are not registered, or that join; nothing is written then.
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function syncRoutines(app: Sedano, options: SyncOptions = {}): Promise<SyncReport> {
  assertRoutinesRun(app);
  const looks = new Map(byName(await lookAtAll(app, { full: options.full })));
  const missing = rotated([...looks.values()].filter(({ diff }) => diff.missing));
  const counter = new Counter(missing.length, options.onProgress);
  const made = await forEachOf(missing, async ({ diff: { name } }) => {
    const what = await createUnlessPast(app, name);
    counter.count();
    return { name, what };
  });
  const those = (one: Creation) =>
    made.flatMap(({ name, what }) => (what === one ? [name] : [])).toSorted();
  for (const name of those('created')) looks.set(name, same(emptyDiff(name, 'code', false)));
  // others were first, or the list did not show them yet: by now it does, which costs one request for all
  const late = new Set(those('existed'));
  if (late.size > 0) {
    for (const [name, look] of byName(await lookAtAll(app, { only: late, unlisted: true }))) {
      looks.set(name, look);
    }
  }
  const followed = await followAll(app, looks, options);
  const diffs = [...looks.values()].map(({ diff }) => diff);
  return {
    created: those('created'),
    followed,
    drift: diffs.filter(({ fields }) => fields.some(({ state }) => state === 'edited')),
    orphans: namesOf(diffs, 'orphan'),
    foreign: namesOf(diffs, 'foreign'),
    past: those('past'),
  };
}

function namesOf(diffs: readonly RoutineDiff[], origin: RoutineOrigin): string[] {
  return diffs.filter((diff) => diff.origin === origin).map(({ name }) => name);
}

function byName(looks: readonly Look[]): [string, Look][] {
  return looks.map((look) => [look.diff.name, look]);
}

// all workers of a new release write at the same time, and an update costs the server three requests
const CONCURRENT_WRITES = 5;

/** Lets all follow that may, and puts into `looks` how they stand then. */
async function followAll(
  app: Sedano,
  looks: Map<string, Look>,
  { onProgress }: SyncOptions,
): Promise<SyncReport['followed']> {
  const behind = [...looks.values()].filter(
    ({ diff, memoIsBehind }) =>
      memoIsBehind || diff.fields.some(({ state }) => state === 'follows'),
  );
  const counter = new Counter(behind.length, onProgress);
  const followed = await forEachOf(
    rotated(behind),
    async ({ diff: { name } }) => {
      const { fields, look } = await follow(app, name);
      looks.set(name, look);
      counter.count();
      return { name, fields };
    },
    CONCURRENT_WRITES,
  );
  return followed
    .filter(({ fields }) => fields.length > 0)
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

/** From a place in the middle on: workers that start together would all write to the same ones at the same time. */
function rotated<Item>(items: readonly Item[]): Item[] {
  const start = Math.floor(Math.random() * items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}

class Counter {
  readonly #total: number;
  readonly #tell: SyncOptions['onProgress'];
  #done = 0;

  constructor(total: number, tell: SyncOptions['onProgress']) {
    this.#total = total;
    this.#tell = tell;
  }

  count(): void {
    this.#tell?.(++this.#done, this.#total);
  }
}

interface Look {
  diff: RoutineDiff;
  memoIsBehind: boolean;
}

interface LookOptions extends SyncOptions {
  /** Ask for those that the list lacks, too: it is a second or two behind. */
  unlisted?: boolean;
  /** These alone. */
  only?: ReadonlySet<string>;
}

/** One sweep of the list, and a closer look at those that differ there. */
async function lookAtAll(
  app: Sedano,
  { full, unlisted, only, onProgress }: LookOptions,
): Promise<Look[]> {
  const listed = new Map<string, ListedSchedule>();
  for await (const schedule of sweepSchedules(app)) listed.set(schedule.name, schedule);
  const names = [...(only ?? new Set([...app.routineTable.keys(), ...listed.keys()]))].toSorted();
  const suspects = names.filter((name) => {
    const schedule = listed.get(name);
    return full || (schedule ? isSuspect(app, name, schedule) : unlisted);
  });
  const counter = new Counter(suspects.length, onProgress);
  const looks = new Map(
    await forEachOf(suspects, async (name) => {
      const look = await lookAt(app, name);
      counter.count();
      return [name, look] as const;
    }),
  );
  return names.flatMap((name) => {
    if (!looks.has(name)) return [unlooked(app, name, listed.get(name))];
    return looks.get(name) ?? [];
  });
}

/** Whether the list cannot tell that all is as the code says. */
function isSuspect(app: Sedano, name: string, { mark, visible }: ListedSchedule): boolean {
  const code = codeOf(app, name);
  // of what is not ours, or not in the table, the list tells all
  if (!code || !visible) return false;
  if (mark !== markOf({ code, release: app.options.release ?? null }, false)) return true;
  return VISIBLE_FIELDS.some((field) => !sameField(field, { ...code, ...visible }, code));
}

/** What the list alone tells of one that is no suspect. */
function unlooked(app: Sedano, name: string, listed: ListedSchedule | undefined): Look {
  const isInTable = app.routineTable.has(name);
  const origin = listed ? originOf(listed.birth, isInTable) : 'code';
  return same(emptyDiff(name, origin, listed === undefined));
}

function same(diff: RoutineDiff): Look {
  return { diff, memoIsBehind: false };
}

function emptyDiff(name: string, origin: RoutineOrigin, missing: boolean): RoutineDiff {
  return { name, origin, missing, fields: [], newerRelease: null, memoLost: false };
}

/** Undefined when there is neither a schedule nor a row of the table. */
async function lookAt(app: Sedano, name: string): Promise<Look | undefined> {
  const schedule = await describeSchedule(app, name);
  if (schedule) return lookOf(app, name, schedule);
  return app.routineTable.has(name) ? same(emptyDiff(name, 'code', true)) : undefined;
}

function lookOf(app: Sedano, name: string, schedule: ServerSchedule): Look {
  const { birth, memo } = schedule;
  const provenance = provenanceOf(app, name, schedule);
  const diff = {
    ...emptyDiff(name, originOf(birth, app.routineTable.has(name)), false),
    memoLost: birth !== undefined && memo === undefined,
    ...(provenance
      ? {
          fields: provenance.fields.filter(({ state }) => state !== 'same'),
          newerRelease: provenance.newerRelease,
        }
      : {}),
  };
  return { diff, memoIsBehind: provenance?.memoIsBehind ?? false };
}

/** How a schedule of ours compares to the table; undefined where there is nothing to compare. */
export function provenanceOf(
  app: Sedano,
  name: string,
  { birth, memo, description }: ServerSchedule,
): Provenance | undefined {
  const code = codeOf(app, name);
  if (!code || !birth) return undefined;
  const server = readDefinition(description);
  return compareToCode({ birth, memo, server, code, release: app.options.release ?? null });
}

/** What the code says of a routine; undefined when it is not in the table. */
export function codeOf(app: Sedano, name: string): Definition | undefined {
  const routine = app.routineTable.get(name);
  return routine && definitionOf(app, name, routine);
}

/**
 * Creates those of these routines that have no schedule, and changes none.
 *
 * @returns the names of those that were created
 * @throws {TemporalUnavailableError} when no server answers within 5 s.
 */
export async function createMissing(app: Sedano, names: readonly string[]): Promise<string[]> {
  const created = await forEachOf(rotated(names), async (name) =>
    (await createUnlessPast(app, name)) === 'created' ? [name] : [],
  );
  return created.flat().toSorted();
}

/** Whether its one moment is over: it needs no schedule. */
export function isPast(routine: Routine | undefined): boolean {
  return routine?.schedule instanceof At && routine.schedule.next().length === 0;
}

type Creation = 'created' | 'existed' | 'past';

async function createUnlessPast(app: Sedano, name: string): Promise<Creation> {
  // the server takes a moment that has passed, never runs it, and forgets it after a week
  if (isPast(app.routineTable.get(name))) return 'past';
  const code = codeOf(app, name);
  if (!code) return 'existed';
  const release = app.options.release ?? null;
  const options = toSchedule(app, name, code, {
    memo: { code, release, edits: [] },
    birth: { app: app.name, routine: name, by: 'code', code },
  });
  try {
    await createSchedule(app, options, markOf({ code, release }, false));
    return 'created';
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return 'existed';
    throw error;
  }
}

/** Writes what the code now says into the fields that nobody has edited, and into the memo. */
async function follow(
  app: Sedano,
  name: string,
): Promise<{ fields: DefinitionField[]; look: Look }> {
  const code = codeOf(app, name);
  const release = app.options.release ?? null;
  let followed: DefinitionField[] = [];
  const schedule = await writeUntilDone(app, name, (schedule) => {
    const provenance = provenanceOf(app, name, schedule);
    if (!code || !provenance || provenance.newerRelease !== null) return undefined;
    const fields = provenance.fields
      .filter(({ state }) => state === 'follows')
      .map(({ field }) => field);
    if (fields.length === 0 && !provenance.memoIsBehind) return undefined;
    followed = fields;
    const server = readDefinition(schedule.description);
    const by = release === null ? 'the code' : `the code, release ${release}`;
    const to = pick(code, fields);
    return { target: { ...server, ...to }, code, release, edit: newEdit({ by, server, to }) };
  });
  return { fields: followed, look: lookOf(app, name, schedule) };
}
