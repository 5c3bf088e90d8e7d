import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { SedanoError } from '../errors.ts';
import { majorMinor } from './version.ts';

/**
 * Notes beside a new database which server makes it, and refuses one that another server made: a newer server does not
 * migrate an old file, and an older one does not understand a new file.
 *
 * @throws {SedanoError} when the major or minor version differs.
 */
export function claimDatabase(database: string, serverVersion: string): void {
  const note = `${database}.json`;
  const maker = existsSync(database) ? readMaker(note) : undefined;
  if (!maker) {
    writeFileSync(note, `${JSON.stringify({ serverVersion })}\n`);
    return;
  }
  if (majorMinor(maker) === majorMinor(serverVersion)) return;
  throw new SedanoError(
    `${database} was made by Temporal server ${maker}; the server found here is ${serverVersion} and cannot use it`,
    {
      hint: `Use a Temporal CLI with server ${majorMinor(maker)}, or start empty: move ${database}* to another place.`,
    },
  );
}

function readMaker(note: string): string | undefined {
  try {
    const contents: unknown = JSON.parse(readFileSync(note, 'utf8'));
    const known = typeof contents === 'object' && contents !== null && 'serverVersion' in contents;
    return known ? String(contents.serverVersion) : undefined;
  } catch {
    // a file from before there were notes
    return undefined;
  }
}
