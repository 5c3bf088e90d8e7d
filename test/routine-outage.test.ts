import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { at, currentTask, every, Sedano, TaskRevokedError, type Routine } from 'sedano';
import { startWorker, type RunningWorker } from 'sedano/worker';
import { MISSED, type Missed } from '../src/routines/policies.ts';
import { appAt } from './helpers/fault-app.ts';
import { latch, uniqueName } from './helpers/harness.ts';
import { until } from './helpers/locks.ts';
import { PrivateTemporal } from './helpers/private-temporal.ts';
import { dueAfter, duesBetween, runsOf, type Run } from './helpers/routine-runs.ts';

const SECOND_MS = 1_000;
// what missed 'skip' promises; the server's shortest catch-up window
const LATE_MS = 10 * SECOND_MS;

const MANY = 20;
const MIN_OUTAGE_MS = 45 * SECOND_MS;
// asking for all runs more often would be most of the work
const LOOK_EVERY_MS = 1_000;
const HANGS_MS = 60_000;

/** Twenty routines of each kind of `missed`, and of 'skip' with an interval that leaves time to be late. */
const KINDS = [...MISSED, 'sparse skip'] as const;
type Kind = (typeof KINDS)[number];

function routinesOf(kind: Kind): string[] {
  return Array.from({ length: MANY }, (_, index) => `${kind} ${index}`);
}

/** A task that notes which calls have run its code. */
function countingTask(app: Sedano): Map<string, number> {
  const bodies = new Map<string, number>();
  app.task({ name: 'work' }, async () => {
    const { id } = currentTask();
    bodies.set(id, (bodies.get(id) ?? 0) + 1);
  });
  return bodies;
}

/** A server of its own that is killed over several due times, started again, and has run what was due next. */
class Outage implements AsyncDisposable {
  readonly name = uniqueName('outage');
  readonly temporal: PrivateTemporal;
  readonly app: Sedano;
  readonly frequent: ReturnType<typeof every>;
  readonly sparse: ReturnType<typeof every>;
  readonly moment: ReturnType<typeof at>;
  readonly bodies: Map<string, number>;
  readonly finishLong: () => void;
  readonly #longBegan: Promise<void>;
  #worker: RunningWorker | undefined;
  /** It was down from before `down` until after `restarted`. */
  killed = 0;
  down = 0;
  restarted = 0;
  up = 0;
  runs: Run[] = [];

  constructor(temporal: PrivateTemporal) {
    this.temporal = temporal;
    this.app = this.client();
    this.bodies = countingTask(this.app);
    const [began, finish] = [latch(), latch()];
    this.#longBegan = began.promise;
    this.finishLong = finish.open;
    this.app.task({ name: 'hold' }, async () => {
      began.open();
      await finish.promise;
    });
    // all is created before the first due time; when the server is back, more than ten seconds have passed since the
    // last sparse one and less since the last frequent one
    const first = Math.ceil(Date.now() / SECOND_MS) + 10;
    this.frequent = every('12s', { offset: `${(first + 8) % 12}s` });
    this.sparse = every('24s', { offset: `${first % 24}s` });
    this.moment = at(new Date((first + 40) * SECOND_MS));
    this.app.routines(this.#table());
  }

  #table(): Record<string, Routine> {
    const { frequent, sparse, moment } = this;
    const table: Record<string, Routine> = { long: { task: 'hold', schedule: frequent } };
    for (const missed of MISSED) {
      table[`moment ${missed}`] = { task: 'work', schedule: moment, missed };
      for (const name of routinesOf(missed))
        table[name] = { task: 'work', schedule: frequent, missed };
    }
    for (const name of routinesOf('sparse skip')) {
      table[name] = { task: 'work', schedule: sparse, missed: 'skip' };
    }
    return table;
  }

  /** A client of the app without its table, whose connection has seen nothing. */
  client(): Sedano {
    return appAt(this.temporal.address, { name: this.name });
  }

