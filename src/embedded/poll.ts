import { setTimeout as delay } from 'node:timers/promises';

export interface PollOptions {
  /** Gives up after this long. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Pause between two probes, default 50 ms. */
  everyMs?: number;
}

/**
 * Probes until there is an answer, and returns it; undefined when the time is over.
 * What a probe throws ends the wait.
 *
 * @throws the signal's reason when it aborts.
 */
export async function pollUntil<Answer>(
  probe: () => Promise<Answer | undefined> | Answer | undefined,
  { timeoutMs, signal, everyMs = 50 }: PollOptions,
): Promise<Answer | undefined> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (Date.now() >= deadline) return undefined;
    await pause(everyMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    // the timer throws an AbortError of its own
    signal?.throwIfAborted();
    throw error;
  }
}
