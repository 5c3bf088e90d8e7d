import { assertKeys } from '../checks.ts';
import { durationMs, type Duration } from '../duration.ts';
import { ConfigError } from '../errors.ts';
import { parseMailbox, type Mailbox } from './mailbox.ts';

/** How an app sends mails. Without `smtpUrl` none is sent: the subject of what would be is logged. */
export interface MailSettings {
  /**
   * The server: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte; without a port 587, and 465
   * for `smtps://`. An account is sent to another machine under TLS only.
   */
  smtpUrl?: string;
  /** The sender, `Name <mail>` or `mail`. Needed with `smtpUrl`. */
  from?: string;
  /** Who is told of failures, each as `Name <mail>` or `mail`. @default [] */
  admins?: readonly string[];
  /** A failure that repeats is mailed once in this time, with a count. 1s to 7d. @default '1h' */
  period?: Duration;
}

export interface ResolvedMailSettings {
  smtp: { url: string; from: Mailbox } | undefined;
  admins: readonly Mailbox[];
  periodMs: number;
}

const MIN_PERIOD_MS = 1_000;
const MAX_PERIOD_MS = 7 * 86_400_000; // 7d

/** @throws {ConfigError} when a setting is wrong; the text does not repeat the URL, for its password. */
export function resolveMailOptions(settings: MailSettings, where: string): ResolvedMailSettings {
  assertKeys(settings, ['smtpUrl', 'from', 'admins', 'period'], where);
  const { smtpUrl, from, admins = [], period = '1h' } = settings;
  if ((smtpUrl === undefined) !== (from === undefined)) {
    throw new ConfigError(
      `${where}: expected smtpUrl and from, or neither, got ${smtpUrl === undefined ? 'from' : 'smtpUrl'} alone`,
      { hint: 'A server takes no mail without a sender.' },
    );
  }
  if (!Array.isArray(admins)) {
    throw new ConfigError(`${where}: admins: expected a list, got ${JSON.stringify(admins)}`, {
      hint: "For example: ['Maria Rossi <maria@example.org>']",
    });
  }
  return {
    smtp:
      smtpUrl === undefined || from === undefined
        ? undefined
        : { url: smtpAddress(smtpUrl, where), from: parseMailbox(from, `${where}: from`) },
    admins: admins.map((admin: string) => parseMailbox(admin, `${where}: admins`)),
    periodMs: periodMs(period, `${where}: period`),
  };
}

/** @throws {ConfigError} when it is no duration from 1s to 7d. */
export function periodMs(period: Duration, where: string): number {
  const ms = durationMs(period, where);
  if (ms >= MIN_PERIOD_MS && ms <= MAX_PERIOD_MS) return ms;
  throw new ConfigError(`${where}: expected 1s to 7d, got ${period}`);
}

function smtpAddress(text: unknown, where: string): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  // options in the query would override ours, TLS among them
  if (!url || !/^smtps?:$/.test(url.protocol) || url.hostname === '' || url.search !== '') {
    throw new ConfigError(`${where}: smtpUrl: expected a URL such as smtp://localhost:25`, {
      hint: 'Write smtp://[user:password@]host[:port], or smtps:// for TLS; characters such as @ in a password are written %40.',
    });
  }
  return url.href;
}
