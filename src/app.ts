import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { AsyncResult } from './async-result.ts';
import type { CallOptions } from './call-options.ts';
import { assertKeys } from './checks.ts';
import {
  lockSettings,
  resolveAppOptions,
  type AppOptions,
  type ResolvedAppOptions,
} from './config.ts';
import { ConfigError, SedanoError } from './errors.ts';
import { decoratedExclusive, readExclusive, type ExclusiveOptions } from './exclusive.ts';
import { runInline } from './inline.ts';
import type { Locks } from './lock/lock.ts';
import type { Mail, MailOptions } from './mail/mail.ts';
import { postMail } from './mail/post.ts';
import { callSite, Registry, type Registration } from './registry.ts';
import { assertRoutine, type Routine } from './routines/routine.ts';
import {
  planSync,
  syncRoutines,
  type RoutineDiff,
  type SyncOptions,
  type SyncReport,
} from './routines/sync.ts';
import { listRoutines, type RoutineRow } from './routines/list.ts';
import {
  FunctionTask,
  TASK_OPTIONS,
  type ArgsOf,
  type BaseTask,
  type JsonTask,
  type ResultOf,
  type TaskOptions,
} from './task.ts';
import { TaskClient } from './client.ts';

/**
 * An app: its tasks, its routines, and its connections, which are opened when they are first needed.
 *
 *     const app = new Sedano('injecttool', { timezone: 'Europe/Rome' });
 */
export class Sedano implements AsyncDisposable {
  /** 1 to 100 printable characters without `/`. Also the default task queue. */
  readonly name: string;
  /** Its options, checked and with their defaults. @internal */
  readonly options: ResolvedAppOptions;
  readonly #registry = new Registry();
  readonly #routines = new Map<string, Routine>();
  readonly #taskFolders: URL[] = [];
  readonly #workerChecks: (() => void | Promise<void>)[] = [];
  #loaded: Promise<void> | undefined;
  #client: TaskClient | undefined;
  #locks: Promise<Locks> | undefined;

  /**
   * An app without tasks, which has opened nothing yet.
   *
   * @throws {ConfigError} when the name or an option is wrong.
   */
  constructor(name: string, options: AppOptions = {}) {
    this.name = name;
    this.options = resolveAppOptions(name, options);
  }

  /**
   * Makes and registers a task of a function.
   *
   * @throws {ConfigError} when an option is wrong, or a task of this name exists; both places are named.
   */
  task<Args extends unknown[], Result>(
    options: TaskOptions<NoInfer<Args>>,
    code: ((...args: Args) => Result) & JsonTask<Args, Result>,
  ): FunctionTask<Args, Result> {
    assertKeys(options, TASK_OPTIONS, `task '${options.name}'`);
    if (typeof (code as unknown) !== 'function') {
      throw new ConfigError(`task '${options.name}': expected a function, got ${typeof code}`);
    }
    const task = new FunctionTask<Args, Result>(options, code);
    this.#register(task, options.exclusive);
    return task;
  }

  /**
   * Registers a class task. Its name, options and `@exclusiveTask` are read now, and `run` becomes the inline form.
   *
   * @throws {ConfigError} as {@link task}, and when `run` is not the method that `@exclusiveTask` decorates.
   */
  register<T extends BaseTask>(task: T & JsonTask<ArgsOf<T>, ResultOf<T>>): T {
    this.#register(task, decoratedExclusive(task));
    return task;
  }

