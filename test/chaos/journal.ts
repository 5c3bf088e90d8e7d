import { closeSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hrtime } from 'node:process';
import type { HeldLock } from '../../src/lock/lock.ts';

/**
 * One line of a process's journal. Times are of CLOCK_MONOTONIC in ns, which all processes of a machine share.
 * - `held`, `lost`: what `isHeld()` said at some moment from `before` to `after`
 * - `written`, `rejected`: what the ledger made of the section's write
 * - `ended`: how a call ended that was made inline
 */
export type JournalLine =
  | { what: 'held' | 'lost'; section: string; fence: string; before: string; after: string }
  | { what: 'written' | 'rejected'; section: string; fence: string }
  | { what: 'ended'; outcome: string };

/** What a process saw. A line is in the file when the call returns, so that a kill takes nothing away. */
export class Journal implements Disposable {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  write(line: JournalLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** Notes whether the lock is held. */
  observe(section: string, lock: HeldLock): boolean {
    const before = String(hrtime.bigint());
    const isHeld = lock.isHeld();
    const after = String(hrtime.bigint());
    const { fence } = lock;
    this.write({ what: isHeld ? 'held' : 'lost', section, fence, before, after });
    return isHeld;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** All lines of all journals in a folder. The last line of a killed process may be cut off. */
export async function readJournals(folder: string): Promise<JournalLine[]> {
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JournalLine),
  );
}
