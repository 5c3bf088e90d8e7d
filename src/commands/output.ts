import { inspect } from 'node:util';
import { SedanoError, TaskFailedError } from '../errors.ts';
import { printable } from '../logger.ts';

const SEE_STACK = 'Run with --debug to see where it was thrown.';

/** One line, or several, on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A value for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

interface ErrorOptions {
  /** Show the stack too. */
  debug: boolean;
  /** For an error that has no hint of its own. @default how to see where it was thrown */
  hint?: string | undefined;
}

/** An error for people: one message, one hint; the stack only when asked. */
export function printError(error: unknown, { debug, hint = SEE_STACK }: ErrorOptions): void {
  const message = error instanceof Error ? error.message : String(error);
  const shownHint = (error instanceof SedanoError && error.hint) || hint;
  process.stderr.write(`${paint('31', 'Error:')} ${printable(message)}\n`);
  if (!debug || shownHint !== SEE_STACK)
    process.stderr.write(`${paint('2', 'Hint:')} ${printable(shownHint)}\n`);
  if (debug) process.stderr.write(`${printable(stackOf(error))}\n`);
}

/** With the errors that led to it; for a task's own error the stack of the process that ran the task. */
function stackOf(error: unknown): string {
  return (error instanceof TaskFailedError && error.remoteStack) || inspect(error);
}

// https://no-color.org
function paint(code: string, text: string): string {
  const colours =
    process.stderr.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  return colours ? `\u001B[${code}m${text}\u001B[0m` : text;
}

/** Columns under their heads, as wide as they need. */
export function printTable(heads: readonly string[], rows: readonly (readonly string[])[]): void {
  const cells = [heads, ...rows].map((row) => row.map(printable));
  const widths = heads.map((_head, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of cells) {
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

/** A value as a task returned it. */
export function shown(value: unknown): string {
  return printable(typeof value === 'string' ? value : JSON.stringify(value ?? null, undefined, 2));
}
