import type { ScheduleDescription, ScheduleOptions } from '@temporalio/client';
import { ConfigError } from '../errors.ts';

export const OVERLAPS = [
  'skip',
  'bufferOne',
  'bufferAll',
  'cancelOther',
  'terminateOther',
  'allowAll',
] as const;

/** What becomes of a due time while the run before still goes on, in Temporal's own words: see {@link Routine}. */
export type Overlap = (typeof OVERLAPS)[number];

export const MISSED = ['latest', 'skip', 'all'] as const;

/** What becomes of the times that fell into an outage: see {@link Routine}. */
export type Missed = (typeof MISSED)[number];

/** Another tool's catch-up window, of which none of our words says what it does. */
export type CatchupWindow = `${number}s`;

type Policies = ScheduleDescription['policies'];

const TEMPORAL_OVERLAPS = {
  skip: 'SKIP',
  bufferOne: 'BUFFER_ONE',
  bufferAll: 'BUFFER_ALL',
  cancelOther: 'CANCEL_OTHER',
  terminateOther: 'TERMINATE_OTHER',
  allowAll: 'ALLOW_ALL',
} as const satisfies Record<Overlap, Policies['overlap']>;

/** The shortest catch-up window; the server takes a shorter one for this. */
export const SKIP_WINDOW_MS = 10_000;
// a longer one, such as the CLI's year of 365.25 days, is the same for us
const YEAR_MS = 365 * 86_400_000;

// with each of these, what was missed collapses to one run; with the others it runs in full
const OVERLAPS_OF_LATEST: readonly Overlap[] = ['skip', 'cancelOther', 'terminateOther'];
const OVERLAPS_OF_ALL: readonly Overlap[] = ['bufferAll', 'allowAll'];

/** The overlap of a routine that says none. */
export function defaultOverlap(missed: Missed): Overlap {
  return missed === 'all' ? 'bufferAll' : 'skip';
}

/** @throws {ConfigError} when the server cannot do both; `where` begins the error. */
export function assertPolicies(overlap: Overlap, missed: string, where: string): void {
  if (missed === 'all' && !OVERLAPS_OF_ALL.includes(overlap)) {
    throw new ConfigError(
      `${where}: overlap: expected ${OVERLAPS_OF_ALL.join(' or ')} beside missed 'all', got '${overlap}'`,
      { hint: "Leave overlap out: 'all' runs one after the other." },
    );
  }
  if (missed === 'latest' && !OVERLAPS_OF_LATEST.includes(overlap)) {
    throw new ConfigError(
      `${where}: overlap: expected ${OVERLAPS_OF_LATEST.join(', ')} beside missed 'latest' (the default), got '${overlap}'`,
      {
        hint: `With '${overlap}' more than one missed run would start: say missed 'all' or 'skip'.`,
      },
    );
  }
}

export function toPolicies(
  overlap: Overlap,
  missed: Missed | CatchupWindow,
): NonNullable<ScheduleOptions['policies']> {
  return { overlap: TEMPORAL_OVERLAPS[overlap], catchupWindow: windowMs(missed) };
}

function windowMs(missed: Missed | CatchupWindow): number {
  if (missed === 'skip') return SKIP_WINDOW_MS;
  return missed === 'latest' || missed === 'all' ? YEAR_MS : Number.parseFloat(missed) * 1_000;
}

export function readPolicies({ overlap: temporal, catchupWindow }: Policies): {
  overlap: Overlap;
  missed: Missed | CatchupWindow;
} {
  const overlap = OVERLAPS.find((one) => TEMPORAL_OVERLAPS[one] === temporal) ?? 'skip';
  return { overlap, missed: readMissed(overlap, catchupWindow) };
}

function readMissed(overlap: Overlap, catchupWindowMs: number): Missed | CatchupWindow {
  if (catchupWindowMs <= SKIP_WINDOW_MS) return 'skip';
  if (catchupWindowMs >= YEAR_MS) {
    if (OVERLAPS_OF_LATEST.includes(overlap)) return 'latest';
    if (OVERLAPS_OF_ALL.includes(overlap)) return 'all';
  }
  return `${catchupWindowMs / 1_000}s`;
}
