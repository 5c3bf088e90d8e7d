import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

/** Who holds a lock. */
export interface LockOwner {
  process: ProcessIdentity;
  /** Since when, ISO 8601 in UTC. */
  since: string;
}

export interface FileLock {
  owner: LockOwner;
  release(): void;
}

/**
 * Takes the lock at `path` for this process, or names the live process that holds it.
 *
 * The lock is a file with a number, `<path>.<n>`. A dead owner's file is never replaced, for two who find it at the
 * same moment would replace each other's: the next number is created instead, which only one can, and the highest
 * number is the truth. So it is also the one file that a release leaves behind.
 */
export function takeLock(path: string): { lock: FileLock } | { owner: LockOwner } {
  for (;;) {
    const last = lastNumber(path);
    const owner = readOwner(`${path}.${last}`);
    if (owner && isAlive(owner.process)) return { owner };
    const lock = createLock(path, last + 1);
    if (lock) return { lock };
  }
}

function createLock(path: string, number: number): FileLock | undefined {
  const file = `${path}.${number}`;
  const owner = thisProcess();
  if (!createWhole(file, JSON.stringify(owner))) return undefined;
  // the number may come from a listing that was old: then a higher one holds
  if (lastNumber(path) !== number) {
    rmSync(file, { force: true });
    return undefined;
  }
  for (const older of numbers(path)) {
    if (older < number) rmSync(`${path}.${older}`, { force: true });
  }
  return { owner, release: () => replace(file, '{}') };
}

function thisProcess(): LockOwner {
  const self = identify(process.pid) ?? { pid: process.pid, started: '' };
  return { process: self, since: new Date().toISOString() };
}

/** Creates `file` with its contents in one step; false when it exists. */
function createWhole(file: string, contents: string): boolean {
  const draft = draftOf(file);
  writeFileSync(draft, contents);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function replace(file: string, contents: string): void {
  const draft = draftOf(file);
  writeFileSync(draft, contents);
  renameSync(draft, file);
}

function draftOf(file: string): string {
  return `${file}-${process.pid}-${Math.random().toString(36).slice(2)}.new`;
}

function readOwner(file: string): LockOwner | undefined {
  try {
    const owner: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isOwner(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isOwner(value: unknown): value is LockOwner {
  return typeof value === 'object' && value !== null && 'process' in value && 'since' in value;
}

function lastNumber(path: string): number {
  return Math.max(0, ...numbers(path));
}

function numbers(path: string): number[] {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)));
}
