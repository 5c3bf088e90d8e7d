import { SedanoError } from '../errors.ts';

/** What the shell is told. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notReady: 3,
  // what shells say of a program that a signal ended: 128 and the signal's number
  interrupted: 130,
  terminated: 143,
} as const;

/** A command ended in a way that has been shown already. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

/** The command line itself is wrong. */
export class UsageError extends SedanoError {
  override name = 'UsageError';
}
