import { join } from 'node:path';
import { Program } from '../helpers/harness.ts';
import { TcpProxy } from '../helpers/tcp-proxy.ts';
import type { AppSettings } from './subject-app.ts';

/** What a process is told at its start. */
export interface SubjectSettings {
  role: 'inline' | 'worker';
  app: AppSettings;
  journal: string;
  ledgerUrl: string;
  seed: number;
}

/** What a process is told while it runs. */
export type SubjectOrder = { kind: 'stop' } | { kind: 'block'; ms: number };

export interface Surroundings {
  app: AppSettings;
  /** Folder of the journals. */
  journals: string;
  ledgerUrl: string;
  redisUrl: string;
  temporalAddress: string;
  seed: number;
}

const STOP_TIMEOUT_MS = 60_000;

/** A process under test, with connections of its own that can be broken; a new one follows when it is killed. */
export class Subject implements AsyncDisposable {
  readonly name: string;
  readonly role: SubjectSettings['role'];
  readonly redis: TcpProxy;
  readonly temporal: TcpProxy;
  /** Whether a fault is at it. */
  isBusy = false;
  readonly #surroundings: Surroundings;
  #program: Program;
  #lives = 1;

  private constructor(
    name: string,
    role: SubjectSettings['role'],
    surroundings: Surroundings,
    proxies: { redis: TcpProxy; temporal: TcpProxy },
  ) {
    this.name = name;
    this.role = role;
    this.redis = proxies.redis;
    this.temporal = proxies.temporal;
    this.#surroundings = surroundings;
    this.#program = this.#start();
  }

  static async spawn(
    name: string,
    role: SubjectSettings['role'],
    surroundings: Surroundings,
  ): Promise<Subject> {
    const redis = await TcpProxy.start(surroundings.redisUrl);
    const temporal = await TcpProxy.start(`tcp://${surroundings.temporalAddress}`);
    return new Subject(name, role, surroundings, { redis, temporal });
  }

  /** Resolves when it is at work. */
  async ready(): Promise<void> {
    await this.#program.sees(/ready/);
  }

  #start(): Program {
    const { app, journals, ledgerUrl, seed } = this.#surroundings;
    const settings: SubjectSettings = {
      role: this.role,
      app,
      journal: join(journals, `${this.name}.${this.#lives}`),
      ledgerUrl,
      seed: seed + this.#lives * 1_000,
    };
    return new Program('test/chaos/subject.ts', [JSON.stringify(settings)], {
      REDIS_URL: this.redis.url,
      TEMPORAL_ADDRESS: new URL(this.temporal.url).host,
    });
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#program.process.kill(signal);
  }

  order(order: SubjectOrder): void {
    this.#program.process.send(order, () => {
      // a process that is about to end takes no orders
    });
  }

  async kill(): Promise<void> {
    await this.#program.kill();
  }

  /** In place of the one that was killed. */
  async revive(): Promise<void> {
    this.#lives += 1;
    this.#program = this.#start();
    await this.ready();
  }

  /** @returns whether it ended by itself; what still waited for the lock has had it then */
  async stop(): Promise<boolean> {
    this.order({ kind: 'stop' });
    const late = setTimeout(() => this.#program.process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await this.#program.exited;
    clearTimeout(late);
    return code === 0 && /^done$/m.test(this.#program.output);
  }

  /** What it printed, for people who look for a fault. */
  get output(): string {
    return this.#program.output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    await this.temporal[Symbol.asyncDispose]();
  }
}

/** All processes under test. */
export class Subjects implements AsyncDisposable {
  readonly all: Subject[] = [];

  async start(
    counts: { seed: number; inline: number; workers: number },
    surroundings: Omit<Surroundings, 'seed'>,
  ): Promise<void> {
    const roles = [
      ...Array<'inline'>(counts.inline).fill('inline'),
      ...Array<'worker'>(counts.workers).fill('worker'),
    ];
    for (const [index, role] of roles.entries()) {
      const seed = counts.seed + index * 100_000;
      this.all.push(await Subject.spawn(`${role}-${index + 1}`, role, { ...surroundings, seed }));
    }
    await Promise.all(this.all.map((subject) => subject.ready()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subject of this.all) await subject[Symbol.asyncDispose]();
  }
}
