/** What every error of Sedano can carry beside its message. */
export interface SedanoErrorOptions {
  /** The next thing to try, as one sentence. The command line prints it under the message. */
  hint?: string;
  /** The error that led to this one. */
  cause?: unknown;
}

/** The base of all errors that Sedano throws. Messages say what, where, expected and got. */
export class SedanoError extends Error {
  override name = 'SedanoError';
  /** The next thing to try, as one sentence. */
  readonly hint: string | undefined;

  constructor(message: string, { hint, cause }: SedanoErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
  }
}

/** A setting, an option, an environment variable or a definition is wrong. */
export class ConfigError extends SedanoError {
  override name = 'ConfigError';
}

/** A crontab does not parse, or can never fire. */
export class CrontabError extends SedanoError {
  override name = 'CrontabError';
  /** The field at fault, in Sedano's spelling, for example `dayOfWeek`; undefined when the whole is at fault. */
  readonly field: string | undefined;

  constructor(
    message: string,
    { field, ...options }: SedanoErrorOptions & { field?: string } = {},
  ) {
    super(message, options);
    this.field = field;
  }
}
