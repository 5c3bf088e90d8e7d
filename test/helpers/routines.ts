import type { ScheduleDescription } from '@temporalio/client';
import { crontab, Sedano, type Routine } from 'sedano';
import type { AppOptions } from '../../src/config.ts';
import { uniqueName } from './harness.ts';
import { temporal } from './temporal-cli.ts';

export const noon: Routine = { task: 'clear', schedule: crontab({ hour: 12, minute: 0 }) };

/** An app with a task `clear`, and what tests do to its schedules, which are deleted when the scope ends. */
export class RoutineApp implements AsyncDisposable {
  readonly app: Sedano;
  readonly #others: Sedano[] = [];

  constructor(
    table: Record<string, Routine>,
    options: AppOptions = {},
    name: string = uniqueName('routines'),
  ) {
    this.app = new Sedano(name, { timezone: 'Europe/Rome', ...options });
    for (const task of ['clear', 'sweep']) this.app.task({ name: task }, async () => 'cleared');
    this.app.routines(table);
  }

  /** The same app as another process has it, with another table perhaps; closed with this one. */
  again(table: Record<string, Routine>, options: AppOptions = {}): Sedano {
    const { app } = new RoutineApp(table, options, this.app.name);
    this.#others.push(app);
    return app;
  }

  id(routine: string): string {
    return `${this.app.name}/${routine}`;
  }

  handle(routine: string) {
    return this.app.client.temporal.schedule.getHandle(this.id(routine));
  }

  async describe(routine: string): Promise<ScheduleDescription> {
    return await this.handle(routine).describe();
  }

  /** `temporal schedule update`, which replaces everything. */
  async updateByCli(routine: string, ...flags: string[]): Promise<void> {
    const target = ['--schedule-id', this.id(routine), '--type', 'clear'];
    await temporal('schedule', 'update', ...target, '--task-queue', this.app.name, ...flags);
  }

  /** `temporal schedule toggle` */
  async toggleByCli(routine: string, flag: '--pause' | '--unpause', reason: string): Promise<void> {
    const target = ['--schedule-id', this.id(routine)];
    await temporal('schedule', 'toggle', ...target, flag, '--reason', reason);
  }

  /** The ids under the app's name, once `seen` likes what the list shows; it is a second or two behind. */
  async listed(seen: (names: string[]) => boolean): Promise<string[]> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const names: string[] = [];
      const query = `ScheduleId STARTS_WITH "${this.app.name}/"`;
      for await (const { scheduleId } of this.app.client.temporal.schedule.list({ query })) {
        names.push(scheduleId.slice(this.app.name.length + 1));
      }
      if (seen(names) || Date.now() > deadline) return names.toSorted();
    }
  }

  /** Resolves when the list shows what each routine of the table has: it is a second or two behind. */
  async isListed(): Promise<void> {
    const shown = (searchAttributes: object, paused: boolean) =>
      JSON.stringify([searchAttributes, paused]);
    const names = [...this.app.routineTable.keys()];
    const are = await Promise.all(names.map((name) => this.describe(name)));
    const missing = new Map(
      are.map((one) => [one.scheduleId, shown(one.searchAttributes, one.state.paused)]),
    );
    const query = `ScheduleId STARTS_WITH "${this.app.name}/"`;
    const deadline = Date.now() + 30_000;
    while (missing.size > 0 && Date.now() < deadline) {
      for await (const one of this.app.client.temporal.schedule.list({ query })) {
        const { searchAttributes = {}, state } = one;
        if (missing.get(one.scheduleId) === shown(searchAttributes, state.paused)) {
          missing.delete(one.scheduleId);
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // the list may lack what was just created
    const names = new Set([...this.app.routineTable.keys(), ...(await this.listed(() => true))]);
    for (const other of this.#others) for (const name of other.routineTable.keys()) names.add(name);
    await Promise.all(
      // a test may have deleted some
      [...names].map((name) =>
        this.handle(name)
          .delete()
          .catch(() => {}),
      ),
    );
    await Promise.all([this.app, ...this.#others].map((app) => app.close()));
  }
}
