import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Letter } from '../mail/mail.ts';

/** One event that is to be mailed. */
export interface Notice {
  letter: Letter;
  /** The run that it comes from: a repetition of the same run is not counted. */
  source: string;
}

/** A letter and how often what it tells has happened. */
export interface Delivery {
  letter: Letter;
  count: number;
  /** When it happened first, in milliseconds since 1970. */
  sinceMs: number;
}

interface State {
  /** What came since the last mail. */
  pending?: Delivery | undefined;
  /** No mail before this moment, in milliseconds since 1970. */
  nextAtMs: number;
  sources: string[];
}

const KEPT_SOURCES = 1_000;

interface MailActivities {
  __mail(delivery: Delivery, address: string): Promise<void>;
}

const POLICY = {
  startToCloseTimeout: '2m',
  // a mail server that is away comes back; a mail of yesterday helps nobody
  scheduleToCloseTimeout: '1d',
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumInterval: '10m' },
} as const;

const notice = defineSignal<[Notice]>('notice');

/**
 * Sends one kind of mail: the first at once, those that follow within `periodMs` as one, with their number. It ends
 * after a period in which none came.
 */
export async function __mail(
  periodMs: number,
  state: State = { nextAtMs: 0, sources: [] },
): Promise<void> {
  setHandler(notice, ({ letter, source }) => {
    if (state.sources.includes(source)) return;
    state.sources.push(source);
    const { count, sinceMs } = state.pending ?? { count: 0, sinceMs: Date.now() };
    state.pending = { letter, count: count + 1, sinceMs };
  });
  // the first notice comes with the start
  if (state.nextAtMs === 0) await condition(() => state.pending !== undefined, periodMs);
  for (;;) {
    const waitMs = state.nextAtMs - Date.now();
    const full = () => workflowInfo().continueAsNewSuggested;
    if (waitMs > 0 && (await condition(full, waitMs))) {
      await continueAsNew<typeof __mail>(periodMs, {
        ...state,
        sources: state.sources.slice(-KEPT_SOURCES),
      });
    }
    const { pending } = state;
    if (!pending) return;
    state.pending = undefined;
    const failed = await deliver(pending);
    // shown as a failed run, unless there is more to send
    if (failed && !state.pending) throw failed.reason;
    state.nextAtMs = Date.now() + periodMs;
  }
}

/**
 * Sends a letter to each of its addresses, of which one may have to wait while others get it. On a queue of their own,
 * so that a server that hangs keeps no task waiting.
 */
async function deliver(delivery: Delivery): Promise<PromiseRejectedResult | undefined> {
  const taskQueue = `${workflowInfo().taskQueue}/mail`;
  const { __mail } = proxyActivities<MailActivities>({ ...POLICY, taskQueue });
  const { to } = delivery.letter;
  const sent = await Promise.allSettled(to.map(({ address }) => __mail(delivery, address)));
  return sent.find((one) => one.status === 'rejected');
}
