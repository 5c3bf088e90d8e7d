import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Sedano } from './app.ts';
import { assertCount, assertTexts } from './checks.ts';
import { durationMs } from './duration.ts';
import { ConfigError } from './errors.ts';
import type { Exclusive } from './exclusive.ts';
import type { BaseTask } from './task.ts';

/** A task that an app knows, with what was read once when it was registered. */
export interface Registration {
  app: Sedano;
  task: BaseTask;
  name: string;
  /** The user's code, without lock and context. */
  body: (...args: unknown[]) => unknown;
  exclusive: Exclusive | undefined;
  /** `file:line` of the definition, for errors. */
  definedAt: string;
}

const registrations = new WeakMap<BaseTask, Registration>();

/** @throws {ConfigError} when the task was never registered. */
export function registrationOf(task: BaseTask): Registration {
  const registration = registrations.get(task);
  if (registration === undefined) {
    throw new ConfigError(`task '${task.name}' is not registered with an app`, {
      hint: 'Register it with app.register(…) and use what that returns.',
    });
  }
  return registration;
}

/** The tasks of one app, by name. */
export class Registry {
  readonly #byName = new Map<string, Registration>();

  add(registration: Registration): void {
    const other = registrations.get(registration.task);
    if (other) {
      throw new ConfigError(
        `task '${registration.name}' is registered already, at ${other.definedAt}`,
        {
          hint: 'Make another instance of it for another app.',
        },
      );
    }
    assertTask(registration.task, registration.definedAt);
    const earlier = this.#byName.get(registration.name);
    if (earlier) {
      throw new ConfigError(
        `task '${registration.name}' is defined twice: at ${earlier.definedAt} and at ${registration.definedAt}`,
        { hint: 'Give one of them another name.' },
      );
    }
    this.#byName.set(registration.name, registration);
    registrations.set(registration.task, registration);
  }

  get(name: string): Registration | undefined {
    return this.#byName.get(name);
  }

  /** In order of definition. */
  all(): Registration[] {
    return [...this.#byName.values()];
  }
}

// `default` and `afterFailure` are activities of every worker
const RESERVED = ['default', 'afterFailure'];
const MAX_NAME_BYTES = 200;

/**
 * Temporal would find a name on Object.prototype before the thin workflow, and keeps `__temporal_` for itself.
 *
 * @throws {ConfigError} when the name cannot be a task's.
 */
export function assertTaskName(name: unknown, where: string): asserts name is string {
  const expected = (what: string) =>
    new ConfigError(
      `${where}: task name: expected ${what}, got ${JSON.stringify(name) ?? typeof name}`,
    );
  if (typeof name !== 'string' || name.trim() === '') throw expected('a non-empty string');
  if (/\p{C}/u.test(name)) throw expected('printable characters only');
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw expected(`at most ${MAX_NAME_BYTES} bytes`);
  if (name in Object.prototype || name.startsWith('__') || RESERVED.includes(name)) {
    throw expected(
      `another name than ${RESERVED.join(', ')}, those of Object.prototype and those that start with __`,
    );
  }
}

function assertTask(task: BaseTask, where: string): void {
  assertTaskName(task.name, where);
  const named = `task '${task.name}'`;
  if (
    !Array.isArray(task.autoretryFor) ||
    !task.autoretryFor.every((type) => typeof type === 'function')
  ) {
    throw new ConfigError(`${named}: autoretryFor: expected a list of error classes`, {
      hint: 'A class that is undefined here may come from modules that import each other.',
    });
  }
  assertTexts(task, ['queue'], named);
  if (typeof (task.description as unknown) !== 'string') {
    throw new ConfigError(
      `${named}: description: expected a text, got ${JSON.stringify(task.description)}`,
    );
  }
  durationMs(task.retryDelay, `${named}: retryDelay`);
  assertCount(task.maxRetries ?? 0, 0, `${named}: maxRetries`);
  assertCount(task.maxCrashes, 1, `${named}: maxCrashes`);
  assertRedact(task.redact, `${named}: redact`);
}

function assertRedact(redact: unknown, where: string): void {
  const names = (name: unknown) =>
    typeof name === 'string' ? name !== '' : Number.isInteger(name) && Number(name) >= 0;
  if (Array.isArray(redact) && redact.every(names)) return;
  throw new ConfigError(
    `${where}: expected a list of member names and positions, got ${JSON.stringify(redact)}`,
    { hint: "For example: ['password', 1] hides members named password, and the second argument." },
  );
}

/** The file and line that called into Sedano, as `tasks/sessions.ts:3`. */
export function callSite(): string {
  const ours = fileURLToPath(new URL('.', import.meta.url));
  const lines = new Error('call site').stack?.split('\n').slice(1) ?? [];
  for (const line of lines) {
    // a URL, or a path where source maps are on
    const [, place, row] = /((?:file:\/\/|\/|[A-Za-z]:\\)[^()]+?):(\d+):\d+\)?$/.exec(line) ?? [];
    if (place === undefined) continue;
    const path = place.startsWith('file:') ? fileURLToPath(place) : place;
    if (!path.startsWith(ours)) return `${relative(process.cwd(), path)}:${row}`;
  }
  return 'an unknown place';
}
