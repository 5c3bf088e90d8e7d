/**
 * What the attempts of one call tell each other, and those who look on: the details of the activity's heartbeat.
 * Temporal hands the last ones to the next attempt, also after a crash.
 */
export interface Beat {
  /** Attempts that ended by themselves, for whatever reason; the others crashed. */
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
  const { ended, retries, waits, begun, progress } = (
    typeof details === 'object' && details !== null ? details : {}
  ) as Partial<Record<keyof Beat, unknown>>;
  return {
    ended: typeof ended === 'number' ? ended : 0,
    retries: typeof retries === 'number' ? retries : 0,
    waits: typeof waits === 'number' ? waits : 0,
    begun: begun === true,
    progress,
  };
}
