import type { JournalLine } from './journal.ts';

/** A time for which a process is known to have believed that it holds the lock. */
export interface Belief extends Span {
  section: string;
  fence: bigint;
}

/**
 * The belief of each section. `isHeld()` never becomes true again, so it was true all the time from the end of its first
 * look that said so to the beginning of the last one: nothing that is not certain counts, and nothing that is counts not.
 */
export function beliefsOf(lines: readonly JournalLine[]): Belief[] {
  const beliefs = new Map<string, Belief>();
  for (const line of lines) {
    if (line.what !== 'held') continue;
    const key = `${line.section} ${line.fence}`;
    const [before, after] = [BigInt(line.before), BigInt(line.after)];
    const known = beliefs.get(key);
    const { section } = line;
    beliefs.set(key, {
      section,
      fence: BigInt(line.fence),
      begin: known && known.begin < after ? known.begin : after,
      end: known && known.end > before ? known.end : before,
    });
  }
  // of a single look it is not known at which moment it was
  return [...beliefs.values()]
    .filter(({ begin, end }) => begin < end)
    .toSorted((a, b) => (a.begin < b.begin ? -1 : 1));
}

export interface Verdict {
  /** Pairs of beliefs that overlap, with the time for which they do. */
  overlaps: { first: Belief; second: Belief; ns: bigint }[];
  /** Beliefs whose fence is not larger than that of the one before. */
  regressions: Belief[];
  /** The longest time between two sections. */
  longestGap: Span;
}

/** CLOCK_MONOTONIC, in ns. */
export interface Span {
  begin: bigint;
  end: bigint;
}

/** @param beliefs in the order of their begin */
export function judge(beliefs: readonly Belief[]): Verdict {
  const verdict: Verdict = { overlaps: [], regressions: [], longestGap: { begin: 0n, end: 0n } };
  let last: Belief | undefined;
  let largest = 0n;
  for (const belief of beliefs) {
    if (last) {
      const gap = belief.begin - last.end;
      const { longestGap } = verdict;
      if (gap > longestGap.end - longestGap.begin) {
        verdict.longestGap = { begin: last.end, end: belief.begin };
      }
      if (gap < 0n) {
        const end = belief.end < last.end ? belief.end : last.end;
        verdict.overlaps.push({ first: last, second: belief, ns: end - belief.begin });
      }
    }
    if (belief.fence <= largest) verdict.regressions.push(belief);
    else largest = belief.fence;
    if (!last || belief.end > last.end) last = belief;
  }
  return verdict;
}

/** How many fences are not larger than all before. */
export function countRegressions(fences: readonly bigint[]): number {
  let largest = 0n;
  let count = 0;
  for (const fence of fences) {
    if (fence <= largest) count += 1;
    else largest = fence;
  }
  return count;
}
