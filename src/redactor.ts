/** What a task's `redact` names: a member of its arguments at any depth, or an argument by its position from 0. */
export type RedactOption = readonly (string | number)[];

const MARK = '[redacted]';
// a shorter value is replaced as a whole word only: 'a' is in every text
const SHORT = 4;

/** Takes what a task's `redact` names out of what is shown of one call. */
export class Redactor {
  readonly #names: ReadonlySet<string>;
  readonly #secrets: RegExp | undefined;
  readonly #args: unknown;

  constructor(redact: RedactOption, args: readonly unknown[]) {
    this.#names = new Set(redact.filter((name) => typeof name === 'string'));
    const secrets = new Set<string>();
    this.#args = args.map((arg, position) => {
      if (!redact.includes(position)) return this.#hide(arg, secrets);
      collectLeaves(arg, secrets);
      return MARK;
    });
    this.#secrets = secrets.size === 0 ? undefined : anyOf(secrets);
  }

  /** The arguments with what is named replaced. */
  get args(): unknown {
    return this.#args;
  }

  /** `text` without the values of what is named, also as JSON and in a URL. */
  text(text: string): string {
    return this.#secrets === undefined ? text : text.replaceAll(this.#secrets, MARK);
  }

  /** All texts and numbers of a JSON value likewise, and the members that are named. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    // a number that is a secret is shown as a text
    if (typeof value === 'number') return this.text(String(value)) === MARK ? MARK : value;
    return this.#mapMembers(value, (member) => this.value(member));
  }

  #hide(value: unknown, secrets: Set<string>): unknown {
    return this.#mapMembers(
      value,
      (member) => this.#hide(member, secrets),
      (secret) => collectLeaves(secret, secrets),
    );
  }

  #mapMembers(
    value: unknown,
    map: (member: unknown) => unknown,
    onNamed: (member: unknown) => void = () => {},
  ): unknown {
    if (Array.isArray(value)) return value.map(map);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => {
        if (!this.#names.has(key)) return [key, map(member)];
        onNamed(member);
        return [key, MARK];
      }),
    );
  }
}

function collectLeaves(value: unknown, leaves: Set<string>): void {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) collectLeaves(member, leaves);
  } else if (typeof value === 'number' || (typeof value === 'string' && value !== '')) {
    leaves.add(String(value));
  }
}

/** The longest first, so that one that begins like another is replaced as a whole. */
function anyOf(secrets: ReadonlySet<string>): RegExp {
  const forms = [...secrets].flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    // half a character cannot be encoded
    encodeURIComponent(Buffer.from(secret).toString()),
  ]);
  const patterns = [...new Set(forms)].toSorted((a, b) => b.length - a.length).map(patternOf);
  return new RegExp(patterns.join('|'), 'gu');
}

function patternOf(text: string): string {
  const escaped = text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
  return text.length < SHORT ? `(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])` : escaped;
}
