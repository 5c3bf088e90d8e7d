import type { CarriedOptions } from './call-options.ts';
import type { Beat } from './beat.ts';

/** What a call that waits for its lock takes along from one round to the next. */
export interface Carry {
  /** How many times the task's activity was scheduled before. */
  rounds: number;
  /** The run id that the call had in its first round: its place in the queue is kept under it. */
  firstRunId: string;
  beat: Beat;
  /** When it began to wait, in milliseconds since 1970. */
  sinceMs: number;
  /** How long it is parked, if nobody wakes it. */
  againMs: number;
}

/** What an activity answers when its call is to wait in the workflow; in the details of its failure. */
export interface Parking {
  lockId: string;
  carry: Carry;
}

/** Until when a routine's run may begin, in milliseconds since 1970, and why not later. */
export interface BeginBy {
  ms: number;
  reason: string;
}

/** The failure type of a run that was too late to begin. The workflow knows it too. */
export const EXPIRED_TYPE = 'Expired';

/** The argument of the activity `__call`: a call of which more is to be told than its arguments. */
export interface ToldCall {
  task: string;
  args: unknown[];
  options?: CarriedOptions | undefined;
  carry?: Carry | undefined;
  beginBy?: BeginBy | undefined;
}

/** What Sedano keeps in the memo of a call's workflow, under `sedano`. */
export interface CallMemo {
  options?: CarriedOptions | undefined;
  carry?: Carry | undefined;
  /** Of a routine's run that goes on in a new run of its workflow. */
  beginBy?: BeginBy | undefined;
  /** The lock that the call waits for, for those who look on. */
  waiting?: { lockId: string; sinceMs: number };
}

/** The failure type of an attempt whose call is to be parked. The workflow knows it too. */
export const PARKED_TYPE = 'LockBusy';

/** Whose place in a queue it is. */
export interface ParkedPlace {
  id: string;
  firstRunId: string;
}

/** The owner of a call's place, kept under the run id of its first round. */
export function parkedOwner(namespace: string, { id, firstRunId }: ParkedPlace): string {
  return `wf:${namespace}:${id}:${firstRunId}`;
}

/** Undefined when the owner is of another namespace. */
export function readParkedOwner(owner: string, namespace: string): ParkedPlace | undefined {
  const prefix = `wf:${namespace}:`;
  const end = owner.lastIndexOf(':');
  if (!owner.startsWith(prefix) || end < prefix.length) return undefined;
  return { id: owner.slice(prefix.length, end), firstRunId: owner.slice(end + 1) };
}
