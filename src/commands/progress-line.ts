import type { AsyncResult } from '../async-result.ts';
import { printable } from '../logger.ts';

const EVERY_MS = 500;
const CLEAR_LINE = '\r\u001B[K';

/** Does `work`; meanwhile a line on the terminal says how the call stands. Without a terminal there is no line. */
export async function withProgressLine<T>(result: AsyncResult, work: () => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY || process.env['TERM'] === 'dumb') return await work();
  const began = performance.now();
  let done = false;
  const draw = (text: string) => {
    // the answer may come when the work is done
    if (done) return;
    const seconds = Math.round((performance.now() - began) / 1_000);
    const line = `${result.id}  ${text}  ${seconds} s`;
    process.stderr.write(`${CLEAR_LINE}${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  };
  const timer = setInterval(() => {
    // an error is that of `work` too, which tells it
    describe(result).then(draw, () => {});
  }, EVERY_MS);
  try {
    return await work();
  } finally {
    done = true;
    clearInterval(timer);
    process.stderr.write(CLEAR_LINE);
  }
}

/** On one line: `STARTED {"step":1}`. */
async function describe(result: AsyncResult): Promise<string> {
  const state = await result.state();
  const info = await result.info();
  const progress = info === undefined || info instanceof Error ? '' : ` ${JSON.stringify(info)}`;
  return printable(`${state}${progress}`).replaceAll(/\s+/g, ' ');
}
