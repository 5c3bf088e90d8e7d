import { ConfigError } from '../../errors.ts';
import { toJsonArguments, type Json } from '../../json.ts';
import type { PeriodicTask } from './periodic-task.ts';

/**
 * The arguments of a row: its args, and its kwargs as one last object.
 *
 * @throws {SedanoError} when they are not JSON, or no list and no object. No error shows what they hold.
 */
export function readArguments(row: PeriodicTask): { args: Json[]; notes: string[] } {
  const args = parse(row.args || '[]', 'args');
  if (!Array.isArray(args)) throw new ConfigError('args: expected a JSON list');
  const kwargs = readObject(row.kwargs, 'kwargs');
  const names = Object.keys(kwargs);
  if (names.length === 0) return { args: toJsonArguments(args, 'the row'), notes: [] };
  return {
    args: toJsonArguments([...args, kwargs], 'the row'),
    notes: [`kwargs (${names.join(', ')}) become one last argument, an object`],
  };
}

/**
 * A column that holds a JSON object; an empty text is an empty one, as for beat.
 *
 * @throws {ConfigError} when it holds anything else.
 */
export function readObject(text: string, column: string): Record<string, unknown> {
  const value = parse(text || '{}', column);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new ConfigError(`${column}: expected a JSON object`);
}

function parse(text: string, column: string): unknown {
  if (holdsUnsafeInteger(text)) {
    throw new ConfigError(
      `${column}: expected whole numbers up to 2^53, which JavaScript holds exactly; write larger ones as texts`,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    // its own message repeats a part of the text
    throw new ConfigError(`${column}: expected JSON`);
  }
}

/** A larger one would silently become another number. */
function holdsUnsafeInteger(json: string): boolean {
  const outsideTexts = json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const numbers = outsideTexts.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? [];
  return numbers.some((number) => /^-?\d+$/.test(number) && !Number.isSafeInteger(Number(number)));
}
