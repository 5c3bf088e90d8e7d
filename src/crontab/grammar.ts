import type { FieldRule } from './field.ts';
import { CrontabError } from '../errors.ts';

/** How far a field's text has been read. */
interface Cursor {
  readonly rule: FieldRule;
  readonly text: string;
  /** What the error begins with. */
  readonly where: string;
  at: number;
}

/**
 * The numbers that `text` stands for in the field of `rule`, in the order of the text; a weekday may
 * be 7.
 *
 * The grammar is that of `crontab_parser` in celery/schedules.py, whose regular expressions match
 * only the beginning of a part; here every character must be understood.
 *
 * @param where what the error begins with, for example `crontab`.
 * @throws {CrontabError} naming field, text, position (from 1), what was expected and what was found.
 */
export function expandText(rule: FieldRule, text: string, where: string): number[] {
  const cursor: Cursor = { rule, text, where, at: 0 };
  const numbers: number[] = [];
  do {
    numbers.push(...readPart(cursor));
  } while (accept(cursor, ','));
  if (cursor.at < text.length) throw unexpected(cursor, "',' or the end");
  return numbers;
}

function readPart(cursor: Cursor): number[] {
  // Celery leaves a single number to Python's int(), which drops the blanks around it
  const lone = match(cursor, /\s*(\d+)\s*(?=,|$)/y);
  if (lone?.[1] !== undefined) {
    const blanks = lone[0].indexOf(lone[1]);
    return [toNumber({ ...cursor, at: cursor.at - lone[0].length + blanks }, lone[1])];
  }
  if (accept(cursor, '*')) {
    return everyNth(range(cursor.rule.min, cursor.rule.max), cursor);
  }
  const first = readValue(cursor, `${valueOf(cursor.rule)}, a range or '*'`);
  if (accept(cursor, '-')) {
    const last = readValue(cursor, valueOf(cursor.rule));
    return everyNth(wrappingRange(first, last, cursor.rule), cursor);
  }
  if (cursor.text[cursor.at] === '/') {
    const example = `'${first}-${cursor.rule.max}${rest(cursor)}'`;
    throw unexpected(cursor, `',' or the end (a step follows '*' or a range, as in ${example})`);
  }
  return [first];
}

/** `numbers`, or every n-th of them from the first, when a step follows. */
function everyNth(numbers: number[], cursor: Cursor): number[] {
  if (!accept(cursor, '/')) return numbers;
  const start = { ...cursor };
  const step = Number(match(cursor, /\d+(?!\w)/y)?.[0] ?? 0);
  if (step === 0) throw unexpected(start, 'a step, a whole number from 1');
  return numbers.filter((_, index) => index % step === 0);
}

function readValue(cursor: Cursor, expected: string): number {
  const start = { ...cursor };
  const word = match(cursor, /\w+/y)?.[0] ?? '';
  if (/^\d+$/.test(word)) return toNumber(start, word);
  const wanted = word.toLowerCase();
  // Celery looks at three letters only, and knows weekdays and months in every field
  const index = cursor.rule.names.findIndex((name) =>
    [name.toLowerCase(), name.slice(0, 3).toLowerCase()].includes(wanted),
  );
  if (index === -1) throw unexpected(start, expected);
  return index + cursor.rule.min;
}

function toNumber(cursor: Cursor, digits: string): number {
  const number = Number(digits);
  const { min, maxWritten } = cursor.rule;
  if (number < min || number > maxWritten) {
    throw unexpected(cursor, valueOf(cursor.rule), digits);
  }
  return number;
}

/** From `first` to `last`, over the field's end where `last` is the smaller: `22-2` is 22, 23, 0, 1, 2. */
function wrappingRange(first: number, last: number, { min, max }: FieldRule): number[] {
  return first <= last ? range(first, last) : [...range(first, max), ...range(min, last)];
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

function accept(cursor: Cursor, character: string): boolean {
  if (cursor.text[cursor.at] !== character) return false;
  cursor.at += 1;
  return true;
}

function match(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found) cursor.at += found[0].length;
  return found;
}

/** What may stand for one number. */
function valueOf({ min, maxWritten, names }: FieldRule): string {
  const number = `a number from ${min} to ${maxWritten}`;
  const [name] = names;
  return name
    ? `${number} or a name such as '${name.slice(0, 3).toLowerCase()}' or '${name}'`
    : number;
}

/** What is left of the current part. */
function rest({ text, at }: Cursor): string {
  return text.slice(at).split(',')[0] ?? '';
}

function unexpected(cursor: Cursor, expected: string, found = rest(cursor)): CrontabError {
  const { rule, text, where, at } = cursor;
  const got = found === '' ? (at < text.length ? "','" : 'the end') : `'${found}'`;
  return new CrontabError(
    `${where}: ${rule.name} '${text}': expected ${expected}, got ${got} at position ${at + 1}`,
    { field: rule.name, hint: hintFor(cursor) },
  );
}

function hintFor({ text, at, rule }: Cursor): string | undefined {
  if (/^\s*\S+(\s+\S+){4}\s*$/.test(text)) return 'crontab.parse() reads a line of five fields.';
  if (/^\s/.test(text.slice(at))) return 'Blanks may stand around a single number only.';
  if (/^(?:[#?]|\d*[LW]\b)/.test(text.slice(at))) return "Celery's crontab has no L, W, ? and #.";
  if (/^[a-z]/i.test(text.slice(at)) && rule.names.length > 0) {
    return 'Names are written in full or with their first three letters.';
  }
  return undefined;
}
