import { assertTimezone } from '../crontab/zone.ts';
import { assertKeys, assertTexts } from '../checks.ts';
import { Crontab } from '../crontab/crontab.ts';
import { shown } from '../crontab/field.ts';
import { durationMs, type Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';
import { toJsonArguments } from '../json.ts';
import { assertTaskName } from '../registry.ts';
import { At } from './at.ts';
import { Every } from './every.ts';
import { assertPolicies, defaultOverlap, MISSED, OVERLAPS } from './policies.ts';
import type { Missed, Overlap } from './policies.ts';
import { solarRefusal, type RoutineSchedule } from './schedule-text.ts';

/** A row of the routine table: which task runs when. */
export interface Routine {
  /** The name of a registered task: a worker does not start with a routine for another. */
  task: string;
  /** When it runs: what `crontab()`, `crontab.parse()`, `every()` or `at()` returns. */
  schedule: RoutineSchedule;
  /** The arguments of each call, JSON. @default [] */
  args?: readonly unknown[];
  /** IANA zone of the crontab, in its own spelling; `every()` and `at()` have no wall clock. @default the app's timezone */
  timezone?: string;
  /** Whether it runs when it is created; an admin can change it later. @default true */
  enabled?: boolean;
  /** The task queue of its calls. @default the task's queue, else the app's */
  queue?: string;
  /**
   * What becomes of a due time while the run before still goes on: `'skip'` drops it; `'bufferOne'` and `'bufferAll'` let
   * one or all wait; `'cancelOther'` revokes the run before and waits for its end; `'terminateOther'` does not wait;
   * `'allowAll'` runs them side by side.
   *
   * @default 'skip', with missed 'all' `'bufferAll'`
   */
  overlap?: Overlap;
  /**
   * What becomes of the times that fell into an outage: `'latest'` makes one run up for all of them, as Celery's beat
   * does, or none while one is still going; `'skip'` begins none that is more than 10 s late, whoever was down, and ends
   * it as REVOKED; `'all'` makes each up, in order.
   *
   * @default 'latest'
   */
  missed?: Missed;
  /** No run before; its first is the first due time from then on. @default no limit */
  startAt?: Date;
  /** No run after; later than `startAt`. @default no limit */
  endAt?: Date;
  /** Each run is put off by a part of this, always the same for one due time. @default '0s' */
  jitter?: Duration;
  /** How long after its due time (and its jitter) a run may begin; one that has not by then ends as REVOKED. @default no limit */
  expires?: Duration;
  /** One sentence for people. @default '' */
  description?: string;
}

const KEYS = [
  'task',
  'schedule',
  'args',
  'timezone',
  'enabled',
  'queue',
  'overlap',
  'missed',
  'startAt',
  'endAt',
  'jitter',
  'expires',
  'description',
] as const satisfies readonly (keyof Routine)[];

/** @throws {ConfigError} when the name or a field is wrong; the text names both. */
export function assertRoutine(name: string, routine: Routine): void {
  const where = `routine '${name}'`;
  if (!/^[^\p{C}]{1,200}$/u.test(name) || Buffer.byteLength(name) > 200) {
    throw new ConfigError(`${where}: name: expected 1 to 200 bytes of printable characters`);
  }
  assertKeys(routine, KEYS, where);
  assertTexts(routine, ['timezone', 'queue'], where);
  if (!['boolean', 'undefined'].includes(typeof routine.enabled)) {
    throw new ConfigError(
      `${where}: enabled: expected true or false, got ${JSON.stringify(routine.enabled)}`,
    );
  }
  assertTaskName(routine.task, where);
  assertSchedule(routine.schedule, `${where}: schedule`);
  assertTimes(routine, where);
  const { missed = 'latest', overlap = defaultOverlap(missed) } = routine;
  assertWord(missed, MISSED, `${where}: missed`);
  assertWord(overlap, OVERLAPS, `${where}: overlap`);
  assertPolicies(overlap, missed, where);
  if (routine.timezone !== undefined) assertTimezone(routine.timezone, `${where}: timezone`);
  if (routine.args !== undefined && !Array.isArray(routine.args)) {
    throw new ConfigError(`${where}: args: expected a list, got ${JSON.stringify(routine.args)}`);
  }
  toJsonArguments(routine.args ?? [], where);
}

function assertSchedule(schedule: unknown, where: string): void {
  if (schedule instanceof Crontab || schedule instanceof Every || schedule instanceof At) return;
  if (typeof schedule === 'object' && schedule !== null) {
    if ('latitude' in schedule || 'event' in schedule) throw solarRefusal(where);
  }
  const hints = {
    string: 'crontab.parse() reads a line of five fields.',
    // Celery takes seconds
    number: "A fixed interval is every('30s').",
  };
  const kind = typeof schedule;
  throw new ConfigError(
    `${where}: expected what crontab(…), every(…) or at(…) returns, got ${shown(schedule)}`,
    kind === 'string' || kind === 'number' ? { hint: hints[kind] } : {},
  );
}

function assertTimes({ startAt, endAt, jitter, expires }: Routine, where: string): void {
  if (startAt !== undefined) assertDate(startAt, `${where}: startAt`);
  if (endAt !== undefined) assertDate(endAt, `${where}: endAt`);
  if (startAt && endAt && endAt <= startAt) {
    throw new ConfigError(
      `${where}: endAt: expected a moment after startAt (${startAt.toISOString()}), got ${endAt.toISOString()}`,
    );
  }
  if (jitter !== undefined) durationMs(jitter, `${where}: jitter`);
  if (expires !== undefined && durationMs(expires, `${where}: expires`) < 1_000) {
    throw new ConfigError(`${where}: expires: expected at least '1s', got '${expires}'`);
  }
}

function assertDate(date: unknown, where: string): void {
  // 1970 stands for no limit in what the server sends
  if (date instanceof Date && date.getTime() > 0) return;
  throw new ConfigError(`${where}: expected a valid Date after 1970, got ${shown(date)}`);
}

function assertWord(word: unknown, allowed: readonly string[], where: string): void {
  if (allowed.some((one) => one === word)) return;
  throw new ConfigError(`${where}: expected one of ${allowed.join(', ')}, got ${shown(word)}`);
}
