import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { programCache } from '../../src/embedded/home.ts';
import { findTemporal } from '../../src/embedded/temporal-program.ts';
import { uniqueName } from './harness.ts';

const ADDRESS = process.env['TEMPORAL_ADDRESS'] ?? 'localhost:7233';

/** Runs Temporal's own command line; returns what it prints. */
export async function temporal(...args: string[]): Promise<string> {
  const { path } = await findTemporal({
    cache: programCache(),
    env: process.env,
    report: () => {},
  });
  const { stdout } = await promisify(execFile)(path, [...args, '--address', ADDRESS]);
  return stdout;
}

interface Target {
  type: string;
  queue: string;
  /** Each one JSON text, as the command line takes it. */
  inputs?: string[];
}

function targetFlags({ type, queue, inputs = [] }: Target): string[] {
  return ['--type', type, '--task-queue', queue, ...inputs.flatMap((input) => ['--input', input])];
}

/** `temporal workflow start`; returns the workflow id. */
export async function startWorkflow(target: Target): Promise<string> {
  const output = await temporal('workflow', 'start', '--output', 'json', ...targetFlags(target));
  return (JSON.parse(output) as { workflowId: string }).workflowId;
}

/** `temporal schedule create` and, when asked, one run of it; returns that run's workflow id, else the schedule's id. */
export async function createSchedule({
  runNow,
  ...target
}: Target & { runNow?: boolean }): Promise<string> {
  const id = uniqueName('schedule');
  const flags = ['--schedule-id', id, '--workflow-id', id, '--interval', '400d'];
  await temporal('schedule', 'create', ...flags, ...targetFlags(target));
  if (!runNow) return id;
  await temporal('schedule', 'trigger', '--schedule-id', id);
  return await lastRun(id);
}

/** The workflow id of the schedule's latest run, once it has one. */
export async function lastRun(scheduleId: string): Promise<string> {
  const connection = await Connection.connect({ address: ADDRESS });
  try {
    const handle = new Client({ connection }).schedule.getHandle(scheduleId);
    const deadline = Date.now() + 20_000;
    for (;;) {
      const { info } = await handle.describe();
      const last = info.recentActions.at(-1);
      if (last) return last.action.workflow.workflowId;
      if (Date.now() > deadline) throw new Error(`schedule ${scheduleId} has started nothing`);
      await delay(50);
    }
  } finally {
    await connection.close();
  }
}
