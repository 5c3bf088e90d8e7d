import { SedanoError } from 'sedano';

// How columns are read wherever the two drivers differ by themselves.

/** A `bigint` as a number, as Django's ids are; the drivers alone say string, number or BigInt. */
export function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new SedanoError(`expected a bigint that a number can hold, got ${text}`);
  }
  return value;
}

/** Dates without a zone stay text: each driver would read them in a zone of its own choice. */
export function keepText(text: string): string {
  return text;
}
