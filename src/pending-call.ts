import type { WorkflowExecutionDescription } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { RETRY_TYPE } from './failure.ts';
import { readBeat } from './beat.ts';
import type { CallMemo } from './parking.ts';

/** What Temporal knows of a call that has not ended. */
export interface PendingCall {
  state: 'PENDING' | 'STARTED' | 'RETRY';
  /** Whether a worker has ever begun it. */
  begun: boolean;
  /** What the task last gave to `progress()`. */
  progress: unknown;
}

// STARTED and CANCEL_REQUESTED of temporal.api.enums.v1.PendingActivityState; `raw` holds numbers
const RUNNING_STATES = new Set([2, 3]);

// started, workflow task scheduled, workflow task started
const EVENTS_BEFORE_ACTIVITY = 3;

/** Reads the one pending activity of a call's workflow. */
export function describePending(description: WorkflowExecutionDescription): PendingCall {
  const { raw, historyLength, memo } = description;
  const [activity] = raw.pendingActivities ?? [];
  if (!activity) {
    // it waits for its lock, with nothing that could be in the way of its end
    const { waiting } = (memo?.['sedano'] ?? {}) as CallMemo;
    if (waiting) return { state: 'PENDING', begun: true, progress: undefined };
    // between two activities, or before the first
    const begun = historyLength > EVENTS_BEFORE_ACTIVITY;
    return { state: begun ? 'STARTED' : 'PENDING', begun, progress: undefined };
  }
  if (activity.activityType?.name === 'afterFailure')
    return { state: 'STARTED', begun: true, progress: undefined };
  const failureType = activity.lastFailure?.applicationFailureInfo?.type;
  const running = RUNNING_STATES.has(Number(activity.state));
  const [payload] = activity.heartbeatDetails?.payloads ?? [];
  const details: unknown = payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
  return {
    state: running ? 'STARTED' : failureType === RETRY_TYPE ? 'RETRY' : 'PENDING',
    begun: running || readBeat(details).begun,
    progress: readBeat(details).progress,
  };
}
