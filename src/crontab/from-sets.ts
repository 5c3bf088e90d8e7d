import { toRanges } from './calendar-spec.ts';
import { Crontab } from './crontab.ts';
import { FIELD_RULES, type CrontabSets, type FieldRule } from './field.ts';

/**
 * The crontab that selects exactly `sets`, in few words: one step for 0, 15, 30 and 45.
 *
 * @throws {CrontabError} when a set is empty, or when it never fires.
 */
export function crontabOfSets(sets: CrontabSets): Crontab {
  const fields = FIELD_RULES.map((rule) => [rule.name, fieldOf(sets[rule.name], rule)] as const);
  return new Crontab(Object.fromEntries(fields));
}

/** Whether both select the same times, however they are written. */
export function sameSets(one: CrontabSets, other: CrontabSets): boolean {
  return FIELD_RULES.every(({ name }) => one[name].join() === other[name].join());
}

function fieldOf(numbers: readonly number[], { min, max }: FieldRule): string | readonly number[] {
  // an empty one has no text: the list tells the error what it is
  if (numbers.length === 0) return numbers;
  const ranges = toRanges(numbers);
  const [only] = ranges;
  if (ranges.length === 1 && only?.start === min && only.end > max - only.step) {
    if (only.step === 1 && only.end === max) return '*';
    if (only.step > 1 && only.end > only.start) return `*/${only.step}`;
  }
  return ranges.map(({ start, end, step }) => text(start, end, step)).join(',');
}

function text(start: number, end: number, step: number): string {
  if (start === end) return String(start);
  if (step === 1) return `${start}-${end}`;
  // two numbers are shorter than their range
  return start + step === end ? `${start},${end}` : `${start}-${end}/${step}`;
}
