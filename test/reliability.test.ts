import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

const FOLDER = import.meta.dirname;
const PAGE = join(FOLDER, '..', 'docs', 'reliability.md');

/** The rows that the names of tests give, by file. */
async function rowsOfTests(): Promise<Map<number, Set<string>>> {
  const rows = new Map<number, Set<string>>();
  for (const file of (await readdir(FOLDER)).filter((name) => name.endsWith('.test.ts'))) {
    const text = await readFile(join(FOLDER, file), 'utf8');
    for (const [, numbers = ''] of text.matchAll(/\(rows? ([\d, ]+)\)/g)) {
      for (const number of numbers.split(',').map(Number)) {
        const files = rows.get(number) ?? new Set();
        rows.set(number, files.add(file.replace('.test.ts', '')));
      }
    }
  }
  return rows;
}

/** The rows of the page's table, by file. */
async function rowsOfPage(): Promise<Map<number, Set<string>>> {
  const text = await readFile(PAGE, 'utf8');
  const lines = text.matchAll(/^\| +(\d+) +\|[^|]*\| +([^|]*?) +\|$/gm);
  return new Map(
    [...lines].map(([, row, files = '']) => {
      const names = files.split(', ').map((name) => name.replace(/ \(.*/, ''));
      return [Number(row), new Set(names.filter((name) => name !== 'chaos'))];
    }),
  );
}

function sorted(rows: Map<number, Set<string>>): [number, string[]][] {
  return [...rows]
    .map(([row, files]): [number, string[]] => [row, [...files].toSorted()])
    .toSorted(([a], [b]) => a - b);
}

test('every row of the page has the tests that it names, and every row that a test names is on the page', async () => {
  const page = sorted(await rowsOfPage());
  assert.ok(page.length > 50);
  assert.deepEqual(page, sorted(await rowsOfTests()));
});
