import assert from 'node:assert/strict';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { every, Sedano } from 'sedano';

/** A run that a routine's schedule has started, as the server lists it. */
export interface Run {
  routine: string;
  /** Of its call. */
  id: string;
  /** Without jitter. */
  due: number;
  started: number;
  /** Undefined while it goes on. */
  closed: number | undefined;
  status: string;
}

const DUE = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');
const TIME = /-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** All runs of the app's routines, in the order of their due times. */
export async function runsOf(app: Sedano): Promise<Run[]> {
  const runs: Run[] = [];
  const query = `TemporalScheduledById STARTS_WITH "${app.name}/"`;
  for await (const run of app.client.temporal.workflow.list({ query })) {
    const { workflowId: id, startTime, closeTime, status, typedSearchAttributes } = run;
    const due = typedSearchAttributes.get(DUE);
    assert.ok(due, `${id} has a due time`);
    runs.push({
      routine: id.slice(app.name.length + 1).replace(TIME, ''),
      id,
      due: due.getTime(),
      started: startTime.getTime(),
      closed: closeTime?.getTime(),
      status: status.name,
    });
  }
  return runs.toSorted((one, other) => one.due - other.due);
}

type Interval = ReturnType<typeof every>;

/** The due times after `from`, up to `to`. */
export function duesBetween(interval: Interval, from: number, to: number): number[] {
  const dues = interval.next({ from: new Date(from), count: 100 }).map((date) => date.getTime());
  return dues.filter((due) => due <= to);
}

/** The first due time after `from`. */
export function dueAfter(interval: Interval, from: number): number {
  const [due] = interval.next({ from: new Date(from) });
  assert.ok(due);
  return due.getTime();
}
