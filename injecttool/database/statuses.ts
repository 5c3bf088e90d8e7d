/** The statuses of submissions, animals and samples, as Django stores them (smallint). */
export const STATUS = {
  waiting: 0,
  loaded: 1,
  submitted: 2,
  error: 3,
  needRevision: 4,
  ready: 5,
  completed: 6,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

const NAMES = {
  0: 'Waiting',
  1: 'Loaded',
  2: 'Submitted',
  3: 'Error',
  4: 'Need Revision',
  5: 'Ready',
  6: 'Completed',
} satisfies Record<Status, string>;

/** The status in words, for logs. */
export function describeStatus(status: number): string {
  const names: Record<number, string> = NAMES;
  return names[status] ?? `status ${status}`;
}
