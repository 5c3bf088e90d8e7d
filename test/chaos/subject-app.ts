import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { currentTask, Sedano } from 'sedano';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';

/** The lock of all sections. */
export const LOCK_ID = 'chaos';

export interface AppSettings {
  name: string;
  leaseMs: number;
  recoveryGuard: boolean;
}

/** The app whose one task all processes run. */
export function chaosApp({ name, leaseMs, recoveryGuard }: AppSettings): Sedano {
  return new Sedano(name, { lock: { lease: `${leaseMs}ms`, recoveryGuard } });
}

/** One in so many sections outlasts a lease, or nearly. */
const LONG_ONE_IN = 5;

/**
 * The task. It notes what it believes of its lock, but goes on when it is lost, and writes to the ledger at its end: what
 * keeps its late writes out is the fence alone.
 */
export function sectionTask(
  app: Sedano,
  world: { journal: Journal; ledger: Ledger; seed: number; leaseMs: number },
) {
  const { journal, ledger } = world;
  const random = new Random(world.seed);
  return app.task(
    { name: 'section', exclusive: { lockId: LOCK_ID, onBusy: 'wait' }, maxCrashes: 1_000 },
    async (call: string): Promise<string> => {
      const { lock } = currentTask();
      if (!lock) throw new Error('expected a lock');
      const section = `${call} ${randomUUID()}`;
      journal.observe(section, lock);
      const isLong = random.between(0, LONG_ONE_IN) < 1;
      const ms = isLong ? world.leaseMs * random.between(0.5, 2) : random.between(5, 150);
      const until = performance.now() + ms;
      while (performance.now() < until) {
        if (!journal.observe(section, lock)) break;
        await delay(4);
      }
      // goes on as if nothing had happened
      if (!lock.isHeld()) await delay(world.leaseMs * random.between(0.5, 2));
      const isTaken = await ledger.write(lock.fence);
      journal.write({ what: isTaken ? 'written' : 'rejected', section, fence: lock.fence });
      journal.observe(section, lock);
      return call;
    },
  );
}
