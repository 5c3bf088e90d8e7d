import { ConfigError } from './errors.ts';

// Checks of what callers pass; each error names the place and what was expected there.

/** @throws {ConfigError} naming a key that is not among `allowed`. */
export function assertKeys(options: object, allowed: readonly string[], where: string): void {
  // JavaScript callers pass anything
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw new ConfigError(
      `${where}: expected an object, got ${JSON.stringify(options) ?? typeof options}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (!allowed.includes(key)) {
      throw new ConfigError(
        `${where}: unknown option '${key}', expected one of ${allowed.join(', ')}`,
      );
    }
  }
}

/** @throws {ConfigError} naming a key that is given and is not a text with something in it. */
export function assertTexts(options: object, keys: readonly string[], where: string): void {
  for (const key of keys) {
    const value: unknown = Reflect.get(options, key);
    if (value === undefined || (typeof value === 'string' && value !== '')) continue;
    throw new ConfigError(`${where}: ${key}: expected a text, got ${JSON.stringify(value)}`);
  }
}

/** @throws {ConfigError} when it is not a whole number from `least` up. */
export function assertCount(value: unknown, least: number, where: string): void {
  if (!Number.isInteger(value) || Number(value) < least) {
    throw new ConfigError(
      `${where}: expected a whole number from ${least} up, got ${JSON.stringify(value)}`,
    );
  }
}
