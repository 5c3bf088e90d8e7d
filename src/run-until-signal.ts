import type { RunningWorker } from './running-worker.ts';

/** The first signal lets running calls finish, the second leaves them to other workers. */
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
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await worker.done;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
