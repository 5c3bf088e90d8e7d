import { ConfigError } from './errors.ts';

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The longest time that a timer of JavaScript can wait, almost 25 days; a longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A length of time with its unit: `'250ms'`, `'30s'`, `'15m'`, `'1.5h'`, `'7d'`.
 * Bare numbers are refused: Celery reads them as seconds, JavaScript as milliseconds.
 */
export type Duration = `${number}${keyof typeof UNITS_MS}`;

/**
 * The length of `duration` in milliseconds.
 *
 * @param where names the option in the error, for example `"timeLimit of task 'add'"`.
 * @throws {ConfigError} when it is not a non-negative number with a unit.
 */
export function durationMs(duration: Duration, where: string): number {
  // the type says a string, but settings and JavaScript callers hold anything
  const value: unknown = duration;
  if (typeof value === 'number') {
    throw new ConfigError(
      `${where}: expected a duration with a unit, got the number ${value}: ` +
        `Celery would read ${value} seconds ('${value}s'), JavaScript ${value} milliseconds ('${value}ms')`,
      { hint: `Write '${value}s' or '${value}ms'.` },
    );
  }
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) : null;
  if (!match) {
    throw new ConfigError(
      `${where}: expected a duration such as '30s', '15m' or '24h', got ${JSON.stringify(value)}`,
      { hint: 'Units are ms, s, m, h and d.' },
    );
  }
  return Number(match[1]) * UNITS_MS[match[2] as keyof typeof UNITS_MS];
}
