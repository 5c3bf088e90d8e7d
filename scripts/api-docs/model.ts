// What the page shows, as Reader reads it and renderPage writes it.
import type { Symbol as ExportedSymbol } from 'typescript/unstable/sync';

/** A module that users import. */
export interface Entry {
  specifier: string;
  groups: Group<Export>[];
}

/** Exports under one comment of the entry's source. */
export interface Group<Item> {
  /** The comment; undefined where there is none. */
  title: string | undefined;
  items: Item[];
}

/** What can be read without the other exports. */
export interface Named {
  name: string;
  symbol: ExportedSymbol;
}

export interface Export {
  name: string;
  /** The heading, `class Sedano`, which no other export has. */
  title: string;
  /** The declaration without comments, bodies and what is not public. */
  shape: string;
  /** What it extends or implements, as links. */
  bases: string[];
  doc: Doc;
  members: Member[];
}

export interface Member {
  /** In a list, `task(options, code)`. */
  label: string;
  /** In the declaration of its owner. */
  shape: string;
  /** What it extends or implements says it already. */
  inherited: boolean;
  doc: Doc;
  /** The options of a type that is written in place. */
  members: Member[];
}

/** A doc comment as Markdown. */
export interface Doc {
  text: string;
  /** Of `@default`. */
  fallback: string | undefined;
  /** Of `@param`, `@returns` and `@throws`. */
  lines: string[];
}
