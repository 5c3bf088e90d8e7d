import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SedanoError } from '../errors.ts';
import {
  loadDevFile,
  removeDevFile,
  writeDevFile,
  type DevFile,
  type RedisRecord,
  type TemporalRecord,
} from './dev-file.ts';
import { takeLock, type FileLock, type LockOwner } from './file-lock.ts';
import { placeOf } from './given-servers.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import { endProcess } from './server-process.ts';

/**
 * The data folder while this process owns it. Its `dev.json` is the one list of what is to be ended: each process is
 * written there the moment it exists, so that even after a `kill -9` the next owner knows it.
 */
export class OwnedHome {
  readonly folder: string;
  readonly #lock: FileLock;
  #file: DevFile;
  #closed: Promise<void> | undefined;

  /**
   * Takes the folder, which is created when missing, with what a killed process left running in it.
   *
   * @throws {SedanoError} when a live process owns it.
   */
  static take(folder: string): OwnedHome {
    createFolder(folder);
    const taken = takeLock(join(folder, 'dev.lock'));
    if ('owner' in taken) throw ownedError(folder, taken.owner);
    try {
      return new OwnedHome(folder, taken.lock);
    } catch (error) {
      taken.lock.release();
      throw error;
    }
  }

  private constructor(folder: string, lock: FileLock) {
    this.folder = folder;
    this.#lock = lock;
    const left = loadDevFile(folder);
    this.#file = {
      ...lock.owner,
      ready: false,
      ...(runs(left?.temporal) && { temporal: left.temporal }),
      ...(runs(left?.redis) && { redis: left.redis }),
    };
    writeDevFile(folder, this.#file);
  }

  /** Whether the end has begun: a server that ends now was told to. */
  get closing(): boolean {
    return this.#closed !== undefined;
  }

  /** Whether both servers answer. */
  get ready(): boolean {
    return this.#file.ready;
  }

  get temporal(): TemporalRecord | undefined {
    return this.#file.temporal;
  }

  get redis(): RedisRecord | undefined {
    return this.#file.redis;
  }

  /** Writes down what is known now. */
  record(change: Partial<Pick<DevFile, 'temporal' | 'redis' | 'ready'>>): void {
    this.#file = { ...this.#file, ...change };
    writeDevFile(this.folder, this.#file);
  }

  /** Ends all processes of the folder at once, and gives it up. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const processes = [this.#file.temporal?.process, this.#file.redis?.process];
    await Promise.all(
      processes.filter((process) => process !== undefined).map((process) => endProcess(process)),
    );
    removeDevFile(this.folder);
    this.#lock.release();
  }
}

function runs<Server extends { process?: ProcessIdentity }>(
  server: Server | undefined,
): server is Server {
  return server?.process !== undefined && isAlive(server.process);
}

function createFolder(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  // databases and logs do not belong in anybody's repository
  writeFileSync(join(folder, '.gitignore'), '*\n');
}

function ownedError(folder: string, { process: { pid }, since }: LockOwner): SedanoError {
  const file = loadDevFile(folder);
  const servers =
    file?.ready && file.temporal && file.redis
      ? `with Temporal at ${file.temporal.address} and Redis at ${placeOf(file.redis.url)}`
      : 'which is starting';
  return new SedanoError(
    `the servers of ${folder} belong to process ${pid}, since ${since}, ${servers}`,
    {
      hint: `Use them: commands in this project find them by themselves. To stop them: kill ${pid}`,
    },
  );
}
