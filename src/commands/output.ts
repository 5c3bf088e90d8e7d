import { SedanoError } from '../errors.ts';

/** One line, or several, on standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A value for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** An error for people: one message, one hint; the stack only when asked. */
export function printError(error: unknown, { debug }: { debug: boolean }): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${paint('31', 'Error:')} ${printable(message)}\n`);
  if (error instanceof SedanoError && error.hint !== undefined) {
    process.stderr.write(`${paint('2', 'Hint:')} ${printable(error.hint)}\n`);
  }
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
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

/** Without terminal escapes, which a task's data may hold. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '?');
}

/** A value as a task returned it. */
export function shown(value: unknown): string {
  return printable(typeof value === 'string' ? value : JSON.stringify(value ?? null, undefined, 2));
}
