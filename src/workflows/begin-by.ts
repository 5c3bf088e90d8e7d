import { workflowInfo } from '@temporalio/workflow';
import type { BeginBy } from '../parking.ts';
import type { ActionMemo } from '../routines/definition.ts';

/** What a routine says of how late its runs may begin; everything may be missing, since anybody can write a memo. */
export type LateRule = Partial<ActionMemo['extra']>;

// the shortest catch-up window of the server: whoever was down, a run is late after the same time
const LATE_MS = 10_000;

const DUE = 'TemporalScheduledStartTime';

/** Until when the run that executes here may begin; undefined for any time. */
export function beginByOfRun(rule: LateRule): BeginBy | undefined {
  const { startTime, typedSearchAttributes } = workflowInfo();
  const due = typedSearchAttributes.getAll().find(({ key }) => key.name === DUE)?.value;
  return beginByOf(rule, { due: due instanceof Date ? due : startTime, started: startTime });
}

/**
 * Until when a run may begin.
 *
 * @param times.due without its jitter, as the server notes it.
 * @param times.started when the server started the run.
 */
export function beginByOf(
  rule: LateRule,
  { due, started }: { due: Date; started: Date },
): BeginBy | undefined {
  const { missed, overlap, expiresMs, jitterMs = 0 } = rule;
  const limits: BeginBy[] = [];
  const dueMs = due.getTime() + jitterMs;
  if (typeof expiresMs === 'number') {
    limits.push({
      ms: dueMs + expiresMs,
      reason: `its routine's runs expire ${expiresMs / 1_000} s after their due time, here ${due.toISOString()}`,
    });
  }
  if (missed === 'skip') {
    // one that waits for the run before is not late: nobody was down
    const queues = overlap === 'bufferOne' || overlap === 'bufferAll';
    limits.push({
      ms: (queues ? started.getTime() : dueMs) + LATE_MS,
      reason: `its routine skips what is more than ${LATE_MS / 1_000} s late (missed 'skip'); it was due at ${due.toISOString()}`,
    });
  }
  return limits.sort((one, other) => one.ms - other.ms)[0];
}
