import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PeriodicTask } from '../src/routines/django/periodic-task.ts';
import { translate, type TranslationContext } from '../src/routines/django/translate.ts';

const NOW = new Date('2026-11-24T12:00:00Z');
const ms = (iso: string) => Date.parse(iso);

const context: TranslationContext = {
  now: NOW,
  findTask: (name) => {
    if (name === 'report') return { queue: 'shop', joins: false };
    if (name === 'mail') return { queue: 'mails', joins: false };
    return name === 'shared' ? { queue: 'shop', joins: true } : undefined;
  },
  queues: new Set(['shop', 'mails']),
};

const NOON: PeriodicTask['crontab'] = {
  minute: '0',
  hour: '12',
  dayOfWeek: '*',
  dayOfMonth: '*',
  monthOfYear: '*',
  timezone: 'Europe/Rome',
};

/** A row as Django's form stores it, with what differs. */
function row(differs: Partial<PeriodicTask> = {}): PeriodicTask {
  return {
    name: 'daily',
    task: 'report',
    args: '[]',
    kwargs: '{}',
    headers: '{}',
    queue: null,
    exchange: null,
    routingKey: null,
    priority: null,
    expiresMs: null,
    expireSeconds: null,
    startTimeMs: null,
    oneOff: false,
    enabled: true,
    totalRunCount: 0,
    description: '',
    crontab: NOON,
    interval: null,
    clockedMs: null,
    solar: null,
    ...differs,
  };
}

const cron = (fields: Partial<NonNullable<PeriodicTask['crontab']>>) =>
  row({ crontab: { ...NOON, ...fields } });
const interval = (every: number, period: string, differs: Partial<PeriodicTask> = {}) =>
  row({ crontab: null, interval: { every, period }, ...differs });
const clocked = (iso: string, differs: Partial<PeriodicTask> = {}) =>
  row({ crontab: null, clockedMs: ms(iso), oneOff: true, ...differs });

/** The fields that a translation has beside the usual ones, and its notes. */
function becomes(given: PeriodicTask): { notes: string[] } & Record<string, unknown> {
  const translation = translate(given, context);
  assert.ok('definition' in translation, JSON.stringify(translation));
  const differs = Object.entries(translation.definition).filter(
    ([field, value]) => JSON.stringify(value) !== JSON.stringify(USUAL[field]),
  );
  return { ...Object.fromEntries(differs), notes: translation.notes };
}

const USUAL: Record<string, unknown> = {
  task: 'report',
  schedule: '0 12 * * *',
  timezone: 'Europe/Rome',
  args: [],
  queue: 'shop',
  enabled: true,
  overlap: 'skip',
  missed: 'latest',
  startAt: null,
  endAt: null,
  jitterMs: 0,
  description: '',
  expiresMs: null,
};

function refusal(given: PeriodicTask): string {
  const translation = translate(given, context);
  assert.ok('refused' in translation, JSON.stringify(translation));
  assert.equal(translation.name, given.name);
  return translation.refused;
}

test('a row becomes a whole definition', () => {
  assert.deepEqual(translate(row(), context), { name: 'daily', definition: USUAL, notes: [] });
});

test('the plain fields go along', () => {
  assert.deepEqual(becomes(row({ enabled: false, description: 'Monthly\nreport' })), {
    enabled: false,
    description: 'Monthly\nreport',
    notes: [],
  });
  assert.deepEqual(becomes(row({ task: 'mail' })), { task: 'mail', queue: 'mails', notes: [] });
  assert.deepEqual(becomes(row({ queue: 'mails' })), { queue: 'mails', notes: [] });
  assert.deepEqual(becomes(row({ queue: 'reports' })), {
    queue: 'reports',
    notes: ["queue 'reports' is that of no task here: no worker of this app polls it"],
  });
});

