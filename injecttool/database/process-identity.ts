import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const PS_TIMEOUT_MS = 5_000; // 5s

/**
 * What tells process `pid` from an earlier or later one with the same id: when it began.
 * Undefined when no such process runs.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  if (!isRunning(pid)) return undefined;
  return process.platform === 'linux' ? await readProc(pid) : await askPs(pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, and belongs to somebody else
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function readProc(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // the program's name stands in parentheses and may hold anything; the fields after it are plain
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    if (state === 'Z' || state === 'X') return undefined; // dead, only not yet collected
    const startTicks = fields[19]; // field 22 of proc(5), counted from the state
    return `${bootId.slice(0, 8)}-${startTicks}`;
  } catch {
    return undefined; // it ended in between
  }
}

async function askPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], {
      timeout: PS_TIMEOUT_MS,
      env: { ...process.env, LC_ALL: 'C' },
    });
    return stdout.trim().replace(/\W+/g, '-');
  } catch {
    return 'unknown'; // no ps, as on Windows: the id alone must do
  }
}
