import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SCRIPT = join(ROOT, 'scripts/build-api-docs.ts');

const PAGE = [
  '- [crate](#crate)',
  '  - [OpenOptions](#interface-openoptions), [NailedError](#class-nailederror), [Size](#type-size), [Crate](#class-crate)',
  '',
  '## crate',
  '',
  '#### interface OpenOptions',
  '',
  '```ts',
  'interface OpenOptions {',
  '  force?: number;',
  '  tools: {',
  '    hammer?: string;',
  '  };',
  '}',
  '```',
  '',
  'How a crate opens.',
  '',
  '- `force?: number` – The force, in newtons. Default: `5`.',
  '- `tools: { … }` – The tools.',
  "  - `hammer?: string` – Its weight, in \\<kg>. Default: `'light'`, as in [`Crate`](#class-crate).",
  '',
  '#### class NailedError',
  '',
  '```ts',
  'class NailedError extends Error {}',
  '```',
  '',
  'It is nailed.',
  '',
  '#### type Size',
  '',
  '```ts',
  'type Size = "large" | "small";',
  '```',
  '',
  'How large a crate is.',
  '',
  '#### class Crate',
  '',
  '```ts',
  'class Crate implements AsyncDisposable {',
  '  readonly size: Size;',
  '  constructor(size?: Size);',
  '  open<Content>(options: OpenOptions, why?: string): Promise<Content[]>;',
  '}',
  '```',
  '',
  'A crate. It opens with `open`:',
  '',
  "    new Crate('small').open({ tools: {} });",
  '',
  '- `size: Size` – As it was made.',
  '- `new Crate(size?)` – A closed one.',
  '  - `size`: as outside.',
  '- `open(options, why?)` – Opens it.',
  '  - Returns what is in it.',
  '  - Throws [`NailedError`](#class-nailederror) when it has nails.',
  '',
].join('\n');

/** The lines on standard error; none when the script was content. */
async function buildDocs(cwd: string, ...args: string[]): Promise<string[]> {
  const flags = ['--import', import.meta.resolve('tsx')];
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, [...flags, SCRIPT, ...args], { cwd }, (error, _stdout, stderr) => {
      const lines = stderr.split('\n').filter((line) => line !== '');
      if ((error === null) === (lines.length === 0)) resolve(lines);
      else reject(error ?? new Error(`ended well, but said ${stderr}`));
    });
  });
}

/** A package of one source file in a folder of its own. */
async function withPackage(source: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sedano-docs-'));
  try {
    await mkdir(join(folder, 'docs'));
    const manifest = {
      name: 'crate',
      type: 'module',
      exports: { '.': { 'sedano-source': './index.ts' } },
    };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    const compilerOptions = { module: 'nodenext', target: 'esnext', strict: true, types: [] };
    await writeFile(
      join(folder, 'tsconfig.build.json'),
      JSON.stringify({ compilerOptions, include: ['*.ts'] }),
    );
    await writeFile(join(folder, 'index.ts'), source);
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('docs/api.md is what the sources say, and they say what each export and option is', async () => {
  assert.deepEqual(await buildDocs(ROOT, '--check'), []);
});

test('shows signatures, doc comments, options, defaults and errors', async () => {
  const source = `
    /** How a crate opens. */
    export interface OpenOptions {
      /** The force, in newtons. @default 5 */
      force?: number;
      /** The tools. */
      tools: {
        /** Its weight, in <kg>. @default 'light', as in {@link Crate} */
        hammer?: string;
      };
    }

    /** It is nailed. */
    export class NailedError extends Error {
      override name = 'NailedError';
    }

    const SIZES = { small: 1, large: 2 };
    /** How large a crate is. */
    export type Size = keyof typeof SIZES;

    /**
     * A crate. It opens with {@link open}:
     *
     *     new Crate('small').open({ tools: {} });
     */
    export class Crate implements AsyncDisposable {
      /** As it was made. */
      readonly size: Size;
      #nails = 3;
      protected lid = true;

      /**
       * A closed one.
       *
       * @param size as outside
       */
      constructor(size: Size = 'small') {
        this.size = size;
      }

      /**
       * Opens it.
       *
       * @returns what is in it
       * @throws {NailedError} when it has nails
       */
      async open<Content>({ force = 5 }: OpenOptions, _why?: string): Promise<Content[]> {
        if (this.#nails > force) throw new NailedError();
        return [];
      }

      /** @internal */
      get nails(): number {
        return this.#nails;
      }

      async [Symbol.asyncDispose](): Promise<void> {}
    }
  `;
  await withPackage(source, async (folder) => {
    assert.deepEqual(await buildDocs(folder), []);
    const page = await readFile(join(folder, 'docs/api.md'), 'utf8');
    assert.equal(page.slice(page.indexOf('- [crate]')), PAGE);
    assert.deepEqual(await buildDocs(folder, '--check'), []);

    await writeFile(join(folder, 'index.ts'), source.replace('It is nailed', 'Nails hold it'));
    assert.deepEqual(await buildDocs(folder, '--check'), [
      'docs/api.md is not what the sources say: run npm run docs',
    ]);
  });
});

test('names every export, public member and option that has no doc comment', async () => {
  const source = `
    export interface Options {
      one?: number;
      /** Two. */
      two: { three: string };
      /** @default 4 */
      four?: number;
    }
    /** Has a comment. */
    export class Box implements Pick<Options, 'one'> {
      one = 1;
      five = 5;
      #six = 6;
      private seven = this.#six;
      constructor() {}
      nine(): number { return this.seven; }
      protected ten(): void {}
      /** @internal */
      eleven(): void {}
    }
    /** Derived. */
    export class SmallBox extends Box {
      constructor() { super(); }
      override nine(): number { return 9; }
    }
    /** See {@link Nobody} and {@link Options}. @remarks none */
    export function open(): void {}
    open.wide = function wide(): void {};
    export type Twelve = 12;
    export const thirteen = 13;
  `;
  await withPackage(source, async (folder) => {
    const missing = [
      'Options',
      'Options.one',
      'Options.two.three',
      'Options.four',
      'Box.one',
      'Box.five',
      'Box.constructor',
      'Box.nine',
      'SmallBox.nine',
      'open.wide',
      'Twelve',
      'thirteen',
    ];
    assert.deepEqual(
      (await buildDocs(folder)).toSorted(),
      [
        ...missing.map((name) => `${name}: no doc comment says what it is`),
        'open: {@link Nobody} leads nowhere',
        'open: the page does not show @remarks',
      ].toSorted(),
    );
  });
});
