import type { z } from 'zod';
import type { UsiApi } from './api.ts';
import { UsiDataError } from './errors.ts';
import { pageShape, readAs } from './shapes.ts';

export interface Pages {
  /** The link to the first page. */
  first: string;
  /** What the items are called under `_embedded`. */
  name: string;
  /** Names the collection in errors. */
  what: string;
  maxPages: number;
}

/**
 * The items of all pages, fetched as they are asked for.
 *
 * @throws {UsiDataError} when they go in a circle, and when there are more than `maxPages`.
 */
export async function* readPages<Item extends z.ZodType>(
  api: UsiApi,
  item: Item,
  { first, name, what, maxPages }: Pages,
): AsyncGenerator<z.output<Item>> {
  const shape = pageShape(name, item);
  const seen = new Set<string>();
  let href: string | undefined = first;
  while (href !== undefined) {
    if (seen.has(href)) {
      throw new UsiDataError(
        `USI answered ${what}: page ${seen.size} leads back to an earlier one`,
      );
    }
    if (seen.size === maxPages) {
      throw new UsiDataError(`USI answered ${what}: expected at most ${maxPages} pages, got more`);
    }
    seen.add(href);
    const { items, next }: z.output<typeof shape> = readAs(shape, await api.get(href), what);
    yield* items;
    href = next;
  }
}