  #register(task: BaseTask, exclusive: ExclusiveOptions<never> | undefined): void {
    if (!Object.isExtensible(task)) throw new ConfigError(`task '${task.name}' is frozen`);
    const { name } = task;
    // the prototype's method is called with the task as `this`; the task's own property is the inline form
    const body = task.run.bind(task) as (...args: unknown[]) => unknown;
    const registration: Registration = {
      app: this,
      task,
      name,
      body,
      exclusive: exclusive && readExclusive(exclusive, name),
      definedAt: callSite(),
    };
    this.#registry.add(registration);
    Object.defineProperty(task, 'run', {
      value: (...args: unknown[]) => runInline(registration, args),
    });
  }

  /** The registered tasks, in order of definition. @internal */
  get tasks(): Registration[] {
    return this.#registry.all();
  }

  /** A registered task by its name. @internal */
  registered(name: string): Registration | undefined {
    return this.#registry.get(name);
  }

  /**
   * Remembers a folder of task modules: `app.autodiscoverTasks(new URL('./tasks/', import.meta.url))`. They are
   * imported by {@link loadTasks}, not now: task modules import the module that evaluates this line.
   */
  autodiscoverTasks(folder: URL): void {
    this.#taskFolders.push(folder);
  }

  /**
   * Imports the task modules of the remembered folders, in name order, without tests and declarations. The worker
   * and the command line call it; a second call does nothing.
   *
   * @throws {ConfigError} when a folder cannot be read or a module throws; the text names it.
   */
  async loadTasks(): Promise<void> {
    this.#loaded ??= this.#importTasks();
    await this.#loaded;
  }

  async #importTasks(): Promise<void> {
    for (const folder of this.#taskFolders) {
      for (const file of await taskModules(folder)) {
        try {
          await import(pathToFileURL(join(fileURLToPath(folder), file)).href);
        } catch (error) {
          throw moduleError(join(fileURLToPath(folder), file), error);
        }
      }
    }
  }

  /**
   * Runs `check` whenever a worker of the app starts, before it takes calls: the place to open what the tasks need, and to
   * say so. What it throws keeps the worker from starting. Clients and the other commands do not run it.
   */
  onWorkerStart(check: () => void | Promise<void>): void {
    this.#workerChecks.push(check);
  }

  /** Runs what `onWorkerStart` was given, in its order. @internal */
  async checkWorker(): Promise<void> {
    for (const check of this.#workerChecks) await check();
  }

  /**
   * Adds routines to the app's table. A worker that starts creates each that Temporal does not have yet, and lets what
   * nobody has edited there follow the code.
   *
   * @throws {ConfigError} when a routine is wrong, or one of its name is in the table.
   */
  routines(table: Record<string, Routine>): void {
    for (const [name, routine] of Object.entries(table)) {
      assertRoutine(name, routine);
      if (this.#routines.has(name))
        throw new ConfigError(`routine '${name}' is in the table twice`);
      this.#routines.set(name, routine);
    }
  }

  /** The routine table, by name. */
  get routineTable(): ReadonlyMap<string, Routine> {
    return this.#routines;
  }

  /**
   * The routines as Temporal has them, by name, with their next times and their last runs: those of the table, and what
   * else the app has there. One that has no schedule yet is left out.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async listRoutines(): Promise<RoutineRow[]> {
    return await listRoutines(this);
  }

  /**
   * How the routines on the server differ from the table, without changing anything.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async diffRoutines(options: SyncOptions = {}): Promise<RoutineDiff[]> {
    return await planSync(this, options);
  }

  /**
   * Creates the routines that Temporal does not have, and lets what nobody has edited there follow the code. What was
   * edited stays, and is reported. A worker does the same when it starts.
   *
   * @throws {ConfigError} when routines name tasks that are not registered, or that join; nothing is written then.
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async syncRoutines(options: SyncOptions = {}): Promise<SyncReport> {
    return await syncRoutines(this, options);
  }

  /**
   * Starts a durable call by the task's name, with or without the task's code in this process.
   *
   * @throws {InvalidArgumentsError} when the arguments are not JSON.
   * @throws {TemporalUnavailableError} when no server answers within 5 s; one that got the request may have started it.
   * @throws {ConfigError} when an option is wrong, no task can have this name, or the namespace does not exist.
   */
  async sendTask<Result = unknown>(
    name: string,
    args: readonly unknown[] = [],
    options: CallOptions = {},
  ): Promise<AsyncResult<Result>> {
    return await this.client.start<Result>(name, args, options);
  }

  /**
   * The result of a call by its id.
   *
   * @param options.runId one certain run of the id; the latest when absent
   * @throws {InvalidArgumentsError} when the id begins with `refused/` and no refused call gave it.
   */
  result<Result = unknown>(id: string, options: { runId?: string } = {}): AsyncResult<Result> {
    return this.client.result<Result>(id, options.runId);
  }

  /**
   * Hands a mail over to be sent by a worker, which tries for a day; one that repeats is sent once in a period, with a
   * count. Without `mail.smtpUrl` its subject is logged instead. Inside a task what the task's `redact` names is taken
   * out, and the same call never counts twice.
   *
   * @throws {ConfigError} when an address is none, the subject or the text is empty, or an option is wrong.
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   */
  async sendMail(mail: Mail, options: MailOptions = {}): Promise<void> {
    await postMail(this, mail, options);
  }

  /** The client, which connects at its first request. @internal */
  get client(): TaskClient {
    return (this.#client ??= new TaskClient(this));
  }

  /**
   * The locks of the exclusive tasks; they connect to Redis at the first request.
   *
   * @throws {ConfigError} when the app's `redis` or `REDIS_URL` is not a Redis URL.
   * @internal
   */
  locks(): Promise<Locks> {
    // loaded here, so that a client that needs no lock never loads ioredis
    this.#locks ??= import('./lock/lock.ts').then(
      ({ Locks }) => new Locks({ app: this.name, ...lockSettings(this.options) }),
    );
    return this.#locks;
  }

  /** Closes what was opened. The app can be used again afterwards. */
  async close(): Promise<void> {
    const [client, locks] = [this.#client, this.#locks];
    this.#client = undefined;
    this.#locks = undefined;
    await client?.close();
    // where opening has failed, whoever asked for a lock was told, and there is nothing to close
    await locks?.then(
      (opened) => opened.close(),
      () => {},
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function moduleError(module: string, error: unknown): ConfigError {
  const path = relative(process.cwd(), module);
  const what = error instanceof SedanoError ? error.message : `failed to load: ${String(error)}`;
  const hint =
    (error instanceof SedanoError && error.hint) || 'Run with --debug to see where it was thrown.';
  return new ConfigError(`task module ${path}: ${what}`, { cause: error, hint });
}

async function taskModules(folder: URL): Promise<string[]> {
  try {
    const files = await readdir(folder);
    return files
      .filter((file) => /\.[cm]?[jt]s$/.test(file) && !/\.(test|d)\.[cm]?[jt]s$/.test(file))
      .toSorted();
  } catch (error) {
    throw new ConfigError(`task folder ${folder.href}: cannot be read: ${String(error)}`, {
      cause: error,
      hint: "Pass a URL that ends in a slash: new URL('./tasks/', import.meta.url).",
    });
  }
}
