import { createHash } from 'node:crypto';
import {
  DEFINITION_FIELDS,
  type ActionMemo,
  type BirthMemo,
  type Definition,
  type Edit,
} from './definition.ts';

/**
 * The search attribute that carries the mark. It is Temporal's own, so that no operator has to make one; the server uses
 * it for batch jobs only, and it is the one of its kind that an update can change.
 */
export const MARK_ATTRIBUTE = 'BatcherUser';

const MAX_EDITS = 5;
// the memo goes along to every run
const MAX_MEMO_BYTES = 2_000;
const MAX_SHOWN_ARGS_BYTES = 200;

/** Whose a schedule is, of its own memo; undefined when it is not ours. */
export function readBirthMemo(memo: Record<string, unknown> | undefined): BirthMemo | undefined {
  const birth = memo?.['sedano'];
  if (!isObject(birth) || !isObject(birth['code'])) return undefined;
  const { v, app, routine, by, code } = birth;
  if (typeof v !== 'number' || typeof app !== 'string' || typeof routine !== 'string')
    return undefined;
  // what an earlier or a later Sedano wrote is as much ours; fields it did not know are missing
  return {
    v: 2,
    app,
    routine,
    by: by === 'admin' ? 'admin' : 'code',
    code: code as unknown as Definition,
  };
}

/** What the code last said, of the action's memo; undefined where an edit by another tool has erased it. */
export function readActionMemo(memo: Record<string, unknown> | undefined): ActionMemo | undefined {
  const said = memo?.['sedano'];
  if (!isObject(said) || said['v'] !== 2 || !isObject(said['code']) || !isObject(said['extra']))
    return undefined;
  return { ...(said as unknown as ActionMemo), edits: readEdits(said['edits']) };
}

function readEdits(edits: unknown): Edit[] {
  return Array.isArray(edits) ? (edits as Edit[]).filter(isObject) : [];
}

/** `memo` with one edit more: five at most, and fewer where they are long. The latest is always there. */
export function withEdit(memo: ActionMemo, edit: Edit): ActionMemo {
  const edits = [shortened(edit), ...memo.edits].slice(0, MAX_EDITS);
  const bytes = () => Buffer.byteLength(JSON.stringify({ ...memo, edits }));
  while (edits.length > 1 && bytes() > MAX_MEMO_BYTES) edits.pop();
  return { ...memo, edits };
}

function shortened(edit: Edit): Edit {
  return { ...edit, from: withShortArgs(edit.from), to: withShortArgs(edit.to) };
}

function withShortArgs(values: Partial<Definition>): Partial<Definition> {
  const bytes = Buffer.byteLength(JSON.stringify(values.args ?? []));
  if (bytes <= MAX_SHOWN_ARGS_BYTES) return values;
  return { ...values, args: [`(${bytes} bytes of JSON)`] };
}

/**
 * What the list of schedules shows of a memo that it does not show: a digest of what the code last said, and whether one
 * of our own edits has changed what the list does not show either. It tells whom to describe.
 */
export function markOf(
  { code, release }: Pick<ActionMemo, 'code' | 'release'>,
  edited: boolean,
): string {
  const text = JSON.stringify([release, ...DEFINITION_FIELDS.map((field) => code[field])]);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return `sedano-${digest}${edited ? '-edited' : ''}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
