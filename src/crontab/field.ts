import { expandText } from './grammar.ts';
import { CrontabError } from '../errors.ts';

/** The weekdays as Celery counts them: Sunday is 0. */
export const WEEKDAYS = [
  'Sunday',
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
] as const;

/** The months; January is 1, so a month's name stands one place before its number. */
export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

/** A field of a crontab, in Sedano's spelling. */
export type CrontabFieldName = 'minute' | 'hour' | 'dayOfMonth' | 'monthOfYear' | 'dayOfWeek';

/** One field: a number, a text in Celery's grammar, or numbers in any iterable. */
export type CrontabField = number | string | Iterable<number>;

/** The numbers of each field, ascending. A time fires when all five fields hold its number. */
export type CrontabSets = Readonly<Record<CrontabFieldName, readonly number[]>>;

/** What a field may hold, all ends included. */
export interface FieldRule {
  readonly name: CrontabFieldName;
  readonly min: number;
  readonly max: number;
  /** The largest number that may be written: 7 is a second word for Sunday. */
  readonly maxWritten: number;
  /** The names of the numbers from `min`. */
  readonly names: readonly string[];
}

/** The five fields, in the order of a cron line. */
export const FIELD_RULES: readonly FieldRule[] = [
  { name: 'minute', min: 0, max: 59, maxWritten: 59, names: [] },
  { name: 'hour', min: 0, max: 23, maxWritten: 23, names: [] },
  { name: 'dayOfMonth', min: 1, max: 31, maxWritten: 31, names: [] },
  { name: 'monthOfYear', min: 1, max: 12, maxWritten: 12, names: MONTHS },
  { name: 'dayOfWeek', min: 0, max: 6, maxWritten: 7, names: WEEKDAYS },
];

/**
 * The text and the numbers of a field. A text stays as it was given, numbers are joined by commas.
 *
 * @param where what an error begins with.
 * @throws {CrontabError}
 */
export function readField(
  rule: FieldRule,
  where: string,
  given: unknown = '*',
): { text: string; numbers: number[] } {
  if (typeof given === 'string') {
    return { text: given.trim(), numbers: normalise(expandText(rule, given, where), rule) };
  }
  const numbers = normalise(readNumbers(rule, given, where), rule);
  return { text: numbers.join(','), numbers };
}

/** How an error shows a value of the wrong kind. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'function' ? 'a function' : String(value);
}

function readNumbers(rule: FieldRule, given: unknown, where: string): number[] {
  const { name, min, maxWritten } = rule;
  const isList = isIterable(given);
  const numbers: number[] = [];
  for (const member of isList ? given : [given]) {
    if (!isWholeNumber(member) || member < min || member > maxWritten) {
      const place = isList ? ` at place ${numbers.length + 1} of the list` : '';
      throw new CrontabError(
        `${where}: ${name}: expected a whole number from ${min} to ${maxWritten}, got ${shown(member)}${place}`,
        { field: name, hint: isList ? 'Names and ranges are written as one text.' : undefined },
      );
    }
    numbers.push(member);
  }
  if (numbers.length > 0) return numbers;
  throw new CrontabError(`${where}: ${name}: expected at least one number, got an empty list`, {
    field: name,
  });
}

/** Ascending and without repeats, Sunday's second word 7 as 0. */
function normalise(numbers: number[], { min, max }: FieldRule): number[] {
  const unique = new Set(numbers.map((number) => (number > max ? min : number)));
  return [...unique].sort((a, b) => a - b);
}

function isWholeNumber(value: unknown): value is number {
  return Number.isInteger(value);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
