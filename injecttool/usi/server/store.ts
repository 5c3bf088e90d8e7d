import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ConfigError } from 'sedano';
import { storedSubmission, type StoredSubmission } from './submission.ts';

const storeShape = z.object({
  nextAccession: z.number().int(),
  submissions: z.array(storedSubmission),
});

/** The server's submissions, kept in a JSON file. */
export interface Store {
  find(name: string): StoredSubmission | undefined;
  add(submission: StoredSubmission): void;
  all(): StoredSubmission[];
  nextAccession(): string;
  /** Writes the file; to be called after every change, before it is answered. */
  save(): void;
}

/** @throws {ConfigError} when the file is there but is not one of this server. */
export function openStore(file: string, now: Date): Store {
  const state = readStore(file) ?? {
    // begun anew, the accessions must not be those of an earlier file that a database may still hold
    nextAccession: Math.floor(now.getTime() / 1_000),
    submissions: [],
  };
  return {
    find: (name) => state.submissions.find((submission) => submission.name === name),
    add: (submission) => void state.submissions.push(submission),
    all: () => structuredClone(state.submissions),
    nextAccession: () => `SAMEA${state.nextAccession++}`,
    save: () => {
      mkdirSync(dirname(file), { recursive: true });
      // a reader, or a start after a crash, finds the old file or the new one, never half of one
      const unfinished = `${file}.unfinished`;
      writeFileSync(unfinished, `${JSON.stringify(state, null, 2)}\n`);
      renameSync(unfinished, file);
    },
  };
}

function readStore(file: string): z.infer<typeof storeShape> | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return storeShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected the submissions of the USI server, got something else`,
      {
        hint: 'Delete the file to begin without submissions.',
        cause,
      },
    );
  }
}
