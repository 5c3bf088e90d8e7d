import { setTimeout as delay } from 'node:timers/promises';
import type { ScheduleSummary } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { TemporalUnavailableError } from '../errors.ts';
import { getTaskLogger } from '../logger.ts';
import { checkRoutines, OVERDUE_AFTER_MS, type CheckFinding } from './check.ts';
import { scheduleId } from './definition.ts';
import { settleFinished } from './finished.ts';
import { createMissing, isPast } from './sync.ts';

const INTERVAL_MS = 30_000;
const SETTLE_INTERVAL_MS = 60_000;
// settling reads the whole list: with ten thousand routines it takes seconds
const SETTLE_SHARE = 50;
const IDS_IN_QUERY = 500;

/**
 * Looks after the table's schedules while a worker runs: creates those that have vanished, as they do with a server
 * that keeps them in memory, warns of due times that became nothing, and pauses what is done. Any number of workers may
 * do so. A server that is away is asked again the next time.
 *
 * @returns what ends it
 */
export function watchRoutines(
  app: Sedano,
  { intervalMs = INTERVAL_MS }: { intervalMs?: number } = {},
): () => Promise<void> {
  const closing = new AbortController();
  const watched = new Watchdog(app).run(intervalMs, closing.signal);
  return async () => {
    closing.abort(new Error('the worker stops'));
    await watched;
  };
}

class Watchdog {
  readonly #app: Sedano;
  readonly #logger = getTaskLogger('sedano');
  /** The due time of each routine that was warned of: once is enough. */
  readonly #warnedOf = new Map<string, string>();
  #settleAtMs = performance.now() + SETTLE_INTERVAL_MS;

  constructor(app: Sedano) {
    this.#app = app;
  }

  async run(intervalMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await delay(intervalMs, undefined, { signal });
        await withOwnSignal(signal, (round) =>
          this.#app.client.temporal.withAbortSignal(round, () => this.#look()),
        );
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof TemporalUnavailableError) continue;
        this.#logger.warn({ err: error }, 'The routines could not be checked; trying again');
      }
    }
  }

  async #look(): Promise<void> {
    const suspects = await listSuspects(this.#app);
    const findings = suspects.length === 0 ? [] : await checkRoutines(this.#app, suspects);
    const vanished = findings.filter(({ problem }) => problem === 'vanished');
    // not a whole sync: of two releases without a number the older one would have the last word
    const created = await createMissing(
      this.#app,
      vanished.map(({ name }) => name),
    );
    if (created.length > 0) {
      this.#logger.warn({ created }, 'Schedules of routines had vanished, and were created again');
    }
    this.#warnOf(findings.filter(({ problem }) => problem === 'overdue'));
    await this.#settle();
  }

  #warnOf(overdue: readonly CheckFinding[]): void {
    for (const { name, message, due = '' } of overdue) {
      if (this.#warnedOf.get(name) === due) continue;
      this.#warnedOf.set(name, due);
      this.#logger.warn({ routine: name, due }, `Routine '${name}': ${message}`);
    }
  }

  async #settle(): Promise<void> {
    const startedAtMs = performance.now();
    if (startedAtMs < this.#settleAtMs) return;
    const done = await settleFinished(this.#app);
    if (done.length > 0) this.#logger.info({ done }, 'Routines paused after their one run');
    const endedAtMs = performance.now();
    const pauseMs = Math.max(SETTLE_INTERVAL_MS, SETTLE_SHARE * (endedAtMs - startedAtMs));
    this.#settleAtMs = endedAtMs + pauseMs;
  }
}

/** The requests of one round listen to a signal of their own, since the SDK never takes its listeners away. */
async function withOwnSignal(
  signal: AbortSignal,
  work: (own: AbortSignal) => Promise<void>,
): Promise<void> {
  const own = new AbortController();
  const abort = () => own.abort(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    await work(own.signal);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The routines of the table that the list lacks, or shows with a due time that has passed; it is a second or two behind. */
async function listSuspects(app: Sedano): Promise<string[]> {
  const names = [...app.routineTable].flatMap(([name, routine]) => (isPast(routine) ? [] : [name]));
  const suspects: string[] = [];
  for (let start = 0; start < names.length; start += IDS_IN_QUERY) {
    const some = names.slice(start, start + IDS_IN_QUERY);
    const listed = await listByNames(app, some);
    suspects.push(
      ...some.filter((name) => {
        const schedule = listed.get(scheduleId(app, name));
        return !schedule || isLate(schedule);
      }),
    );
  }
  return suspects;
}

async function listByNames(
  app: Sedano,
  names: readonly string[],
): Promise<Map<string, ScheduleSummary>> {
  const ids = names.map((name) => JSON.stringify(scheduleId(app, name)));
  const query = `ScheduleId IN (${ids.join(', ')})`;
  return await app.client.request(async ({ schedule }) => {
    const listed = new Map<string, ScheduleSummary>();
    for await (const one of schedule.list({ query, pageSize: IDS_IN_QUERY })) {
      listed.set(one.scheduleId, one);
    }
    return listed;
  });
}

function isLate({ state, info }: ScheduleSummary): boolean {
  const [next] = info.nextActionTimes;
  return !state.paused && next !== undefined && next.getTime() < Date.now() - OVERDUE_AFTER_MS;
}
