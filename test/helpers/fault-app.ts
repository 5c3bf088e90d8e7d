import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sedano, type Duration } from 'sedano';
import type { AppOptions } from '../../src/config.ts';
import type { LockState } from '../../src/lock/lock.ts';
import { Program, uniqueName } from './harness.ts';
import { TcpProxy } from './tcp-proxy.ts';

const APP = 'test/fixtures/fault-app.ts';
const CLI = 'src/cli.ts';
/** The lock of its tasks. */
const LOCK_ID = 'door';

interface FaultAppOptions {
  lease?: Duration;
  /** Its Temporal. @default the shared one */
  temporal?: string;
  /** Its Redis. @default the shared one */
  redis?: string;
  recoveryGuard?: boolean;
}

/** The app of fixtures/fault-app.ts in worker processes, to which faults can be done, and a client of it here. */
export async function faultApp(options: FaultAppOptions = {}) {
  const { lease = '3s', temporal, redis, recoveryGuard = false } = options;
  const folder = await mkdtemp(join(tmpdir(), 'sedano-fault-'));
  const name = uniqueName('fault');
  const appOptions = { lock: { lease, recoveryGuard }, ...(redis === undefined ? {} : { redis }) };
  const app =
    temporal === undefined
      ? new Sedano(name, appOptions)
      : appAt(temporal, { name, ...appOptions });
  const workers: Program[] = [];
  const env = {
    FAULT_APP: name,
    FAULT_FOLDER: folder,
    FAULT_LEASE: lease,
    SEDANO_LOG_LEVEL: 'warn',
    SEDANO_RECOVERY_GUARD: recoveryGuard ? 'on' : 'off',
    ...(temporal === undefined ? {} : { TEMPORAL_ADDRESS: temporal }),
    ...(redis === undefined ? {} : { REDIS_URL: redis }),
  };
  /** @param flags more of `sedano worker` */
  const worker = (flags: string[] = [], more: NodeJS.ProcessEnv = {}): Program => {
    const started = new Program(CLI, ['worker', '--app', APP, ...flags], { ...env, ...more });
    workers.push(started);
    return started;
  };
  return {
    app,
    worker,
    async readyWorker(...options: Parameters<typeof worker>): Promise<Program> {
      const started = worker(...options);
      await started.sees(/Worker of/);
      return started;
    },
    /** Lets the bodies of a call, or of a worker, end. */
    letGo: (who: string | Program) =>
      writeFile(join(folder, typeof who === 'string' ? who : String(who.process.pid)), ''),
    /** What Redis knows of the lock. */
    async lock(): Promise<LockState | undefined> {
      return await (await app.locks()).inspect(LOCK_ID);
    },
    /** What all workers have seen. */
    sections: () => sectionsIn(workers.map(({ output }) => output).join('')),
    async [Symbol.asyncDispose]() {
      // one that is stopped takes no other signal
      await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
      await app.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** An app of this process whose Temporal is elsewhere than the shared one. */
export function appAt(
  address: string,
  { name, ...options }: AppOptions & { name: string },
): Sedano {
  const { TEMPORAL_ADDRESS: shared } = process.env;
  process.env['TEMPORAL_ADDRESS'] = address;
  try {
    const app = new Sedano(name, options);
    // opened now, for it reads the environment then
    assert.equal(app.client.target.address, address);
    return app;
  } finally {
    if (shared === undefined) delete process.env['TEMPORAL_ADDRESS'];
    else process.env['TEMPORAL_ADDRESS'] = shared;
  }
}

/** A proxy before the shared Temporal, and the address of it. */
export async function temporalProxy() {
  const proxy = await TcpProxy.start(
    `tcp://${process.env['TEMPORAL_ADDRESS'] ?? 'localhost:7233'}`,
  );
  return Object.assign(proxy, { address: new URL(proxy.url).host });
}

/** A time for which a body is known to have held its lock, by CLOCK_MONOTONIC, which all processes share. */
interface Section {
  call: string;
  attempt: number;
  fence: bigint;
  from: bigint;
  to: bigint;
}

/** In the order of their begin. A body that was killed is known to have held its lock at its begin only. */
function sectionsIn(output: string): Section[] {
  const sections = new Map<string, Section>();
  const lines = output.matchAll(/^(in|out) (\S+) attempt (\d+) fence (\d+) at (\d+)$/gm);
  for (const [, word, call = '', attempt, fence = '', at = ''] of lines) {
    const known = sections.get(fence);
    if (word === 'out' && known) known.to = BigInt(at);
    else {
      const section = { call, attempt: Number(attempt), from: BigInt(at), to: BigInt(at) };
      sections.set(fence, { ...section, fence: BigInt(fence) });
    }
  }
  return [...sections.values()].toSorted((a, b) => (a.from < b.from ? -1 : 1));
}

/** That no two held the lock at the same time, and that each fence was larger than those before. */
export function assertOneAfterTheOther(sections: readonly Section[]): void {
  for (const [index, next] of sections.entries()) {
    const last = sections[index - 1];
    if (!last) continue;
    assert.ok(next.from > last.to, `overlap: ${describe(last)}, ${describe(next)}`);
    assert.ok(next.fence > last.fence, `fence: ${describe(last)}, ${describe(next)}`);
  }
}

function describe({ call, attempt, from, to }: Section): string {
  return `'${call}' attempt ${attempt} from ${from} to ${to}`;
}
