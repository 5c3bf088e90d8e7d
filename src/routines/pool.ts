/** As many as a development server takes at once without others waiting for long. */
const CONCURRENCY = 20;

/** What `work` makes of each item, in their order; so many at a time. The first error ends it. */
export async function forEachOf<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  concurrency = CONCURRENCY,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  // all share one iterator, so each takes the next item that nobody has taken
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return results;
}
