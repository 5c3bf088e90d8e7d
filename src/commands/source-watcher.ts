import { EventEmitter } from 'node:events';
import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

// an editor writes a file in several steps, and git many files at once
const QUIET_MS = 200;
const SOURCE = /\.[cm]?[jt]sx?$/;
const LEFT_OUT = /^(\..*|node_modules)$/;

/**
 * Emits `change`, with the file's path, when source files in a folder or below have changed. Node's own recursive
 * watching would take each file of node_modules too, which is slow and may be more than the system allows.
 */
export class SourceWatcher extends EventEmitter<{ change: [file: string] }> implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string) {
    super();
    this.#add(folder);
  }

  #add(folder: string): void {
    // one that was deleted and made again is watched anew
    this.#watchers.get(folder)?.close();
    const watcher = watch(folder, (event, name) => this.#saw(event, folder, name));
    // the folder has gone; its parent tells when it is back
    watcher.on('error', () => watcher.close());
    this.#watchers.set(folder, watcher);
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && !LEFT_OUT.test(entry.name)) this.#add(join(folder, entry.name));
    }
  }

  #saw(event: string, folder: string, name: string | null): void {
    if (name === null || LEFT_OUT.test(name)) return;
    const path = join(folder, name);
    const isNewFolder = event === 'rename' && isFolder(path);
    if (!isNewFolder && !SOURCE.test(name)) return;
    if (isNewFolder) this.#addIfStillThere(path);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.emit('change', path), QUIET_MS);
  }

  #addIfStillThere(folder: string): void {
    try {
      this.#add(folder);
    } catch (error) {
      if (isFolder(folder)) throw error;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
