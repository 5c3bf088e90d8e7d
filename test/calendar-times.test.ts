import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crontab } from '../src/crontab/crontab.ts';

/** A crontab line, where and from when, and the next times as the server has them. */
interface ClockChange {
  title: string;
  line: string;
  timezone: string;
  from: string;
  times: string[];
}

const clockChanges: ClockChange[] = [
  {
    title: 'Rome fires the hour before the repeated one twice: 01:30 and 02:30 CEST',
    line: '30 1 * * *',
    timezone: 'Europe/Rome',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-30T23:30:00Z', '2027-10-31T00:30:00Z', '2027-11-01T00:30:00Z'],
  },
  {
    title: 'Rome fires a weekly 01:00 twice on the Sunday of the change',
    line: '0 1 * * 0',
    timezone: 'Europe/Rome',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-30T23:00:00Z', '2027-10-31T00:00:00Z', '2027-11-07T00:00:00Z'],
  },
  {
    title: 'Rome fires the repeated hour once, in its second copy: 02:30 CET',
    line: '30 2 * * *',
    timezone: 'Europe/Rome',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-31T01:30:00Z', '2027-11-01T01:30:00Z'],
  },
  {
    title: 'Rome fires 02:00 CET and then 03:15 for the quarters of the repeated hour',
    line: '*/15 2 31 10 *',
    timezone: 'Europe/Rome',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-31T01:00:00Z', '2027-10-31T02:15:00Z', '2028-10-31T01:00:00Z'],
  },
  {
    title: 'Rome skips 02:30 on the day on which it does not exist',
    line: '30 2 * * *',
    timezone: 'Europe/Rome',
    from: '2027-03-27T12:00:00Z',
    times: ['2027-03-29T00:30:00Z', '2027-03-30T00:30:00Z'],
  },
  {
    title: 'Rome goes on at 03:00 after the hour that is skipped',
    line: '0,30 1-3 * * *',
    timezone: 'Europe/Rome',
    from: '2027-03-27T12:00:00Z',
    times: [
      '2027-03-28T00:00:00Z',
      '2027-03-28T00:30:00Z',
      '2027-03-28T01:00:00Z',
      '2027-03-28T01:30:00Z',
      '2027-03-28T23:00:00Z',
    ],
  },
  {
    title: 'London fires the hour before the repeated one twice: 00:30 and 01:30 BST',
    line: '30 0 * * *',
    timezone: 'Europe/London',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-30T23:30:00Z', '2027-10-31T00:30:00Z', '2027-11-01T00:30:00Z'],
  },
  {
    title: 'London fires the repeated hour once, in its second copy: 01:30 GMT',
    line: '30 1 * * *',
    timezone: 'Europe/London',
    from: '2027-10-30T12:00:00Z',
    times: ['2027-10-31T01:30:00Z', '2027-11-01T01:30:00Z'],
  },
  {
    title: 'London skips 01:30 on the day on which it does not exist',
    line: '30 1 * * *',
    timezone: 'Europe/London',
    from: '2027-03-27T12:00:00Z',
    times: ['2027-03-29T00:30:00Z', '2027-03-30T00:30:00Z'],
  },
  {
    title: 'New York fires a repeated time twice: 01:30 EDT and 01:30 EST',
    line: '30 1 * * *',
    timezone: 'America/New_York',
    from: '2027-11-06T12:00:00Z',
    times: ['2027-11-07T05:30:00Z', '2027-11-07T06:30:00Z', '2027-11-08T06:30:00Z'],
  },
  {
    title: 'New York loses none of the hourly times when the clocks go back',
    line: '0 * * * *',
    timezone: 'America/New_York',
    from: '2027-11-07T04:30:00Z',
    times: ['2027-11-07T05:00:00Z', '2027-11-07T06:00:00Z', '2027-11-07T07:00:00Z'],
  },
  {
    title: 'New York skips 02:30 on the day on which it does not exist',
    line: '30 2 * * *',
    timezone: 'America/New_York',
    from: '2027-03-13T12:00:00Z',
    times: ['2027-03-15T06:30:00Z', '2027-03-16T06:30:00Z'],
  },
  {
    title: 'Lord Howe skips the half hour that does not exist',
    line: '*/30 1-2 * * *',
    timezone: 'Australia/Lord_Howe',
    from: '2027-10-02T14:00:00Z',
    times: [
      '2027-10-02T14:30:00Z',
      '2027-10-02T15:00:00Z',
      '2027-10-02T15:30:00Z',
      '2027-10-03T14:00:00Z',
    ],
  },
  {
    title: 'Lord Howe loses three quarters of an hour when its clocks go back by half an hour',
    line: '*/15 1-2 * * *',
    timezone: 'Australia/Lord_Howe',
    from: '2027-04-03T13:00:00Z',
    times: [
      '2027-04-03T14:00:00Z',
      '2027-04-03T14:15:00Z',
      '2027-04-03T15:00:00Z',
      '2027-04-03T16:15:00Z',
      '2027-04-04T14:30:00Z',
    ],
  },
  {
    title: 'Beirut skips the midnight that does not exist',
    line: '0 0 * * *',
    timezone: 'Asia/Beirut',
    from: '2027-03-26T12:00:00Z',
    times: ['2027-03-26T22:00:00Z', '2027-03-28T21:00:00Z'],
  },
];

for (const { title, line, timezone, from, times } of clockChanges) {
  test(title, () => {
    const found = crontab.parse(line).next({ from: new Date(from), count: times.length, timezone });
    assert.deepEqual(
      found,
      times.map((time) => new Date(time)),
    );
  });
}

test('a time that is due at from itself is not the next one', () => {
  const noon = new Date('2027-01-01T12:00:00Z');
  assert.deepEqual(crontab({ minute: 0, hour: 12 }).next({ from: noon }), [
    new Date('2027-01-02T12:00:00Z'),
  ]);
});

test('a millisecond before a time, that time is the next one', () => {
  assert.deepEqual(crontab({ minute: 30 }).next({ from: new Date('2027-01-01T10:29:59.999Z') }), [
    new Date('2027-01-01T10:30:00Z'),
  ]);
});

test('29 February on a Monday is found decades away, past the year 2100', () => {
  const times = crontab
    .parse('0 0 29 2 mon')
    .next({ from: new Date('2027-01-01T00:00:00Z'), count: 4 });
  assert.deepEqual(
    times.map((time) => time.toISOString().slice(0, 10)),
    ['2044-02-29', '2072-02-29', '2112-02-29', '2140-02-29'],
  );
});

test('every day of the year that exists is found, on each weekday', () => {
  for (const weekday of [0, 1, 2, 3, 4, 5, 6]) {
    const [time] = crontab({
      minute: 0,
      hour: 0,
      dayOfMonth: 29,
      monthOfYear: 2,
      dayOfWeek: weekday,
    }).next();
    assert.equal(time?.getUTCDay(), weekday);
  }
});

test('a crontab whose only time is always skipped has no next time', () => {
  const lastSundayOfMarch = crontab.parse('30 2 25-31 3 sun');
  assert.deepEqual(lastSundayOfMarch.next({ timezone: 'Europe/Rome' }), []);
  assert.equal(lastSundayOfMarch.next({ timezone: 'UTC' }).length, 1);
});

test('before standard time the offset counts its seconds', () => {
  const from = new Date('1850-01-01T00:00:00Z');
  assert.deepEqual(crontab({ minute: 0, hour: 12 }).next({ from, timezone: 'Europe/Rome' }), [
    new Date('1850-01-01T11:10:04Z'),
  ]);
});
