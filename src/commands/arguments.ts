import { InvalidArgumentError } from 'commander';
import { durationMs, type Duration } from '../duration.ts';

// commander shows what these throw together with the option's name

/** @throws {InvalidArgumentError} */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new InvalidArgumentError('Expected a whole number from 1 up.');
  return Number(text);
}

/** @throws {InvalidArgumentError} */
export function duration(text: string): Duration {
  try {
    durationMs(text as Duration, '');
    return text as Duration;
  } catch {
    throw new InvalidArgumentError("Expected a duration such as '30s', '15m' or '24h'.");
  }
}
