import { pino, type DestinationStream, type Logger } from 'pino';
import { ConfigError } from './errors.ts';
import type { Redactor } from './redactor.ts';

/** A pino logger. */
export type TaskLogger = Logger;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const FORMATS = ['text', 'json'] as const;

/** What the task that runs adds to a line, and what it takes out of it. */
interface LoggerContext {
  fields: object;
  redactor?: Redactor | undefined;
}

let context: () => LoggerContext = () => ({ fields: {} });
let root: Logger | undefined;

/**
 * A logger that adds the task's name and id to each line written while a task runs, as Celery's `get_task_logger`.
 *
 * Lines go to standard error: as JSON, or as text on a terminal. `SEDANO_LOG_LEVEL` (default `info`) and
 * `SEDANO_LOG_FORMAT` (`text` or `json`) choose otherwise.
 *
 * @param name is shown in each line.
 * @throws {ConfigError} when one of the variables has another value.
 */
export function getTaskLogger(name: string): TaskLogger {
  root ??= createRoot();
  return root.child({ name });
}

/** Names what every line of every logger carries, and what none may show, at the moment it is written. */
export function bindLoggerContext(current: () => LoggerContext): void {
  context = current;
}

function createRoot(): Logger {
  const level = choose('SEDANO_LOG_LEVEL', LEVELS, 'info');
  const format = choose('SEDANO_LOG_FORMAT', FORMATS, process.stderr.isTTY ? 'text' : 'json');
  const stderr = pino.destination({ dest: 2, sync: true });
  const destination = redactedLines(format === 'json' ? stderr : textLines(stderr));
  const serializers = { err: (error: unknown) => errorText(error) };
  return pino(
    { level, base: { pid: process.pid }, serializers, mixin: () => context().fields },
    destination,
  );
}

const MAX_CAUSES = 5;

/** Text only: an error's own fields may hold secrets, as ioredis's do, which carry the command with its password. */
function errorText(error: unknown, depth = 1): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name: type, message, stack, cause } = error;
  const more = cause !== undefined && depth < MAX_CAUSES;
  return { type, message, stack, ...(more ? { cause: errorText(cause, depth + 1) } : {}) };
}

function choose<T extends string>(variable: string, allowed: readonly T[], fallback: T): T {
  const value = process.env[variable];
  if (value === undefined || value === '') return fallback;
  const found = allowed.find((name) => name === value);
  if (found === undefined) {
    throw new ConfigError(`${variable}: expected one of ${allowed.join(', ')}, got '${value}'`, {
      hint: `Unset ${variable}, or set it to ${fallback}.`,
    });
  }
  return found;
}

interface Line {
  time: number;
  level: number;
  msg?: string;
  name?: string;
  task?: string;
  taskId?: string;
  err?: { stack?: string };
}

/** Lines without what the task's `redact` names. A line is written while the task runs that logs it. */
function redactedLines(output: DestinationStream): DestinationStream {
  return {
    write(json: string) {
      const { redactor } = context();
      output.write(redactor === undefined ? json : redactLine(json, redactor));
    },
  };
}

function redactLine(json: string, redactor: Redactor): string {
  // what pino and Sedano write by themselves stays readable, whatever members a task calls secret
  const { level, time, pid, name, task, taskId, msg, err, ...fields } = JSON.parse(json) as Record<
    string,
    unknown
  >;
  const own = { level, time, pid, name, task, taskId };
  const texts = redactor.texts({ msg, err }) as object;
  return `${JSON.stringify({ ...own, ...(redactor.value(fields) as object), ...texts })}\n`;
}

/** For people: `12:00:00.123 INFO  injecttool: Clearing sessions  (clearsessions/0190…)`. */
function textLines(output: DestinationStream): DestinationStream {
  return {
    write(json: string) {
      const {
        time,
        level,
        msg,
        name,
        taskId,
        task: _task,
        err,
        ...rest
      } = JSON.parse(json) as Line;
      const clock = new Date(time).toISOString().slice(11, 23);
      const word = (pino.levels.labels[level] ?? String(level)).toUpperCase().padEnd(5);
      const { pid: _pid, ...fields } = rest as Record<string, unknown>;
      const extra = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
      const id = taskId === undefined ? '' : `  (${taskId})`;
      const stack = err?.stack === undefined ? '' : `\n${err.stack}`;
      output.write(printable(`${clock} ${word} ${name}: ${msg ?? ''}${extra}${id}${stack}`) + '\n');
    },
  };
}

/** Without terminal escapes, which a task's data may hold. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '?');
}