describe('crontab', () => {
  test('texts stay as they are written, in their zone', () => {
    assert.deepEqual(
      becomes(cron({ minute: '*/15', hour: '8-17', dayOfWeek: 'mon-fri', timezone: 'UTC' })),
      { schedule: '*/15 8-17 * * mon-fri', timezone: 'UTC', notes: [] },
    );
  });

  test('a list that Python wrote is read', () => {
    const note = (text: string) =>
      `day_of_week '${text}' is read as a list of numbers, which beat cannot read back`;
    for (const text of ['[1, 2]', '(1, 2)', '{1, 2}', '(1, 2,)', '[2,1]']) {
      assert.deepEqual(becomes(cron({ dayOfWeek: text })), {
        schedule: '0 12 * * 1,2',
        notes: [note(text)],
      });
    }
    assert.deepEqual(becomes(cron({ dayOfWeek: '(3,)' })).schedule, '0 12 * * 3');
  });

  test('what Celery lets through or cannot run is refused in the words of crontab()', () => {
    assert.equal(
      refusal(cron({ dayOfWeek: 'mon#1' })),
      "crontab: dayOfWeek 'mon#1': expected ',' or the end, got '#1' at position 4",
    );
    assert.equal(
      refusal(cron({ minute: '[0, 60]' })),
      'crontab: minute: expected a whole number from 0 to 59, got 60 at place 2 of the list',
    );
    assert.match(
      refusal(cron({ dayOfWeek: '[]' })),
      /^crontab: dayOfWeek '\[\]': expected a number/,
    );
    assert.match(
      refusal(cron({ dayOfWeek: "['mon']" })),
      /^crontab: dayOfWeek '\['mon'\]': expected a number/,
    );
    assert.equal(
      refusal(cron({ dayOfMonth: '31', monthOfYear: '2' })),
      "crontab: never fires: dayOfMonth '31' does not occur in monthOfYear '2'",
    );
    assert.equal(
      refusal(cron({ timezone: 'Mars/Base' })),
      "timezone: expected a time zone such as 'UTC' or 'Europe/Rome', got 'Mars/Base'",
    );
  });

  test('one_off becomes its next time', () => {
    assert.deepEqual(becomes(row({ oneOff: true })), {
      // noon in Rome was an hour ago
      schedule: 'at 2026-11-25T11:00:00.000Z',
      timezone: 'UTC',
      notes: ["one_off: it runs once, at the next time of '0 12 * * *' in Europe/Rome"],
    });
    assert.deepEqual(becomes(row({ oneOff: true, startTimeMs: ms('2027-01-01T11:00:00Z') })), {
      schedule: 'at 2027-01-01T11:00:00.000Z',
      timezone: 'UTC',
      notes: [
        "one_off: it runs once, at the next time of '0 12 * * *' in Europe/Rome",
        'it begins with its first time from start_time on; beat runs it at start_time',
      ],
    });
    assert.equal(
      refusal(row({ oneOff: true, enabled: false })),
      'one_off and disabled, as beat leaves it after its run',
    );
    assert.equal(
      refusal(row({ oneOff: true, totalRunCount: 1 })),
      'one_off: it has run, and beat does not run it again',
    );
    // 02:30 on the last Sunday of March is skipped in Rome
    const skipped = { ...NOON, minute: '30', hour: '2', dayOfMonth: '28', monthOfYear: '3' };
    assert.match(
      String(becomes(row({ oneOff: true, crontab: skipped })).schedule),
      /^at 2028-03-28T00:30/,
    );
  });
});

describe('interval', () => {
  const note = (seconds: number) =>
    `it runs at multiples of ${seconds} s since 1970; beat counts from the last run`;

  test('every period of whole seconds', () => {
    for (const [every, period, seconds] of [
      [2, 'days', 172_800],
      [3, 'hours', 10_800],
      [10, 'minutes', 600],
      [1, 'seconds', 1],
      [2_000_000, 'microseconds', 2],
    ] as const) {
      assert.deepEqual(becomes(interval(every, period)), {
        schedule: `every ${seconds}s`,
        timezone: 'UTC',
        notes: [note(seconds)],
      });
    }
  });

  test('what is shorter than a second, or no interval, is refused', () => {
    for (const [every, period] of [
      [500_000, 'microseconds'],
      [1_500_000, 'microseconds'],
      [0, 'seconds'],
      [-1, 'days'],
      [2_147_483_647, 'days'],
      [1, 'weeks'],
      [1, 'constructor'],
    ] as const) {
      assert.equal(
        refusal(interval(every, period)),
        `interval: expected whole seconds, from 1 s to 100 years, got ${every} ${period}`,
      );
    }
  });

  test('one_off has a time only where start_time tells it', () => {
    assert.equal(
      refusal(interval(3, 'hours', { oneOff: true })),
      'one_off with an interval: beat counts from its own start, so the database does not tell the time; use a clocked one',
    );
    assert.deepEqual(
      becomes(interval(3, 'hours', { oneOff: true, startTimeMs: ms('2027-01-01T08:00:00Z') })),
      { schedule: 'at 2027-01-01T08:00:00.000Z', timezone: 'UTC', notes: [] },
    );
  });
});