  async happen(): Promise<void> {
    this.#worker = await this.work();
    await this.#longBegan;
    await until('each has run', async () => await this.#isQuiet(), HANGS_MS);
    this.killed = Date.now();
    assert.ok(this.moment.date.getTime() > this.killed, 'the moment is still to come');
    await this.temporal.kill();
    this.down = Date.now();
    const last = dueAfter(this.sparse, this.down + MIN_OUTAGE_MS);
    await delay(last + LATE_MS + 1_500 - this.down);
    this.restarted = Date.now();
    await this.temporal.restart();
    this.up = Date.now();
    await using reader = this.client();
    await until(
      'each has run again',
      async () => {
        await delay(LOOK_EVERY_MS);
        this.runs = await runsOf(reader);
        return this.#haveRunAgain();
      },
      HANGS_MS,
    );
  }

  async work(): Promise<RunningWorker> {
    return await startWorker(this.app, { grace: '1s' });
  }

  intervalOf(kind: Kind) {
    return kind === 'sparse skip' ? this.sparse : this.frequent;
  }

  /** Whether the last due time of each was seen to run to its end, and no other is near. */
  async #isQuiet(): Promise<boolean> {
    await delay(LOOK_EVERY_MS);
    const runs = await runsOf(this.app);
    const now = Date.now();
    return KINDS.every((kind) => {
      const interval = this.intervalOf(kind);
      if (dueAfter(interval, now) - now < 2 * SECOND_MS) return false;
      return routinesOf(kind).every((routine) => {
        const last = runs.findLast((run) => run.routine === routine);
        return last?.status === 'COMPLETED' && dueAfter(interval, last.due) > now;
      });
    });
  }

  /** What was missed is settled before the next due time is. */
  #haveRunAgain(): boolean {
    return KINDS.every((kind) => {
      const next = dueAfter(this.intervalOf(kind), this.up);
      return routinesOf(kind).every((routine) =>
        this.of(routine).some(({ due, closed }) => due >= next && closed !== undefined),
      );
    });
  }

  of(routine: string): Run[] {
    return this.runs.filter((run) => run.routine === routine);
  }

  /** The due times of a kind for which the server was certainly down. */
  missedBy(kind: Kind): number[] {
    return duesBetween(this.intervalOf(kind), this.down, this.restarted);
  }

  /** The runs of a routine for those. */
  caughtUp(kind: Kind, routine: string): Run[] {
    const missed = this.missedBy(kind);
    return this.of(routine).filter(({ due }) => missed.includes(due));
  }

  /** In words, in seconds since the kill. */
  tell(kind: Kind): string {
    const seconds = (time: number) => ((time - this.killed) / SECOND_MS).toFixed(1);
    const counts = routinesOf(kind).map((routine) => this.caughtUp(kind, routine).length);
    const runs = this.caughtUp(kind, `${kind} 0`).map(
      ({ due, started, status }) => `${seconds(due)} started at ${seconds(started)} ${status}`,
    );
    return [
      `down from 0 to ${seconds(this.restarted)}, up at ${seconds(this.up)}`,
      `missed ${this.missedBy(kind).map(seconds).join(' ')}`,
      `caught up by each routine: ${counts.join(' ')}`,
      `the first one's: ${runs.join(', ') || 'none'}`,
    ].join('; ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finishLong();
    await this.#worker?.stop();
    await this.app.close();
    await this.temporal[Symbol.asyncDispose]();
  }
}

