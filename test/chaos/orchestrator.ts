import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hrtime } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import type { AsyncResult, Sedano } from 'sedano';
import { findPostgres } from '../../scripts/postgres/program.ts';
import { startPostgres } from '../../scripts/postgres/server.ts';
import { uniqueName } from '../helpers/harness.ts';
import { openRedis } from '../helpers/locks.ts';
import { PrivateRedis } from '../helpers/private-redis.ts';
import { PrivateTemporal } from '../helpers/private-temporal.ts';
import { SERVER_FAULTS, SUBJECT_FAULTS, type World } from './faults.ts';
import { readJournals } from './journal.ts';
import { Ledger } from './ledger.ts';
import { beliefsOf, countRegressions, judge, type Span, type Verdict } from './oracle.ts';
import { Random } from './random.ts';
import { chaosApp } from './subject-app.ts';
import { Subjects, type Subject } from './subjects.ts';

export interface ChaosSettings {
  /** How long faults are done, in ms. */
  ms: number;
  /** Decides which faults come when, to whom, and for how long. */
  seed: number;
  /** In ms. */
  leaseMs: number;
  recoveryGuard: boolean;
  /** Processes that call inline. */
  inline: number;
  /** Processes that are workers. */
  workers: number;
  /** Only faults whose name holds this text. */
  only: string;
  /** Called with a line now and then. */
  report: (line: string) => void;
  signal: AbortSignal;
}

/** What came of a run. */
export interface ChaosOutcome {
  /** What was done, in its order. */
  faults: DoneFault[];
  verdict: Verdict;
  /** Times in which a process believed to hold the lock. */
  sections: number;
  /** Calls made inline, by their end. */
  inline: Map<string, number>;
  /** Processes that did not end: something in them waited for ever. */
  stuck: string[];
  durable: {
    accepted: number;
    /** Without a result, three minutes after the last fault. */
    lost: string[];
    /** With a result that is not their own. */
    wrong: string[];
  };
  ledger: { taken: number; rejected: number; regressions: number };
}

export interface DoneFault extends Span {
  name: string;
  /** The process or the server. */
  target: string;
}

const ACCEPTED_AT_ONCE = 15;
const SETTLE_TIMEOUT_MS = 180_000;
const REPORT_EVERY_MS = 30_000;

