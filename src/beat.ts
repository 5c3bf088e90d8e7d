/**
 * What the attempts of one call tell each other, and those who look on: the details of the activity's heartbeat.
 * Temporal hands the last ones to the next attempt, also after a crash; the workflow hands them over a parked round.
 */
export interface Beat {
  /** Attempts of the rounds before this one. */
  earlier: number;
  /** Those of them that crashed. */
  crashed: number;
  /** Attempts of this round that ended by themselves, for whatever reason; the others crashed. */
  ended: number;
  /** How many times the task asked to be run again. */
  retries: number;
  /** How many times in a row Redis was away. */
  waits: number;
  /** Whether the task's code has ever been entered. */
  begun: boolean;
  /** What the task last gave to `progress()`. */
  progress?: unknown;
}

/** Heartbeat details as a beat; those of a first attempt, or of somebody else's, count as none. */
export function readBeat(details: unknown): Beat {
  const { earlier, crashed, ended, retries, waits, begun, progress } = (
    typeof details === 'object' && details !== null ? details : {}
  ) as Partial<Record<keyof Beat, unknown>>;
  return {
    earlier: readCount(earlier),
    crashed: readCount(crashed),
    ended: readCount(ended),
    retries: readCount(retries),
    waits: readCount(waits),
    begun: begun === true,
    progress,
  };
}

function readCount(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
