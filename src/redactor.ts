/** What a task's `redact` names: a member of its arguments at any depth, or an argument by its position from 0. */
export type RedactOption = readonly (string | number)[];

const MARK = '[redacted]';
// a shorter value is replaced as a whole word only: 'a' is in every text
const SHORT = 4;

/** Takes what a task's `redact` names out of what is shown of one call. */
export class Redactor {
  readonly #names: ReadonlySet<string>;
  readonly #secrets: (text: string) => string;
  readonly #args: unknown;

  constructor(redact: RedactOption, args: readonly unknown[]) {
    this.#names = new Set(redact.filter((name) => typeof name === 'string'));
    const secrets = new Set<string>();
    this.#args = args.map((arg, position) => {
      if (!redact.includes(position)) return this.#hide(arg, secrets);
      collectLeaves(arg, secrets);
      return MARK;
    });
    this.#secrets = replacerOf(secrets);
  }

  /** The arguments with what is named replaced. */
  get args(): unknown {
    return this.#args;
  }

  /** `text` without the values of what is named, also as JSON and in a URL. */
  text(text: string): string {
    return this.#secrets(text);
  }

  /** All texts and numbers of a JSON value likewise. */
  texts(value: unknown): unknown {
    return this.#mapValue(value, (member) => this.texts(member));
  }

  /** All texts and numbers of a JSON value likewise, and the members that are named. */
  value(value: unknown): unknown {
    return this.#mapValue(value, (member, name) =>
      name !== undefined && this.#names.has(name) ? MARK : this.value(member),
    );
  }

  #hide(value: unknown, secrets: Set<string>): unknown {
    return mapMembers(value, (member, name) => {
      if (name === undefined || !this.#names.has(name)) return this.#hide(member, secrets);
      collectLeaves(member, secrets);
      return MARK;
    });
  }

  #mapValue(value: unknown, map: (member: unknown, name?: string) => unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    // a number that is a secret is shown as a text
    if (typeof value === 'number') return this.text(String(value)) === MARK ? MARK : value;
    return mapMembers(value, map);
  }
}

/** @param map gets the name of an object's member, and none for one of a list */
function mapMembers(value: unknown, map: (member: unknown, name?: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((member) => map(member));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, map(member, name)]),
  );
}

function collectLeaves(value: unknown, leaves: Set<string>): void {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) collectLeaves(member, leaves);
  } else if (typeof value === 'number' || (typeof value === 'string' && value !== '')) {
    leaves.add(String(value));
  }
}

/** The longest first, so that one that begins like another is replaced as a whole. */
function replacerOf(secrets: ReadonlySet<string>): (text: string) => string {
  const forms = [...new Set([...secrets].flatMap(formsOf))].toSorted((a, b) => b.length - a.length);
  // a long one is searched for as it is: a pattern may be only so large
  const patterns = forms.map((form) => (form.length < SHORT ? wholeWord(form) : form));
  return (text) => patterns.reduce<string>((shown, find) => shown.replaceAll(find, MARK), text);
}

/** As it is, as JSON, and in a URL by either of the two ways. */
function formsOf(secret: string): string[] {
  // half a character cannot be encoded
  const encodable = Buffer.from(secret).toString();
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(encodable),
    new URLSearchParams([['', encodable]]).toString().slice(1),
  ];
}

function wholeWord(text: string): RegExp {
  const escaped = text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'gu');
}
