import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeOptionalStructuredCalendarSpecs } from '@temporalio/client/lib/schedule-helpers.js';
import { toCalendarSpec } from '../src/crontab/calendar-spec.ts';
import { crontab } from '../src/crontab/crontab.ts';

test('every minute becomes a calendar with every field written out', () => {
  assert.deepEqual(toCalendarSpec(crontab()), {
    second: [{ start: 0, end: 0, step: 1 }],
    minute: [{ start: 0, end: 59, step: 1 }],
    hour: [{ start: 0, end: 23, step: 1 }],
    dayOfMonth: [{ start: 1, end: 31, step: 1 }],
    month: [{ start: 'JANUARY', end: 'DECEMBER', step: 1 }],
    dayOfWeek: [{ start: 'SUNDAY', end: 'SATURDAY', step: 1 }],
    comment: '* * * * *',
  });
});

test('a weekly crontab keeps its minute, its hour and its weekday', () => {
  const { minute, hour, dayOfWeek, comment } = toCalendarSpec(
    crontab({ minute: 0, hour: 1, dayOfWeek: 'sunday' }),
  );
  assert.deepEqual(minute, [{ start: 0, end: 0, step: 1 }]);
  assert.deepEqual(hour, [{ start: 1, end: 1, step: 1 }]);
  assert.deepEqual(dayOfWeek, [{ start: 'SUNDAY', end: 'SUNDAY', step: 1 }]);
  assert.equal(comment, '0 1 * * sunday');
});

test('regular sets become one range with a step', () => {
  const { minute, month } = toCalendarSpec(crontab({ minute: '*/15', monthOfYear: '*/3' }));
  assert.deepEqual(minute, [{ start: 0, end: 45, step: 15 }]);
  assert.deepEqual(month, [{ start: 'JANUARY', end: 'OCTOBER', step: 3 }]);
});

test('wrapped ranges become two ranges', () => {
  const { hour, dayOfWeek } = toCalendarSpec(crontab({ hour: '22-2', dayOfWeek: 'fri-mon' }));
  assert.deepEqual(hour, [
    { start: 0, end: 2, step: 1 },
    { start: 22, end: 23, step: 1 },
  ]);
  assert.deepEqual(dayOfWeek, [
    { start: 'SUNDAY', end: 'MONDAY', step: 1 },
    { start: 'FRIDAY', end: 'SATURDAY', step: 1 },
  ]);
});

test('a number before a regular run stands alone', () => {
  assert.deepEqual(toCalendarSpec(crontab({ minute: '0,30-36/3' })).minute, [
    { start: 0, end: 0, step: 1 },
    { start: 30, end: 36, step: 3 },
  ]);
});

test('what the SDK sends expands to the same sets', () => {
  const lines = ['* * * * *', '5,6,9,50-10/7 0 1-7,13,31 nov-feb 5-7', '0,1,3,4,59 */5 */10 2 mon'];
  for (const line of lines) {
    const value = crontab.parse(line);
    const [sent] = encodeOptionalStructuredCalendarSpecs([toCalendarSpec(value)]) ?? [];
    assert.deepEqual(expand(sent?.second), [0]);
    assert.deepEqual(expand(sent?.minute), value.sets.minute);
    assert.deepEqual(expand(sent?.hour), value.sets.hour);
    assert.deepEqual(expand(sent?.dayOfMonth), value.sets.dayOfMonth);
    assert.deepEqual(expand(sent?.month), value.sets.monthOfYear);
    assert.deepEqual(expand(sent?.dayOfWeek), value.sets.dayOfWeek);
  }
});

test('the comment may be another text', () => {
  assert.equal(toCalendarSpec(crontab(), 'at noon').comment, 'at noon');
});

test('a comment that the server would refuse is cut at 200 bytes, between characters', () => {
  const { comment = '' } = toCalendarSpec(crontab(), 'è'.repeat(150));
  assert.equal(comment, `${'è'.repeat(98)}…`);
  assert.ok(Buffer.byteLength(comment) <= 200);
  assert.equal(toCalendarSpec(crontab(), 'e'.repeat(200)).comment, 'e'.repeat(200));
});

interface SentRange {
  start?: number | null;
  end?: number | null;
  step?: number | null;
}

/** As the server does in `iterateRanges` of service/worker/scheduler/calendar.go. */
function expand(ranges: SentRange[] | null | undefined): number[] {
  const numbers: number[] = [];
  for (const range of ranges ?? []) {
    const { start, end, step } = {
      start: range.start ?? 0,
      end: range.end ?? 0,
      step: range.step || 1,
    };
    for (let number = start; number <= end; number += step) numbers.push(number);
  }
  return numbers;
}
