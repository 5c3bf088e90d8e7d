import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Asks a question on the terminal. Everything but yes means no, and so does the lack of a terminal.
 *
 * @throws the signal's reason when it aborts.
 */
export async function confirm(question: string, signal?: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  process.stderr.write(`${question} [y/N] `);
  // not in terminal mode, where Ctrl-C would no longer be a signal
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    const options = signal ? { signal } : {};
    const answer = await Promise.race([
      once(lines, 'line', options).then(([line]) => String(line)),
      once(lines, 'close', options).then(() => ''),
    ]);
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    lines.close();
  }
}
