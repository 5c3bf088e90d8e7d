import { MONTHS, WEEKDAYS, type CrontabSets } from './field.ts';

// more times than these are not listed one by one
const MOST_TIMES = 6;

/**
 * The sets of a crontab in words: `every 15 minutes`, `at 12:00 every day`, `at 01:00 on Sundays`,
 * `at 00:00 on day 1 of every month`. Equal sets give equal words.
 */
export function describeSets(sets: CrontabSets): string {
  return [timeWords(sets), dayWords(sets)].filter((words) => words !== '').join(' ');
}

function timeWords(sets: CrontabSets): string {
  const { minute, hour } = sets;
  if (hour.length === 24) return everyHourWords(minute);
  const hourStep = wholeDayStep(sets);
  if (hourStep) return every(hourStep, 'hour');
  const step = stepOver(minute, 60);
  const span = cyclicRun(hour, 0, 23);
  if (span && (step || (minute.length === 1 && hour.length > 2))) {
    const first = clock(span.first, minute[0] ?? 0);
    const last = clock(span.last, minute.at(-1) ?? 0);
    return `${step ? every(step, 'minute') : 'every hour'} between ${first} and ${last}`;
  }
  if (minute.length * hour.length <= MOST_TIMES) {
    return `at ${listed(hour.flatMap((h) => minute.map((m) => clock(h, m))))}`;
  }
  const minutes = step ? every(step, 'minute') : `at ${counted('minute', minute)}`;
  return `${minutes} of ${counted('hour', hour)}`;
}

function everyHourWords(minute: readonly number[]): string {
  const step = stepOver(minute, 60);
  if (step) return every(step, 'minute');
  if (minute.length === 1 && minute[0] === 0) return 'every hour';
  return `at ${counted('minute', minute)} of every hour`;
}

function dayWords(sets: CrontabSets): string {
  const { dayOfMonth, dayOfWeek, monthOfYear } = sets;
  const weekdays = dayOfWeek.length < 7 && weekdayWords(dayOfWeek);
  if (dayOfMonth.length === 31) {
    // "every 15 minutes" needs no "every day"
    const isAllDay = sets.hour.length === 24 || wholeDayStep(sets) !== undefined;
    const days = weekdays || (isAllDay ? '' : 'every day');
    return [days, monthWords(monthOfYear, 'in')].filter((words) => words !== '').join(' ');
  }
  const months = monthWords(monthOfYear, 'of') || 'of every month';
  const dates = `on ${counted('day', dayOfMonth)} ${months}`;
  return weekdays ? `${dates}, but only ${weekdays}` : dates;
}

/** The step of times on the hour, spread evenly over the day. */
function wholeDayStep({ minute, hour }: CrontabSets): number | undefined {
  const isOnTheHour = minute.length === 1 && minute[0] === 0;
  return isOnTheHour && hour.length > 2 ? stepOver(hour, 24) : undefined;
}

function weekdayWords(days: readonly number[]): string {
  const run = days.length > 2 && cyclicRun(days, 0, 6);
  if (run) return `from ${WEEKDAYS[run.first]} to ${WEEKDAYS[run.last]}`;
  return `on ${listed(days.map((day) => `${WEEKDAYS[day]}s`))}`;
}

function monthWords(months: readonly number[], preposition: 'in' | 'of'): string {
  if (months.length === 12) return '';
  const run = months.length > 2 && cyclicRun(months, 1, 12);
  if (run) {
    const span = `from ${MONTHS[run.first - 1]} to ${MONTHS[run.last - 1]}`;
    return preposition === 'of' ? `of every month ${span}` : span;
  }
  return `${preposition} ${listed(months.map((month) => MONTHS[month - 1] ?? ''))}`;
}

/** The step that walks from 0 over the whole `circle` and gives exactly `numbers`. */
function stepOver(numbers: readonly number[], circle: number): number | undefined {
  const step = circle / numbers.length;
  return numbers.length > 1 && numbers.every((number, index) => number === index * step)
    ? step
    : undefined;
}

/** First and last of numbers that follow one another, the field's `max` being followed by its `min`. */
function cyclicRun(
  numbers: readonly number[],
  min: number,
  max: number,
): { first: number; last: number } | undefined {
  const isSelected = (number: number) => numbers.includes(number);
  const firsts = numbers.filter((number) => !isSelected(number === min ? max : number - 1));
  const lasts = numbers.filter((number) => !isSelected(number === max ? min : number + 1));
  const [first] = firsts;
  const [last] = lasts;
  if (firsts.length !== 1 || first === undefined || last === undefined) return undefined;
  return { first, last };
}

function every(step: number, unit: string): string {
  return step === 1 ? `every ${unit}` : `every ${step} ${unit}s`;
}

/** `day 1`, `days 1 and 15`, `days 1 to 7 and 15`. */
function counted(unit: string, numbers: readonly number[]): string {
  const runs: string[] = [];
  for (let index = 0; index < numbers.length;) {
    const length = runLength(numbers, index);
    const taken = numbers.slice(index, index + (length > 2 ? length : 1));
    runs.push(length > 2 ? `${taken[0]} to ${taken.at(-1)}` : `${taken[0]}`);
    index += taken.length;
  }
  return `${unit}${numbers.length === 1 ? '' : 's'} ${listed(runs)}`;
}

function runLength(numbers: readonly number[], start: number): number {
  let length = 1;
  while (numbers[start + length] === (numbers[start] ?? 0) + length) length += 1;
  return length;
}

function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}

function clock(hour: number, minute: number): string {
  return `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
}
