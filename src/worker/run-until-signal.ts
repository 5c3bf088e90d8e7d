import type { RunningWorker } from './running-worker.ts';

// SIGHUP: its terminal was closed
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Waits until the worker has stopped. The first SIGINT, SIGTERM or SIGHUP lets running calls finish within the worker's
 * grace, the second leaves them to other workers.
 *
 * @throws what `worker.done` rejects with.
 */
export async function runUntilSignal(worker: RunningWorker): Promise<void> {
  let signals = 0;
  const onSignal = () => {
    signals += 1;
    if (signals === 1)
      process.stderr.write(
        'Stopping: running calls may finish; once more leaves them to other workers.\n',
      );
    // its outcome is that of `done`, awaited below
    worker.stop({ cold: signals > 1 }).catch(() => {});
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    await worker.done;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
