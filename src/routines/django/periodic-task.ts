/** A row of django-celery-beat's PeriodicTask with the schedules it refers to; texts are as they are stored. */
export interface PeriodicTask {
  name: string;
  task: string;
  /** JSON, as far as Django knows. */
  args: string;
  kwargs: string;
  headers: string;
  queue: string | null;
  exchange: string | null;
  routingKey: string | null;
  priority: number | null;
  /** Milliseconds since 1970; PostgreSQL's `infinity` is Infinity. */
  expiresMs: number | null;
  expireSeconds: number | null;
  startTimeMs: number | null;
  oneOff: boolean;
  enabled: boolean;
  totalRunCount: number;
  description: string;
  /** Django fills exactly one of the four; the database does not insist on it. */
  crontab: CrontabRow | null;
  interval: IntervalRow | null;
  /** Milliseconds since 1970. */
  clockedMs: number | null;
  /** The event's name. */
  solar: string | null;
}

/** An IntervalSchedule: `every` times a period such as `minutes`. */
export interface IntervalRow {
  every: number;
  period: string;
}

/** The five fields and the zone of a CrontabSchedule. */
export interface CrontabRow {
  minute: string;
  hour: string;
  dayOfWeek: string;
  dayOfMonth: string;
  monthOfYear: string;
  timezone: string;
}
