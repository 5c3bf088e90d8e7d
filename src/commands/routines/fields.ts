import type { Definition, DefinitionField } from '../../routines/definition.ts';
import { DEFINITION_FIELDS } from '../../routines/definition.ts';
import { printable } from '../../logger.ts';

/** One value on one line, as people read it. */
export function shownField(field: string, value: unknown): string {
  if (value === null) return 'none';
  if (value === undefined) return 'unknown';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (field.endsWith('Ms') && typeof value === 'number') return `${value / 1_000}s`;
  const text = typeof value === 'string' && field !== 'description' ? value : JSON.stringify(value);
  return printable(text).replaceAll(/\s+/g, ' ');
}

/** Each field on a line of its own: `schedule  0 12 * * *`. */
export function fieldLines(definition: Definition): string[] {
  const width = Math.max(...DEFINITION_FIELDS.map(({ length }) => length));
  return DEFINITION_FIELDS.map(
    (field) => `${field.padEnd(width)}  ${shownField(field, definition[field])}`,
  );
}

/** `schedule 0 12 * * * -> 0 13 * * *; queue a -> b` */
export function shownChanges({
  fields,
  from,
  to,
}: {
  fields: readonly DefinitionField[];
  from: Partial<Definition>;
  to: Partial<Definition>;
}): string {
  return fields
    .map((field) => `${field} ${shownField(field, from[field])} -> ${shownField(field, to[field])}`)
    .join('; ');
}
