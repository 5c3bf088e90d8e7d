import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process that is never mistaken for a later one with the same number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in the words of the operating system: clock ticks since boot on Linux, a date elsewhere. */
  started: string;
}

/** The identity of `pid` now; undefined when there is no such process. */
export function identify(pid: number): ProcessIdentity | undefined {
  const seen = look(pid);
  return seen && { pid, started: seen.started };
}

/** Whether this very process still runs. One that has ended but was not yet collected by its parent does not. */
export function isAlive({ pid, started }: ProcessIdentity): boolean {
  const seen = look(pid);
  return seen !== undefined && seen.started === started && !/^[ZX]/.test(seen.state);
}

function look(pid: number): { state: string; started: string } | undefined {
  try {
    return process.platform === 'linux' ? lookInProc(pid) : lookWithPs(pid);
  } catch {
    // neither /proc nor ps knows the number
    return undefined;
  }
}

function lookInProc(pid: number): { state: string; started: string } | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // the program's name, in parentheses, may hold spaces and parentheses: count from the last one
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields[0], fields[19]];
  return state && started ? { state, started } : undefined;
}

function lookWithPs(pid: number): { state: string; started: string } | undefined {
  const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const match = /^\s*(\S+)\s+(\S.*\S)\s*$/.exec(line);
  return match?.[1] && match[2] ? { state: match[1], started: match[2] } : undefined;
}
