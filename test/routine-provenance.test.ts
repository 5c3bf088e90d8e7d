import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionMemo, BirthMemo, Definition, Edit } from '../src/routines/definition.ts';
import { markOf, readActionMemo, readBirthMemo, withEdit } from '../src/routines/memo.ts';
import { compareToCode, originOf, type Known } from '../src/routines/provenance.ts';
import { compareReleases } from '../src/routines/release.ts';

const born: Definition = {
  task: 'clear',
  schedule: '0 12 * * *',
  timezone: 'Europe/Rome',
  args: [1, { deep: true }],
  queue: 'app',
  enabled: true,
  overlap: 'skip',
  missed: 'latest',
  startAt: null,
  endAt: null,
  jitterMs: 0,
  description: '',
  expiresMs: null,
};

const birth: BirthMemo = { v: 2, app: 'app', routine: 'daily', by: 'code', code: born };

function memoOf(code: Definition, release: string | null = null): ActionMemo {
  const { description, missed, expiresMs, jitterMs, overlap } = code;
  const extra = { description, missed, expiresMs, jitterMs, overlap };
  return { v: 2, code, release, extra, edits: [] };
}

/** The fields that are not the same, as `field state`. */
function states(known: Partial<Known>): string[] {
  const all: Known = {
    birth,
    memo: memoOf(born),
    server: born,
    code: born,
    release: null,
    ...known,
  };
  return compareToCode(all)
    .fields.filter(({ state }) => state !== 'same')
    .map(({ field, state }) => `${field} ${state}`);
}

const changed = {
  task: 'sweep',
  schedule: '0 13 * * *',
  timezone: 'UTC',
  args: [2],
  queue: 'other',
  enabled: false,
  overlap: 'cancelOther',
  missed: 'skip',
  startAt: '2027-01-01T00:00:00.000Z',
  endAt: '2028-01-01T00:00:00.000Z',
  jitterMs: 1_000,
  description: 'Other',
  expiresMs: 60_000,
} as const satisfies Partial<Record<keyof Definition, unknown>>;

const FIELDS = Object.keys(changed) as (keyof typeof changed)[];

const withField = (field: keyof typeof changed): Definition => ({
  ...born,
  [field]: changed[field],
});

for (const field of FIELDS) {
  const other = withField(field);
  test(`${field}: same, follows the code, edited, and edited to what the code says now`, () => {
    assert.deepEqual(states({}), []);
    assert.deepEqual(states({ code: other }), [`${field} follows`]);
    assert.deepEqual(states({ server: other }), [`${field} edited`]);
    assert.deepEqual(states({ server: other, code: other }), []);
    // the code has changed before, and is back at what it said at birth
    assert.deepEqual(states({ memo: memoOf(other), server: other }), [`${field} follows`]);
    assert.deepEqual(states({ memo: memoOf(other) }), []);
  });

  test(`${field}: what cannot be told is an edit, once the memo is gone`, () => {
    assert.deepEqual(states({ memo: undefined }), []);
    assert.deepEqual(states({ memo: undefined, server: other }), [`${field} edited`]);
    // as at birth, and yet somebody may have set it back to that
    assert.deepEqual(states({ memo: undefined, code: other }), [`${field} edited`]);
    assert.deepEqual(states({ memo: undefined, server: other, code: other }), []);
  });
}

test('all three sides different is an edit, and the code’s last word is told', () => {
  const memo = memoOf({ ...born, schedule: '0 13 * * *' });
  const known: Known = {
    birth,
    memo,
    server: { ...born, schedule: '0 14 * * *' },
    code: { ...born, schedule: '0 15 * * *' },
    release: null,
  };
  const provenance = compareToCode(known);
  assert.deepEqual(
    provenance.fields.find(({ field }) => field === 'schedule'),
    {
      field: 'schedule',
      state: 'edited',
      server: '0 14 * * *',
      code: '0 15 * * *',
      before: '0 13 * * *',
    },
  );
  assert.equal(provenance.memoIsBehind, true);
});

test('two texts of the same times are the same', () => {
  assert.deepEqual(states({ server: { ...born, schedule: '0 12 1-31 * *' } }), []);
});

test('what an admin has made never follows the code', () => {
  const admins: BirthMemo = { ...birth, by: 'admin' };
  const code = withField('schedule');
  assert.deepEqual(states({ birth: admins, code }), ['schedule edited']);
  assert.equal(
    compareToCode({ birth: admins, memo: memoOf(born), server: born, code, release: null })
      .memoIsBehind,
    false,
  );
});

