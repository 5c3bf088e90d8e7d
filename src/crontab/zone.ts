import { shown } from './field.ts';
import { ConfigError } from '../errors.ts';

const SECOND_MS = 1_000;

// the names of up to three letters in the IANA database
const SHORT_NAMES = 'UTC UCT GMT WET CET MET EET EST MST HST PRC ROC ROK GB NZ'.split(' ');

// a formatter costs about 50 microseconds and many kilobytes, a look-up with one about one
const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * Checks that `timezone` is a name of the IANA database, in its own spelling.
 *
 * The server refuses `europe/rome`, `+02:00` and `PST`, which `Intl` takes, and takes `Local`,
 * which means whatever its machine is set to: all four are refused.
 *
 * @param where names the option in the error, for example `"timezone of routine 'nightly'"`.
 * @throws {ConfigError}
 */
export function assertTimezone(timezone: string, where: string): void {
  zoneFormatter(timezone, where);
}

/** Wall clock to instant and back, in one time zone. All times are milliseconds since 1970. */
export class CalendarZone {
  readonly #formatter: Intl.DateTimeFormat;

  /** @throws {ConfigError} when `timezone` is unknown; `where` begins the error. */
  constructor(timezone: string, where: string) {
    this.#formatter = zoneFormatter(timezone, where);
  }

  /** The zone's wall clock at `instant`: a Date whose UTC parts are the wall clock's. */
  wallClockAt(instant: number): Date {
    return new Date(instant + this.#offsetAt(instant));
  }

  /**
   * The instant at which the wall clock shows `wallTime` (written as if it were UTC).
   *
   * This is Go's `time.Date`, which Temporal's scheduler uses: of a repeated time it gives the
   * second copy at or east of Greenwich and the first west of it; a time that is skipped becomes
   * a neighbouring one.
   */
  instantAt(wallTime: number): number {
    const guess = this.#offsetAt(wallTime);
    return guess === 0 ? wallTime : wallTime - this.#offsetAt(wallTime - guess);
  }

  /** How far the wall clock is ahead of UTC. */
  #offsetAt(instant: number): number {
    const match = /GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?$/.exec(this.#formatter.format(instant));
    if (!match?.[1]) return 0;
    const [, sign, hours, minutes, seconds = 0] = match;
    const length = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
    return (sign === '-' ? -length : length) * SECOND_MS;
  }
}

function zoneFormatter(timezone: string, where: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone);
  if (known) return known;
  const formatter = openFormatter(timezone);
  if (formatter) checkSpelling(timezone, formatter.resolvedOptions().timeZone, where);
  if (!formatter || !isDatabaseName(timezone)) {
    throw new ConfigError(
      `${where}: expected a time zone such as 'UTC' or 'Europe/Rome', got ${shown(timezone)}`,
      { hint: "Names are those of the IANA database, in its spelling; 'Local' is not one." },
    );
  }
  formatters.set(timezone, formatter);
  return formatter;
}

function checkSpelling(timezone: string, spelling: string, where: string): void {
  if (spelling === timezone || spelling.toLowerCase() !== timezone.toLowerCase()) return;
  throw new ConfigError(`${where}: unknown time zone '${timezone}', expected '${spelling}'`, {
    hint: 'The Temporal server tells upper from lower case in the names of time zones.',
  });
}

function openFormatter(timezone: unknown): Intl.DateTimeFormat | undefined {
  // undefined would mean the zone of this machine
  if (typeof timezone !== 'string') return undefined;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  } catch {
    return undefined;
  }
}

/** False for what only `Intl` knows: offsets, abbreviations such as PST, ASIA/KOLKATA, SystemV/PST8. */
function isDatabaseName(timezone: string): boolean {
  if (timezone.length <= 3) return SHORT_NAMES.includes(timezone);
  return /^[A-Z]/.test(timezone) && !/^(?:SystemV|[A-Z]{4,})\//.test(timezone);
}
