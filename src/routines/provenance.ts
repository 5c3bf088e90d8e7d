import { isDeepStrictEqual } from 'node:util';
import {
  DEFINITION_FIELDS,
  sameField,
  type ActionMemo,
  type BirthMemo,
  type Definition,
  type DefinitionField,
} from './definition.ts';
import { compareReleases } from './release.ts';

/**
 * Whose a schedule under the app's name is: in the `code`'s table; made by an `admin`; an `orphan`, which the code made
 * and which has left the table; or `foreign`, which Sedano did not make.
 */
export type RoutineOrigin = 'code' | 'admin' | 'orphan' | 'foreign';

/**
 * `same`: the server has what the code says; `follows`: the code has changed and nobody has edited the field, so the next
 * sync writes it; `edited`: somebody has, so it stays.
 */
export type FieldState = 'same' | 'follows' | 'edited';

/** Where the value of one field comes from. */
export interface FieldDiff {
  /** Its name, as `sedano routines adopt` takes it. */
  field: DefinitionField;
  /** Whose value the server has. */
  state: FieldState;
  /** What the server has. */
  server: unknown;
  /** What the code says, or said in a newer release than this one. */
  code: unknown;
  /** What the code said before; absent where nothing tells. */
  before?: unknown;
}

/** What is known of a schedule in the table. */
export interface Known {
  birth: BirthMemo;
  /** Undefined where an edit by another tool has erased it. */
  memo: ActionMemo | undefined;
  server: Definition;
  /** What the code says now, and which release of it. */
  code: Definition;
  release: string | null;
}

/** How a schedule of the table differs from its code. */
export interface Provenance {
  /** All fields, in the order in which they are shown. */
  fields: FieldDiff[];
  /** The release whose word counts, where it is a newer one than this app's. */
  newerRelease: string | null;
  /** Whether the schedule's memo has yet to learn what the code says. */
  memoIsBehind: boolean;
}

/** Compares field by field: pure, without the server. */
export function compareToCode({ birth, memo, server, code, release }: Known): Provenance {
  const newerRelease = memo && isNewer(memo.release, release) ? memo.release : null;
  // an older release leaves what a newer one said, or the two would undo each other at every start
  const said = newerRelease !== null && memo ? memo.code : code;
  // an admin's own routine owes nothing to the code
  const base = birth.by === 'code' ? memo?.code : undefined;
  const before = base ?? (birth.by === 'code' ? birth.code : undefined);
  const fields = DEFINITION_FIELDS.map((field) => ({
    field,
    state: stateOf(field, { server, code: said, base }),
    server: server[field],
    code: said[field],
    ...(before?.[field] === undefined ? {} : { before: before[field] }),
  }));
  return {
    fields,
    newerRelease,
    memoIsBehind:
      base !== undefined &&
      newerRelease === null &&
      (release !== memo?.release || !isDeepStrictEqual(base, code)),
  };
}

interface Definitions {
  server: Definition;
  code: Definition;
  base: Definition | undefined;
}

function stateOf(field: DefinitionField, { server, code, base }: Definitions): FieldState {
  if (sameField(field, server, code)) return 'same';
  // without a base nobody can tell who made the difference: it stays
  if (base?.[field] === undefined) return 'edited';
  return sameField(field, server, base) ? 'follows' : 'edited';
}

function isNewer(release: string | null, than: string | null): boolean {
  return release !== null && than !== null && compareReleases(release, than) > 0;
}

/** @param birth undefined when the schedule is not ours. */
export function originOf(
  birth: Pick<BirthMemo, 'by'> | undefined,
  isInTable: boolean,
): RoutineOrigin {
  if (birth === undefined) return 'foreign';
  if (birth.by === 'admin') return 'admin';
  return isInTable ? 'code' : 'orphan';
}