describe('clocked and solar', () => {
  test('a time to come is one run', () => {
    assert.deepEqual(becomes(clocked('2027-01-01T00:00:00.200Z')), {
      schedule: 'at 2027-01-01T00:00:01.000Z',
      timezone: 'UTC',
      notes: [],
    });
    assert.deepEqual(becomes(clocked('2027-01-01T00:00:00Z', { enabled: false })), {
      schedule: 'at 2027-01-01T00:00:00.000Z',
      timezone: 'UTC',
      enabled: false,
      notes: ['disabled: it runs only if it is resumed before its time'],
    });
    assert.deepEqual(
      becomes(clocked('2027-01-01T00:00:00Z', { startTimeMs: ms('2027-01-02T00:00:00Z') })),
      {
        schedule: 'at 2027-01-02T00:00:00.000Z',
        timezone: 'UTC',
        notes: ['it runs at start_time, which is after the clocked time'],
      },
    );
  });

  test('a time that does not come is refused', () => {
    assert.equal(
      refusal(clocked('2020-06-01T10:00:00Z')),
      'clocked: 2020-06-01T10:00:00.000Z has passed',
    );
    assert.equal(
      refusal(clocked('2027-01-01T00:00:00Z', { clockedMs: Number.POSITIVE_INFINITY })),
      'clocked: Infinity never comes',
    );
    assert.equal(
      refusal(clocked('2150-01-01T00:00:00Z')),
      'at: expected a date up to the year 2100, got 2150-01-01T00:00:00.000Z',
    );
    assert.equal(
      refusal(clocked('2027-01-01T00:00:00Z', { oneOff: false })),
      'clocked: expected one_off beside it, as Django does',
    );
    assert.equal(
      refusal(clocked('2027-01-01T00:00:00Z', { expiresMs: ms('2026-12-31T00:00:00Z') })),
      'expires: 2026-12-31T00:00:00.000Z is not after its first time, 2027-01-01T00:00:00.000Z: it never runs',
    );
  });

  test('the sun is refused', () => {
    assert.equal(
      refusal(row({ crontab: null, solar: 'sunrise' })),
      "solar 'sunrise': expected a crontab, every() or at(), got a solar event: Temporal's schedules know clocks and calendars, not where the sun stands",
    );
  });

  test('no schedule, or several, are refused', () => {
    assert.equal(
      refusal(row({ crontab: null })),
      'expected one of crontab, interval, clocked and solar, got none',
    );
    assert.equal(
      refusal(row({ interval: { every: 1, period: 'days' }, solar: 'sunset' })),
      'expected one of crontab, interval, clocked and solar, got crontab and interval and solar',
    );
  });
});

describe('limits', () => {
  test('start_time and expires are startAt and endAt', () => {
    assert.deepEqual(
      becomes(
        row({ startTimeMs: ms('2027-01-01T09:00:00Z'), expiresMs: ms('2028-01-01T00:00:00Z') }),
      ),
      {
        startAt: '2027-01-01T09:00:00.000Z',
        endAt: '2028-01-01T00:00:00.000Z',
        notes: ['it begins with its first time from start_time on; beat runs it at start_time'],
      },
    );
    assert.deepEqual(becomes(row({ startTimeMs: ms('2020-01-01T09:00:00Z') })), {
      startAt: '2020-01-01T09:00:00.000Z',
      notes: [],
    });
  });

  test('a limit that is none is left out', () => {
    const none = { startTimeMs: Number.NEGATIVE_INFINITY, expiresMs: Number.POSITIVE_INFINITY };
    assert.deepEqual(becomes(row(none)), { notes: [] });
    assert.deepEqual(becomes(row({ expireSeconds: 0 })), { notes: [] });
  });

  test('a routine that never runs is refused', () => {
    assert.equal(
      refusal(row({ expiresMs: NOW.getTime() })),
      'expires: 2026-11-24T12:00:00.000Z has passed, and beat does not run it again',
    );
    assert.equal(
      refusal(row({ startTimeMs: Number.POSITIVE_INFINITY })),
      'start_time: Infinity never comes',
    );
    assert.match(
      refusal(
        row({ startTimeMs: ms('2028-01-01T00:00:00Z'), expiresMs: ms('2027-01-01T00:00:00Z') }),
      ),
      /^expires: 2027\S+ is not after its first time, 2028\S+: it never runs$/,
    );
  });

  test('expire_seconds is how long a run may be late', () => {
    assert.deepEqual(becomes(row({ expireSeconds: 600 })), { expiresMs: 600_000, notes: [] });
    assert.deepEqual(becomes(row({ expireSeconds: 600, expiresMs: ms('2028-01-01T00:00:00Z') })), {
      endAt: '2028-01-01T00:00:00.000Z',
      notes: ['expire_seconds is dropped, as by beat, since there is expires'],
    });
  });
});

