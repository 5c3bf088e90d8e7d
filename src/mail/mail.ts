import { assertKeys, assertTexts } from '../checks.ts';
import type { Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';
import { parseMailbox, type Mailbox } from './mailbox.ts';
import { periodMs } from './settings.ts';

/** A mail in plain text. */
export interface Mail {
  /** One address or several, each `Name <mail>` or `mail`. */
  to: string | readonly string[];
  /** One line; more become one. Cut at 200 characters. */
  subject: string;
  /** Cut at 20,000 characters. */
  text: string;
}

/** When mails count as one that repeats. */
export interface MailOptions {
  /** Mails with the same key are one mail that repeats, of which the latest is sent. @default addresses, subject and text */
  key?: string;
  /** A mail that repeats is sent once in this time, with a count. 1s to 7d. @default the app's `mail.period` */
  period?: Duration;
}

/** A mail as it crosses the wire, checked. */
export interface Letter {
  to: readonly Mailbox[];
  subject: string;
  text: string;
}

const MAX_SUBJECT = 200;
const MAX_TEXT = 20_000;

/** @throws {ConfigError} when an address is none, or there is no address. */
export function toLetter(mail: Mail): Letter {
  assertMail(mail);
  const { to, subject, text } = mail;
  const addresses: readonly string[] = typeof to === 'string' ? [to] : to;
  return {
    to: addresses.map((address) => parseMailbox(address, 'mail: to')),
    // a line break would begin another header
    subject: cut(oneLine(subject), MAX_SUBJECT),
    text: cut(text, MAX_TEXT),
  };
}

/** JavaScript callers, and whoever starts the workflow by hand, pass anything. */
function assertMail(mail: Partial<Mail>): void {
  assertKeys(mail, ['to', 'subject', 'text'], 'mail');
  const { to, subject = '', text = '' } = mail;
  assertTexts({ subject, text }, ['subject', 'text'], 'mail');
  if (typeof to !== 'string' && (!Array.isArray(to) || to.length === 0)) {
    throw new ConfigError('mail: to: expected an address, or a list of addresses, got none');
  }
}

/** @throws {ConfigError} when an option is wrong. */
export function periodOf(options: MailOptions, defaultMs: number): number {
  assertKeys(options, ['key', 'period'], 'mail');
  assertTexts(options, ['key'], 'mail');
  return options.period === undefined ? defaultMs : periodMs(options.period, 'mail: period');
}

/** Without line breaks and other control characters. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** The first `length` characters, with a mark where more followed. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  // not between the halves of a character, which would be sent as a replacement sign
  return `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