describe('due times that were missed', { concurrency: true }, () => {
  describe('while the server was down (row 77)', () => {
    let outage: Outage;
    before(async () => {
      outage = new Outage(await PrivateTemporal.start());
      await outage.happen();
    });
    after(async () => await outage?.[Symbol.asyncDispose]());

    test("'latest' makes one run of them", (t) => {
      t.diagnostic(outage.tell('latest'));
      assert.ok(outage.missedBy('latest').length > 2);
      for (const routine of routinesOf('latest')) {
        const statuses = outage.caughtUp('latest', routine).map(({ status }) => status);
        assert.deepEqual(statuses, ['COMPLETED'], routine);
      }
    });

    test("'skip' runs none of those that are more than ten seconds late", (t) => {
      for (const kind of ['skip', 'sparse skip'] as const) {
        t.diagnostic(outage.tell(kind));
        const tooLate = outage.missedBy(kind).filter((due) => due < outage.restarted - LATE_MS);
        assert.ok(tooLate.length > 1);
        for (const routine of routinesOf(kind)) {
          const late = outage.caughtUp(kind, routine).filter(({ due }) => tooLate.includes(due));
          assert.deepEqual(late, [], routine);
        }
      }
      // of the sparse ones nothing else was missed
      for (const routine of routinesOf('sparse skip')) {
        assert.deepEqual(outage.caughtUp('sparse skip', routine), [], routine);
      }
    });

    test("'all' runs each once, in order, one after the other", (t) => {
      t.diagnostic(outage.tell('all'));
      for (const routine of routinesOf('all')) {
        const runs = outage.of(routine).filter(({ closed }) => closed !== undefined);
        const dues = runs.map(({ due }) => due);
        const [first = 0, last = 0] = [dues[0], dues.at(-1)];
        // those before and after the outage, too
        assert.deepEqual(dues, duesBetween(outage.frequent, first - 1, last), routine);
        for (const [index, { started }] of runs.entries()) {
          assert.ok(started >= (runs[index - 1]?.closed ?? 0), `${routine}: ${index} overlaps`);
        }
      }
    });

    test('the code of each run has run once, and not at all where it came too late', (t) => {
      const ended = outage.runs.filter(({ closed }) => closed !== undefined);
      const wrong = ended.filter(
        ({ id, status }) => (outage.bodies.get(id) ?? 0) !== (status === 'COMPLETED' ? 1 : 0),
      );
      const revoked = ended.filter(({ status }) => status === 'CANCELLED');
      t.diagnostic(`${ended.length} runs have ended, ${revoked.length} of them as REVOKED`);
      assert.deepEqual(wrong, []);
    });

    test('there is none beside a run that still goes on', async () => {
      await using reader = outage.client();
      const [run, ...more] = (await runsOf(reader)).filter(({ routine }) => routine === 'long');
      assert.equal(run?.status, 'RUNNING');
      assert.deepEqual(more, []);
      outage.finishLong();
      await reader.result(run.id).get();
    });

    test('a moment among them runs once, or not at all with ‘skip’, and is done', async () => {
      await using reader = outage.client();
      const name = (missed: Missed) => `moment ${missed}`;
      const due = outage.moment.date.getTime();
      const runs = await runsOf(reader);
      const dues = MISSED.map((missed) =>
        runs.filter(({ routine }) => routine === name(missed)).map((run) => run.due),
      );
      assert.deepEqual(dues, [[due], [], [due]]);
      await using _next = await outage.work();
      const rows = await reader.listRoutines();
      const counts = MISSED.map((missed) => {
        const row = rows.find((one) => one.name === name(missed));
        return [missed, row?.runs, row?.misses, row?.note];
      });
      assert.deepEqual(counts, [
        ['latest', 1, 0, 'done'],
        ['skip', 0, 1, ''],
        ['all', 1, 0, 'done'],
      ]);
    });
  });

  test('while there was no worker: what is more than ten seconds late with ‘skip’ ends as REVOKED, without its code', async (t) => {
    const app = new Sedano(uniqueName('no-worker'));
    const bodies = countingTask(app);
    const first = Math.ceil(Date.now() / SECOND_MS) + 3;
    const interval = every('12s', { offset: `${first % 12}s` });
    const kinds = {
      skip: { missed: 'skip' },
      'skip side by side': { missed: 'skip', overlap: 'allowAll' },
      latest: { missed: 'latest' },
      all: { missed: 'all' },
    } as const satisfies Record<string, Partial<Routine>>;
    const names = Object.keys(kinds);
    for (const [name, kind] of Object.entries(kinds)) {
      app.routines({ [name]: { task: 'work', schedule: interval, ...kind } });
    }
    await app.syncRoutines();
    try {
      const due = dueAfter(interval, Date.now());
      const second = dueAfter(interval, due);
      await delay(second + LATE_MS + SECOND_MS - Date.now());
      const came = Date.now();
      await using _worker = await startWorker(app, { grace: '1s' });
      // the next due time finds a worker
      const next = dueAfter(interval, came);
      let runs: Run[] = [];
      await until(
        'each has run in time',
        async () => {
          await delay(LOOK_EVERY_MS);
          runs = await runsOf(app);
          return names.every((name) =>
            runs.some(
              (run) => run.routine === name && run.due >= next && run.status === 'COMPLETED',
            ),
          );
        },
        HANGS_MS,
      );
      const late = (name: string) =>
        runs.filter((run) => run.routine === name && run.due >= due && run.due <= second);
      const outcomes = (name: string) =>
        late(name).map((run) => [run.due === due ? 'first' : 'second', run.status]);
      const told = Object.fromEntries(names.map((name) => [name, outcomes(name)]));
      t.diagnostic(`the worker came ${came - second} ms after the second: ${JSON.stringify(told)}`);
      assert.deepEqual(told, {
        skip: [['first', 'CANCELLED']],
        'skip side by side': [
          ['first', 'CANCELLED'],
          ['second', 'CANCELLED'],
        ],
        latest: [['first', 'COMPLETED']],
        all: [
          ['first', 'COMPLETED'],
          ['second', 'COMPLETED'],
        ],
      });
      for (const { id } of [...late('skip'), ...late('skip side by side')]) {
        assert.equal(await app.result(id).state(), 'REVOKED');
        await assert.rejects(app.result(id).get(), TaskRevokedError);
        assert.equal(bodies.get(id), undefined);
      }
      for (const { id } of [...late('latest'), ...late('all')]) assert.equal(bodies.get(id), 1);
    } finally {
      await Promise.all(
        names.map((name) => app.client.temporal.schedule.getHandle(`${app.name}/${name}`).delete()),
      );
      await app.close();
    }
  });
});
