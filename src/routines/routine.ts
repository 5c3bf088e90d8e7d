import { assertTimezone } from '../crontab/zone.ts';
import { assertKeys, assertTexts } from '../checks.ts';
import { Crontab } from '../crontab/crontab.ts';
import { ConfigError } from '../errors.ts';
import { toJsonArguments } from '../json.ts';
import { assertTaskName } from '../registry.ts';

/** A row of the routine table: which task runs when. */
export interface Routine {
  /** The name of a registered task: a worker does not start with a routine for another. */
  task: string;
  /** When it runs: what `crontab()` or `crontab.parse()` returns. */
  schedule: Crontab;
  /** The arguments of each call, JSON. @default [] */
  args?: readonly unknown[];
  /** IANA zone of the crontab. @default the app's timezone */
  timezone?: string;
  /** Whether it runs when it is created; an admin can change it later. @default true */
  enabled?: boolean;
  /** The task queue of its calls. @default the task's queue, else the app's */
  queue?: string;
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
  if (!(routine.schedule instanceof Crontab)) {
    throw new ConfigError(
      `${where}: schedule: expected what crontab(…) returns, got ${JSON.stringify(routine.schedule)}`,
    );
  }
  if (routine.timezone !== undefined) assertTimezone(routine.timezone, `${where}: timezone`);
  if (routine.args !== undefined && !Array.isArray(routine.args)) {
    throw new ConfigError(`${where}: args: expected a list, got ${JSON.stringify(routine.args)}`);
  }
  toJsonArguments(routine.args ?? [], where);
}
