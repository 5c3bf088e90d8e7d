import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Why a project cannot be begun here, and what would help. */
export interface Obstacle {
  what: string;
  hint: string;
}

/** What a package.json is to become. */
export interface PlannedPackage {
  text: string;
  /** What is added, as `scripts.dev`. */
  added: string[];
  /** Those of its packages that are not installed. */
  missing: string[];
  obstacles: Obstacle[];
}

type Section = Record<string, unknown>;

const SCRIPTS = { dev: 'sedano dev', worker: 'sedano worker', typecheck: 'tsc --noEmit' };
const DEPENDENCY_SECTIONS = [
  'dependencies',
  'devDependencies',
  'peerDependencies',
  'optionalDependencies',
];
const MEND = 'Mend package.json.';

/** Adds to the folder's package.json what an app needs; what is there stays as it is, in its order and indentation. */
export function planPackage(folder: string): PlannedPackage {
  const file = join(folder, 'package.json');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '{ "private": true }\n';
  const manifest = parseObject(before);
  if (manifest === undefined) {
    const what = 'package.json cannot be read as a JSON object';
    return { text: before, added: [], missing: [], obstacles: [{ what, hint: MEND }] };
  }
  const plan = new Plan(manifest);
  plan.setType(folder);
  plan.set('sedano', 'app', 'app.ts');
  for (const [name, script] of Object.entries(SCRIPTS)) plan.add('scripts', name, script);
  const packages = neededPackages();
  for (const { section, name, range } of packages) plan.depend(section, name, range);
  return {
    text: written(manifest, before),
    added: plan.added,
    missing: packages.map(({ name }) => name).filter((name) => !isInstalled(folder, name)),
    obstacles: plan.obstacles,
  };
}

const BYTE_ORDER_MARK = '\uFEFF';

/** The JSON object of a text, which may begin with a byte order mark as some editors write it; undefined when there is none. */
export function parseObject(text: string): Section | undefined {
  try {
    const value: unknown = JSON.parse(withoutMark(text));
    return isSection(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function withoutMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text;
}

export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** In the indentation and with the line ends it had, and with its byte order mark. */
function written(manifest: Section, before: string): string {
  const indentation = /^[ \t]+(?=")/m.exec(before)?.[0] ?? '  ';
  const text = JSON.stringify(manifest, undefined, indentation);
  const mark = before.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
  const whole = mark + (before.endsWith('\n') ? `${text}\n` : text);
  return before.includes('\r\n') ? whole.replaceAll('\n', '\r\n') : whole;
}

function isInstalled(folder: string, name: string): boolean {
  return existsSync(join(folder, 'node_modules', name, 'package.json'));
}

/** This version or a later one that is compatible with it, and the same of the tools it is made with. */
function neededPackages() {
  const { version, devDependencies } = createRequire(import.meta.url)('../../package.json') as {
    version: string;
    devDependencies: Record<string, string>;
  };
  const tools = ['@types/node', 'tsx', 'typescript'];
  return [
    { section: 'dependencies', name: 'sedano', range: `^${version}` },
    ...tools.map((name) => ({
      section: 'devDependencies',
      name,
      // one that is pinned is pinned for this repository
      range: devDependencies[name]?.replace(/^\^?/, '^'),
    })),
  ];
}

/** Changes a package.json, and collects what was changed and what stands against it. */
class Plan {
  readonly added: string[] = [];
  readonly obstacles: Obstacle[] = [];
  readonly #manifest: Section;

  constructor(manifest: Section) {
    this.#manifest = manifest;
  }

  /** ES modules: a CommonJS project with JavaScript or TypeScript of its own would read that anew. */
  setType(folder: string): void {
    const { type } = this.#manifest;
    if (type === 'module') return;
    const source = firstSource(folder);
    if (source === undefined) {
      this.#manifest['type'] = 'module';
      this.added.push('type');
      return;
    }
    const got = type === undefined ? 'none' : JSON.stringify(type);
    this.obstacles.push({
      what: `package.json: "type": expected "module", got ${got}, by which ${source} is read`,
      hint: 'Where all of that is ES modules, write "type": "module" into package.json.',
    });
  }

  /** Sets a value; another one in its place is an obstacle. */
  set(section: string, name: string, value: string): void {
    const is = this.add(section, name, value);
    if (is === value || is === undefined) return;
    this.obstacles.push({
      what: `package.json: "${section}.${name}" is ${JSON.stringify(is)} already`,
      hint: 'A project has one app.',
    });
  }

  /** Sets a value unless there is one. Returns what there is; undefined when the section cannot have any. */
  add(section: string, name: string, value: string | undefined): unknown {
    const values = this.#manifest[section] ?? {};
    if (!isSection(values)) {
      const what = `package.json: "${section}": expected an object, got ${JSON.stringify(values)}`;
      if (!this.obstacles.some((known) => known.what === what))
        this.obstacles.push({ what, hint: MEND });
      return undefined;
    }
    if (values[name] !== undefined) return values[name];
    values[name] = value;
    this.#manifest[section] = values;
    this.added.push(`${section}.${name}`);
    return value;
  }

  /** Adds a dependency that no section names yet. */
  depend(section: string, name: string, range: string | undefined): void {
    const named = DEPENDENCY_SECTIONS.map((each) => this.#manifest[each]).filter(isSection);
    if (!named.some((packages) => packages[name] !== undefined)) this.add(section, name, range);
  }
}

const READ_BY_TYPE = /\.[jt]sx?$/;

/** A file, in the folder or below, that "type" decides how to read. */
function firstSource(folder: string, within = ''): string | undefined {
  if (!existsSync(folder)) return undefined;
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    ({ name }) => name !== 'node_modules' && !name.startsWith('.'),
  );
  const file = entries.find((entry) => entry.isFile() && READ_BY_TYPE.test(entry.name));
  if (file) return within + file.name;
  for (const entry of entries.filter((each) => each.isDirectory())) {
    const found = firstSource(join(folder, entry.name), `${within}${entry.name}/`);
    if (found !== undefined) return found;
  }
  return undefined;
}
