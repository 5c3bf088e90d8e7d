import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from 'sedano';
import { processIdentity } from './process-identity.ts';

const LOCK_NAME = /^lock\.(\d+)\.([\w-]+)$/;
const ATTEMPTS = 3;

/** One process's claim on the folder: the file `lock.<pid>.<identity>`. */
interface Claim {
  file: string;
  pid: number;
  identity: string;
}

/**
 * Takes `folder` for this process; resolves to the function that gives it back. The lock is an empty file
 * named after the process id and when that process began. A lock whose process is gone, or whose id is
 * another process by now, is taken over.
 *
 * @throws {ConfigError} when a live process has the folder.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const own = await ownClaim();
  const file = join(folder, own.file);
  for (let attempt = 1; ; attempt += 1) {
    // first claim, then look: of two that start together at least one sees the other, so never both go on
    const holder = (await claim(file)) ? await findOther(folder, own) : own;
    if (holder === undefined) return () => rm(file, { force: true });
    if (holder !== own) await rm(file, { force: true });
    if (holder === own || attempt === ATTEMPTS) throw alreadyOpen(folder, holder);
    // both may have seen each other and stepped back: by another moment one of them has it
    await delay(50 + Math.random() * 200);
  }
}

async function ownClaim(): Promise<Claim> {
  const identity = (await processIdentity(process.pid)) ?? 'unknown';
  return { file: `lock.${process.pid}.${identity}`, pid: process.pid, identity };
}

/** False when this very process holds the folder already. */
async function claim(file: string): Promise<boolean> {
  try {
    await writeFile(file, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function findOther(folder: string, own: Claim): Promise<Claim | undefined> {
  for (const other of await readClaims(folder)) {
    if (other.file === own.file) continue;
    if (await isAlive(other)) return other;
    await rm(join(folder, other.file), { force: true });
  }
  return undefined;
}

async function readClaims(folder: string): Promise<Claim[]> {
  const names = await readdir(folder);
  return names.flatMap((file) => {
    const match = LOCK_NAME.exec(file);
    return match ? [{ file, pid: Number(match[1]), identity: match[2] ?? '' }] : [];
  });
}

async function isAlive({ pid, identity }: Claim): Promise<boolean> {
  const current = await processIdentity(pid);
  if (current === undefined) return false;
  // where the system does not say when a process began, the id alone must do
  return current === identity || current === 'unknown' || identity === 'unknown';
}

function alreadyOpen(folder: string, { pid }: Claim): ConfigError {
  return new ConfigError(
    `the embedded database ${folder} is open in process ${pid}: stop it, or set DATABASE_URL`,
  );
}
