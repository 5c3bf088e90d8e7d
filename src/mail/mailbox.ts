import { ConfigError } from '../errors.ts';

/** A mail address with the name that stands before it. */
export interface Mailbox {
  /** What stands before the address; `''` where nothing does. */
  name: string;
  /** The address alone, `maria@example.org`. */
  address: string;
}

// narrower than RFC 5322: no quotes, comments or groups, whose characters could make one address several
const ADDRESS =
  /^[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}](?:[\p{L}\p{N}.-]{0,252}[\p{L}\p{N}])?$/u;
const NAMED = /^([^<>]*?)\s*<([^<>]*)>$/;

/**
 * `Name <mail>` or `mail`, exactly one of them.
 *
 * @param where names the place in the error.
 * @throws {ConfigError} when it is something else; the text is not repeated, for it may be somebody's address.
 */
export function parseMailbox(text: unknown, where: string): Mailbox {
  const line = typeof text === 'string' && !/\p{Cc}/u.test(text) ? text.trim() : '';
  const [, name = '', address = line] = NAMED.exec(line) ?? [];
  if (!ADDRESS.test(address)) {
    throw new ConfigError(`${where}: expected one mail address, 'Name <mail>' or 'mail'`, {
      hint: 'For example: Maria Rossi <maria@example.org>',
    });
  }
  return { name: name.replace(/^"(.*)"$/, '$1'), address };
}

/** As {@link parseMailbox} reads it. */
export function formatMailbox({ name, address }: Mailbox): string {
  return name === '' ? address : `${name} <${address}>`;
}