/** Lets processes take one lock while faults are done to them and their servers, then judges by what they noted. */
export async function runChaos(settings: ChaosSettings): Promise<ChaosOutcome> {
  const { signal, report } = settings;
  const folder = await mkdtemp(join(tmpdir(), 'sedano-chaos-'));
  try {
    const program = await findPostgres({ env: process.env, report, signal });
    await using postgres = await startPostgres(program, signal);
    await using ledger = await Ledger.open(postgres.url);
    await ledger.create();
    await using redis = await PrivateRedis.start();
    await using temporal = await PrivateTemporal.start();
    using admin = openRedis(redis.url);
    const { leaseMs, recoveryGuard } = settings;
    const appSettings = { name: uniqueName('chaos'), leaseMs, recoveryGuard };
    process.env['REDIS_URL'] = redis.url;
    process.env['TEMPORAL_ADDRESS'] = temporal.address;
    await using app = chaosApp(appSettings);
    const surroundings = {
      app: appSettings,
      journals: folder,
      ledgerUrl: postgres.url,
      redisUrl: redis.url,
      temporalAddress: temporal.address,
    };
    await using subjects = new Subjects();
    await subjects.start(settings, surroundings);
    const random = new Random(settings.seed);
    const world = { random, leaseMs, redis, temporal, admin, locks: await app.locks() };
    return await new Run({ settings, app, world, subjects: subjects.all, ledger, folder }).go();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Parts {
  settings: ChaosSettings;
  app: Sedano;
  world: World;
  subjects: readonly Subject[];
  ledger: Ledger;
  folder: string;
}

interface Choice {
  name: string;
  target: string;
  weight: number;
  strike: () => Promise<void>;
}

class Run {
  readonly #parts: Parts;
  readonly #faults: DoneFault[] = [];
  readonly #busyServers = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #accepted: { call: string; result: AsyncResult<string> }[] = [];
  readonly #ended = new Map<string, string>();
  #error: unknown;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async go(): Promise<ChaosOutcome> {
    const { settings, subjects } = this.#parts;
    const until = performance.now() + settings.ms;
    const calling = this.#callUntil(until);
    await this.#strikeUntil(until);
    await Promise.all(this.#underWay);
    if (this.#error !== undefined) throw this.#error;
    settings.report('no more faults; waiting for the calls that were accepted');
    await calling;
    await this.#settle();
    const ends = await Promise.all(subjects.map((subject) => subject.stop()));
    const stuck = subjects.filter((_subject, index) => !ends[index]);
    for (const { name, output } of stuck) settings.report(`${name} did not end:\n${output}`);
    return await this.#judge(stuck.map(({ name }) => name));
  }

  async #strikeUntil(until: number): Promise<void> {
    const { settings, world } = this.#parts;
    const began = performance.now();
    let reportAt = began + REPORT_EVERY_MS;
    while (performance.now() < until && this.#error === undefined) {
      settings.signal.throwIfAborted();
      const choices = this.#choices();
      // somebody is always left in peace by chance
      if (choices.length > 0) this.#strike(world.random.pick(choices));
      await delay(world.random.between(200, 1_000));
      if (performance.now() < reportAt) continue;
      reportAt += REPORT_EVERY_MS;
      const seconds = Math.round((performance.now() - began) / 1_000);
      settings.report(
        `${seconds} s: ${this.#faults.length} faults, ${this.#ended.size} durable calls ended`,
      );
    }
  }

  #choices(): Choice[] {
    const { world, subjects } = this.#parts;
    const ofServers = SERVER_FAULTS.filter(({ server }) => !this.#busyServers.has(server)).map(
      ({ name, weight, server, strike }) => ({
        name,
        target: server,
        weight,
        strike: async () => {
          this.#busyServers.add(server);
          await strike(world).finally(() => this.#busyServers.delete(server));
        },
      }),
    );
    const ofSubjects = subjects
      .filter(({ isBusy }) => !isBusy)
      .flatMap((subject) =>
        SUBJECT_FAULTS.filter(({ role = subject.role }) => role === subject.role).map(
          ({ name, weight, strike }) => ({
            name,
            target: subject.name,
            weight: weight / subjects.length,
            strike: async () => {
              subject.isBusy = true;
              await strike(subject, world).finally(() => {
                subject.isBusy = false;
              });
            },
          }),
        ),
      );
    const { only } = this.#parts.settings;
    return [...ofServers, ...ofSubjects].filter(({ name }) => name.includes(only));
  }

  #strike({ name, target, strike }: Choice): void {
    const done: DoneFault = { name, target, begin: hrtime.bigint(), end: 0n };
    this.#faults.push(done);
    const fault = strike().then(
      () => {
        done.end = hrtime.bigint();
      },
      (error: unknown) => {
        // the connection of the one who breaks things may break too
        if (isBrokenByFault(error)) done.end = hrtime.bigint();
        else this.#error = error;
      },
    );
    this.#underWay.add(fault);
    void fault.finally(() => this.#underWay.delete(fault));
  }

  async #callUntil(until: number): Promise<void> {
    const { app, settings, world } = this.#parts;
    for (let number = 1; performance.now() < until && !settings.signal.aborted;) {
      if (this.#accepted.length - this.#ended.size < ACCEPTED_AT_ONCE) {
        const call = `durable/${number}`;
        // one that Temporal did not take was not accepted, and is called again
        const result = await app.sendTask<string>('section', [call]).catch(() => undefined);
        if (result) {
          number += 1;
          this.#accepted.push({ call, result });
          void this.#follow(call, result);
        }
      }
      await delay(world.random.between(50, 400));
    }
  }

  async #follow(call: string, result: AsyncResult<string>): Promise<void> {
    for (;;) {
      try {
        this.#ended.set(call, await result.get());
        return;
      } catch (error) {
        if (error instanceof Error && error.name === 'TemporalUnavailableError') {
          await delay(500);
          continue;
        }
        this.#ended.set(call, String(error));
        return;
      }
    }
  }

  async #settle(): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    while (this.#ended.size < this.#accepted.length && performance.now() < deadline) {
      this.#parts.settings.signal.throwIfAborted();
      await delay(200);
    }
  }

  async #judge(stuck: string[]): Promise<ChaosOutcome> {
    const { folder, ledger } = this.#parts;
    const lines = await readJournals(folder);
    const beliefs = beliefsOf(lines);
    const fences = await ledger.fences();
    const calls = this.#accepted.map(({ call }) => call);
    return {
      faults: this.#faults,
      verdict: judge(beliefs),
      sections: beliefs.length,
      inline: countBy(lines.flatMap((line) => (line.what === 'ended' ? [line.outcome] : []))),
      stuck,
      durable: {
        accepted: calls.length,
        lost: calls.filter((call) => !this.#ended.has(call)),
        wrong: [...this.#ended]
          .filter(([call, value]) => value !== call)
          .map(([call, value]) => `${call}: ${value}`),
      },
      ledger: {
        taken: fences.length,
        rejected: lines.filter(({ what }) => what === 'rejected').length,
        regressions: countRegressions(fences),
      },
    };
  }
}

function isBrokenByFault(error: unknown): boolean {
  const { name, message } = error as Error;
  return name === 'LockUnavailableError' || /Connection is closed|ECONN/.test(message);
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
