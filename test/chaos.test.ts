import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalLine } from './chaos/journal.ts';
import { beliefsOf, countRegressions, judge } from './chaos/oracle.ts';
import { runChaos } from './chaos/orchestrator.ts';
import { faultsFound, tableOf } from './chaos/report.ts';

/** What a section saw: that it held the lock at each of these times, each look taking 1 ns. */
function looks(section: string, fence: number, times: number[]): JournalLine[] {
  return times.map((time) => ({
    what: 'held',
    section,
    fence: String(fence),
    before: String(time),
    after: String(time + 1),
  }));
}

test('the oracle sees two that hold at once, and by how much', () => {
  const lines = [
    ...looks('a', 1, [0, 100]),
    ...looks('b', 2, [50, 200]),
    ...looks('c', 3, [300, 400]),
  ];
  const { overlaps, regressions, longestGap } = judge(beliefsOf(lines));
  assert.deepEqual(
    overlaps.map(({ first, second, ns }) => [first.section, second.section, ns]),
    [['a', 'b', 49n]],
  );
  assert.deepEqual(regressions, []);
  assert.deepEqual(longestGap, { begin: 200n, end: 301n });
});

test('the oracle sees one that holds within the time of another', () => {
  const lines = [
    ...looks('b', 2, [50, 60]),
    ...looks('a', 1, [0, 100]),
    ...looks('c', 3, [90, 120]),
  ];
  const { overlaps } = judge(beliefsOf(lines));
  assert.deepEqual(
    overlaps.map(({ second }) => second.section),
    ['b', 'c'],
  );
});

test('what is not certain is no overlap: a lost look, a single look, a touch', () => {
  const lost: JournalLine = { what: 'lost', section: 'a', fence: '1', before: '100', after: '101' };
  const lines = [
    ...looks('a', 1, [0, 40]),
    lost,
    ...looks('single', 2, [20]),
    ...looks('b', 3, [40, 90]),
  ];
  assert.deepEqual(judge(beliefsOf(lines)).overlaps, []);
});

test('the oracle sees a fence that is not new', () => {
  const lines = [...looks('a', 5, [0, 10]), ...looks('b', 4, [20, 30]), ...looks('c', 6, [40, 50])];
  const { regressions } = judge(beliefsOf(lines));
  assert.deepEqual(
    regressions.map(({ section }) => section),
    ['b'],
  );
  assert.equal(countRegressions([1n, 2n, 2n, 1n, 3n]), 2);
});

const SEED = 20;

test(
  'twenty seconds of faults: no overlap, no old fence, no lost call',
  {
    skip:
      process.env['DATABASE_URL'] === undefined &&
      'its ledger needs PostgreSQL: npm run test:postgres',
  },
  async (t) => {
    const outcome = await runChaos({
      ms: 20_000,
      seed: SEED,
      leaseMs: 1_500,
      recoveryGuard: true,
      inline: 3,
      workers: 1,
      only: '',
      report: () => {},
      signal: t.signal,
    });
    t.diagnostic(`seed ${SEED}\n${tableOf(outcome)}`);
    assert.deepEqual(faultsFound(outcome), []);
    assert.ok(outcome.faults.length > 0 && outcome.sections > 0);
  },
);