test('the newer release’s word counts; without releases, that of whoever comes last', () => {
  const newer = { ...born, schedule: '0 13 * * *' };
  const known = { birth, memo: memoOf(newer, '2.0'), server: newer, code: born };
  const old = compareToCode({ ...known, release: '1.10' });
  assert.equal(old.newerRelease, '2.0');
  assert.equal(old.memoIsBehind, false);
  assert.deepEqual(
    old.fields.filter(({ state }) => state !== 'same'),
    [],
  );
  for (const release of ['2.0', '2.0.1', '10', null]) {
    assert.deepEqual(states({ ...known, release }), ['schedule follows'], String(release));
  }
  // the older one still sees an edit against the newer one's word
  const edited = { ...newer, queue: 'other' };
  assert.deepEqual(states({ ...known, server: edited, release: '1.0' }), ['queue edited']);
});

test('the memo is behind when only the release is newer', () => {
  const known = { birth, memo: memoOf(born, '1.0'), server: born, code: born };
  assert.equal(compareToCode({ ...known, release: '1.0' }).memoIsBehind, false);
  assert.equal(compareToCode({ ...known, release: '1.1' }).memoIsBehind, true);
  assert.equal(compareToCode({ ...known, release: '0.9' }).memoIsBehind, false);
});

test('releases are in the order of their numbers, else of their text', () => {
  const ordered = [
    ['1.2', '1.10'],
    ['v1.9.9', '2'],
    ['2.0.0-rc.1', '2.0.0-rc.2'],
    ['2.0.0-rc.2', '2.0.0'],
    ['2026.11.9', '2026.11.24'],
    ['build-a', 'build-b'],
  ] as const;
  for (const [older, newer] of ordered) {
    assert.ok(compareReleases(older, newer) < 0, `${older} < ${newer}`);
    assert.ok(compareReleases(newer, older) > 0, `${newer} > ${older}`);
  }
  for (const [one, same] of [
    ['1.2', '1.2.0'],
    ['v1', '1'],
    ['1.0+build.7', '1.0+build.8'],
    ['abc', 'abc'],
  ] as const) {
    assert.equal(compareReleases(one, same), 0, `${one} = ${same}`);
  }
});

test('an origin is the code’s, an admin’s, an orphan’s or foreign', () => {
  assert.equal(originOf(birth, true), 'code');
  assert.equal(originOf(birth, false), 'orphan');
  assert.equal(originOf({ by: 'admin' }, true), 'admin');
  assert.equal(originOf({ by: 'admin' }, false), 'admin');
  assert.equal(originOf(undefined, true), 'foreign');
  assert.equal(originOf(undefined, false), 'foreign');
});

test('memos of other tools, and broken ones, are not ours', () => {
  assert.deepEqual(readBirthMemo({ sedano: birth }), birth);
  assert.deepEqual(readActionMemo({ sedano: memoOf(born) }), memoOf(born));
  for (const sedano of [undefined, null, 1, 'x', [], {}, { v: 2 }, { v: 2, code: 1, extra: {} }]) {
    assert.equal(readBirthMemo({ sedano }), undefined);
    assert.equal(readActionMemo({ sedano }), undefined);
  }
  assert.equal(readBirthMemo(undefined), undefined);
});

test('a memo keeps the last five edits, fewer when they are long, the latest always', () => {
  const edit = (id: string, args: unknown[] = []): Edit => ({
    id,
    at: '2026-11-24T12:00:00.000Z',
    by: 'ada',
    fields: ['args'],
    from: { args: [] },
    to: { args },
  });
  const after = (edits: Edit[]) =>
    edits.reduce((memo, one) => withEdit(memo, one), memoOf(born)).edits.map(({ id }) => id);
  assert.deepEqual(after(['1', '2', '3', '4', '5', '6'].map((id) => edit(id))), [
    '6',
    '5',
    '4',
    '3',
    '2',
  ]);
  const long = ['x'.repeat(150)];
  assert.ok(after(['1', '2', '3', '4', '5'].map((id) => edit(id.repeat(300), long))).length < 5);
  const [shown] = withEdit(memoOf(born), edit('1', ['y'.repeat(5_000)])).edits;
  assert.deepEqual(shown?.to.args, ['(5004 bytes of JSON)']);
});

test('a mark changes with what the code says, its release, and an edit', () => {
  const mark = markOf({ code: born, release: null }, false);
  assert.match(mark, /^sedano-[0-9a-f]{16}$/);
  assert.equal(markOf({ code: born, release: null }, true), `${mark}-edited`);
  // the order of members is not what the code says
  const reversed = Object.fromEntries(Object.entries(born).toReversed()) as unknown as Definition;
  assert.equal(markOf({ code: reversed, release: null }, false), mark);
  const others = [markOf({ code: born, release: '1' }, false)];
  for (const field of FIELDS) others.push(markOf({ code: withField(field), release: null }, false));
  assert.equal(new Set([mark, ...others]).size, others.length + 1);
});
