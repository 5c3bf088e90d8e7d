import { assertKeys } from '../checks.ts';
import { ConfigError } from '../errors.ts';
import { shown } from './field.ts';

/** What `next` of a schedule takes. */
export interface NextOptions {
  /** The times come strictly after this one. @default now */
  from?: Date;
  /** How many times, from 1. @default 1 */
  count?: number;
  /** An IANA name, for example `'Europe/Rome'`. Only a crontab has a wall clock. @default 'UTC' */
  timezone?: string;
}

/**
 * @param where what an error begins with, for example `crontab.next`.
 * @throws {ConfigError} when an option is unknown or wrong. The zone is not looked up here.
 */
export function readNextOptions(options: NextOptions, where: string): Required<NextOptions> {
  assertKeys(options, ['from', 'count', 'timezone'], where);
  const { from = new Date(), count = 1, timezone = 'UTC' } = options;
  if (!(from instanceof Date) || Number.isNaN(from.getTime())) {
    throw new ConfigError(`${where}: expected from to be a valid Date, got ${shown(from)}`);
  }
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new ConfigError(
      `${where}: expected count to be a whole number from 1, got ${shown(count)}`,
    );
  }
  return { from, count, timezone };
}
