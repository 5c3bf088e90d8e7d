/** What the shell is told. */
export const EXIT = { ok: 0, failed: 1, usage: 2, notReady: 3 } as const;

/** A command ended in a way that has been shown already. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}
