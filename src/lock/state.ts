import type { LockHolder } from './lock.ts';

/** What is known of a lock at a moment. */
export interface LockState {
  lockId: string;
  /** Who holds it; undefined when it is free. */
  holder: LockHolder | undefined;
  /** When the hold began. */
  since: Date | undefined;
  /** What is left of the lease; 0 when it is free. */
  leftMs: number;
  /** The fence of the hold. */
  fence: string | undefined;
  /** Whether the holder has been told to let go. */
  revoked: boolean;
  waiters: {
    count: number;
    /** The first ten. */
    first: LockWaiter[];
  };
  /** How the last hold ended, as long as that is known: a day. */
  lastEnd: LockEnd | undefined;
}

/** A place in the queue of a lock. */
export interface LockWaiter {
  /** From 0. */
  rank: number;
  owner: string;
  /** Whether a process waits, or a workflow in which the call is parked. */
  kind: 'process' | 'parked';
}

/** How a hold ended. */
export interface LockEnd {
  /** Given back; given back because it was asked for; taken away by hand; its lease ran out. */
  how: 'released' | 'revoked' | 'forced' | 'expired';
  fence: string;
  /** Who asked for it or took it away, empty otherwise. */
  who: string;
}

/** Reads the reply of the inspect script; undefined where nothing is known of the lock. */
export function readState(lockId: string, reply: string[]): LockState | undefined {
  const [left, lastFence = '', lastEnd = '', count, fence, , meta = '', since, rev, ...waiters] =
    reply;
  const isHeld = fence !== '';
  const length = Number(count);
  if (!isHeld && length === 0 && lastFence === '' && lastEnd === '') return undefined;
  return {
    lockId,
    holder: isHeld ? (JSON.parse(meta) as LockHolder) : undefined,
    since: isHeld ? new Date(Number(since)) : undefined,
    leftMs: isHeld ? Number(left) : 0,
    fence: isHeld ? fence : undefined,
    revoked: rev !== '',
    waiters: { count: length, first: readWaiters(waiters) },
    lastEnd: readEnd(lastEnd, isHeld ? '' : lastFence),
  };
}

function readWaiters(pairs: string[]): LockWaiter[] {
  return pairs.flatMap((owner, index) =>
    index % 2 === 0
      ? [{ rank: index / 2, owner, kind: pairs[index + 1] === 'parked' ? 'parked' : 'process' }]
      : [],
  );
}

/** @param ended the fence of the last grant, where that hold has ended; empty otherwise */
function readEnd(text: string, ended: string): LockEnd | undefined {
  const [, how, fence = '', who = ''] =
    /^(released|revoked|forced) (\d+) \S+ (.*)$/s.exec(text) ?? [];
  // a lease that runs out leaves no word
  if (ended !== '' && ended !== fence) return { how: 'expired', fence: ended, who: '' };
  return how === undefined ? undefined : { how: how as LockEnd['how'], fence, who };
}
