import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Locks } from '../../src/lock/lock.ts';
import type { PrivateRedis } from '../helpers/private-redis.ts';
import type { PrivateTemporal } from '../helpers/private-temporal.ts';
import type { Random } from './random.ts';
import { LOCK_ID } from './subject-app.ts';
import type { Subject } from './subjects.ts';

/** What faults are done to. */
export interface World {
  random: Random;
  leaseMs: number;
  redis: PrivateRedis;
  temporal: PrivateTemporal;
  /** A connection that no fault is at. */
  admin: Redis;
  locks: Locks;
}

interface Fault {
  name: string;
  /** How often it comes, against the others. */
  weight: number;
}

/** A fault of one process. */
export interface SubjectFault extends Fault {
  /** Who can have it. */
  role?: Subject['role'];
  /** Does it, and undoes it after a while. */
  strike: (subject: Subject, world: World) => Promise<void>;
}

/** A fault of a server; one server has one at a time. */
export interface ServerFault extends Fault {
  server: 'redis' | 'temporal';
  strike: (world: World) => Promise<void>;
}

/** A time that leaves the lease in half of all cases, and outlasts it in the other half. */
function aroundLease({ random, leaseMs }: World): number {
  return leaseMs * (random.between(0, 1) < 0.5 ? random.between(0.2, 0.9) : random.between(1.1, 3));
}

/** Workers give up a heartbeat after 20 s. */
const PAST_HEARTBEAT_MS = 25_000;

async function freeze(proxy: Subject['redis'], ms: number): Promise<void> {
  proxy.freeze();
  await delay(ms);
  proxy.thaw();
}

async function stopFor(subject: Subject, ms: number): Promise<void> {
  subject.signal('SIGSTOP');
  await delay(ms);
  subject.signal('SIGCONT');
}

export const SUBJECT_FAULTS: readonly SubjectFault[] = [
  {
    name: 'process killed',
    weight: 3,
    strike: async (subject, { random }) => {
      await subject.kill();
      await delay(random.between(0, 500));
      await subject.revive();
    },
  },
  {
    name: 'process stopped',
    weight: 4,
    strike: async (subject, world) => await stopFor(subject, aroundLease(world)),
  },
  {
    name: 'worker stopped past its heartbeat',
    weight: 0.3,
    role: 'worker',
    strike: async (subject) => await stopFor(subject, PAST_HEARTBEAT_MS),
  },
  {
    name: 'event loop blocked',
    weight: 3,
    strike: async (subject, world) => {
      const ms = aroundLease(world);
      subject.order({ kind: 'block', ms });
      await delay(ms);
    },
  },
  {
    name: 'cut off from Redis',
    weight: 4,
    strike: async ({ redis }, world) => await freeze(redis, aroundLease(world)),
  },
  {
    name: "Redis's replies lost",
    weight: 3,
    strike: async ({ redis }, world) => {
      redis.onReply = () => true;
      await delay(aroundLease(world));
      redis.onReply = () => false;
      // what was swallowed leaves a hole in the stream, so it must end
      redis.reset();
    },
  },
  {
    name: 'connections to Redis reset',
    weight: 3,
    strike: async ({ redis }) => redis.reset(),
  },
  {
    name: 'worker cut off from Temporal',
    weight: 2,
    role: 'worker',
    strike: async ({ temporal }, world) => await freeze(temporal, aroundLease(world)),
  },
  {
    name: 'worker cut off from Temporal past its heartbeat',
    weight: 0.3,
    role: 'worker',
    strike: async ({ temporal }) => await freeze(temporal, PAST_HEARTBEAT_MS),
  },
];

export const SERVER_FAULTS: readonly ServerFault[] = [
  {
    name: 'Redis killed, restarted empty',
    server: 'redis',
    weight: 1.2,
    strike: async ({ redis, random }) => {
      await redis.kill();
      await delay(random.between(0, 1_000));
      await redis.restart();
    },
  },
  {
    name: 'Redis flushed',
    server: 'redis',
    weight: 1.2,
    strike: async ({ admin }) => {
      await admin.flushall();
    },
  },
  {
    name: 'Redis stopped',
    server: 'redis',
    weight: 1.2,
    strike: async (world) => {
      world.redis.freeze();
      await delay(aroundLease(world));
      world.redis.thaw();
    },
  },
  {
    name: 'Redis paused',
    server: 'redis',
    weight: 1.2,
    strike: async (world) => {
      const ms = Math.round(aroundLease(world));
      await world.admin.call('CLIENT', 'PAUSE', String(ms), 'ALL');
      await delay(ms);
    },
  },
  {
    name: 'all connections killed',
    server: 'redis',
    weight: 2,
    strike: async ({ admin }) => {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    },
  },
  {
    name: 'all subscriptions killed',
    server: 'redis',
    weight: 2,
    strike: async ({ admin }) => {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
  },
  {
    name: 'holder asked to let go',
    server: 'redis',
    weight: 2,
    strike: async ({ locks }) => {
      await locks.release(LOCK_ID, { who: 'chaos' });
    },
  },
  {
    name: 'Temporal killed and restarted',
    server: 'temporal',
    weight: 0.2,
    strike: async ({ temporal }) => {
      await temporal.kill();
      await temporal.restart();
    },
  },
];
