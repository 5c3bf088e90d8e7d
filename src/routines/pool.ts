import { TemporalUnavailableError } from '../errors.ts';

/** As many as a development server takes at once without others waiting for long. */
const CONCURRENCY = 20;

const TRIES = 5;

/**
 * What `work` makes of each item, in their order; twenty at a time. The first error ends it, except that `work` is done
 * again where a server has not answered in time: many workers may start at once.
 */
export async function forEachOf<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  // all share one iterator, so each takes the next item that nobody has taken
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await patiently(() => work(item));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}

/** Does `work` again where a busy server has not answered in time: only what may be done twice. */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TemporalUnavailableError) || tries === TRIES) throw error;
    }
  }
}