describe('arguments', () => {
  test('args are JSON, kwargs one last object', () => {
    assert.deepEqual(becomes(row({ args: '["weekly", 3, null]' })), {
      args: ['weekly', 3, null],
      notes: [],
    });
    assert.deepEqual(becomes(row({ args: '[1]', kwargs: '{"to": "x", "deep": {"a": [1.5]}}' })), {
      args: [1, { to: 'x', deep: { a: [1.5] } }],
      notes: ['kwargs (to, deep) become one last argument, an object'],
    });
    // Django lets both be empty
    assert.deepEqual(becomes(row({ args: '', kwargs: '', headers: '' })), { notes: [] });
  });

  test('what is no JSON is refused without being shown', () => {
    const broken = 'expected JSON';
    assert.equal(refusal(row({ args: '["secret"' })), `args: ${broken}`);
    assert.equal(refusal(row({ args: '[NaN]' })), `args: ${broken}`);
    assert.equal(refusal(row({ kwargs: "{'secret': 1}" })), `kwargs: ${broken}`);
    assert.equal(refusal(row({ args: '{"a": 1}' })), 'args: expected a JSON list');
    assert.equal(refusal(row({ kwargs: '["secret"]' })), 'kwargs: expected a JSON object');
    assert.equal(refusal(row({ headers: 'null' })), 'headers: expected a JSON object');
  });

  test('what would not arrive as it was written is refused', () => {
    assert.equal(
      refusal(row({ args: '[[9007199254740993]]' })),
      'args: expected whole numbers up to 2^53, which JavaScript holds exactly; write larger ones as texts',
    );
    const texts = '["9007199254740993", "a\\"9007199254740993", 1e3, 0.12345678901234567890]';
    assert.deepEqual(becomes(row({ args: texts })).args, JSON.parse(texts));
    assert.equal(
      refusal(row({ args: '[1e400]' })),
      'argument 1 of the row: expected JSON, got Infinity',
    );
    assert.equal(
      refusal(row({ kwargs: '{"__proto__": {}}' })),
      "argument 1 of the row: expected JSON, got a key '__proto__'",
    );
  });
});

test('what a call has no place for is dropped and named', () => {
  assert.deepEqual(
    becomes(row({ priority: 0, headers: '{"tenant": "one", "periodic_task_name": "daily"}' }))
      .notes,
    ['priority 0 is dropped: routines have none', 'headers (tenant) are dropped: calls have none'],
  );
  assert.deepEqual(becomes(row({ headers: '{"periodic_task_name": "daily"}' })).notes, []);
});

test('a row whose calls would go elsewhere, or nowhere, is refused', () => {
  const broker =
    'exchange and routing_key: only the broker knows to which queue they lead; give it a queue instead';
  assert.equal(refusal(row({ exchange: 'reports' })), broker);
  assert.equal(refusal(row({ routingKey: 'report.daily', queue: 'shop' })), broker);
  assert.equal(refusal(row({ task: 'gone' })), "task 'gone': no task of that name is registered");
  assert.equal(
    refusal(row({ task: 'shared' })),
    "task 'shared' has onBusy 'join': a routine has nobody to give the other call's result to",
  );
});

test('a name that no routine or task can have is refused', () => {
  const name = 'name: expected 1 to 200 bytes of printable characters';
  for (const bad of [' ', 'a\nb', 'é'.repeat(101)]) assert.equal(refusal(row({ name: bad })), name);
  assert.match(refusal(row({ task: 'toString' })), /^task: task name: expected another name than/);
});

test('beat’s own clean-up is left out', () => {
  assert.equal(
    refusal(row({ name: 'celery.backend_cleanup', task: 'celery.backend_cleanup' })),
    "not needed: Temporal's retention removes old results",
  );
});
