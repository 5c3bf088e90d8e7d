import { join } from 'node:path';
import { ConfigError, crontab, type MailSettings, parseMailbox, type Routine } from 'sedano';
import { z } from 'zod';

const DEFAULTS = {
  usiUrl: 'https://submission-test.ebi.ac.uk',
  usiAuthUrl: 'https://explore.api.aai.ebi.ac.uk',
  timeZone: 'Europe/Rome',
} as const;

const httpUrl = z.url({
  protocol: /^https?$/,
  error: 'expected a URL that begins with https:// or http://',
});

// an empty variable is one that is not set
const given = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema);

const mailbox = z.string().refine(isMailbox, { error: 'expected Name <mail>' });

/** Variables that mean nothing alone. */
const PAIRS = [
  ['USI_MANAGER', 'USI_MANAGER_PASSWORD'],
  ['SMTP_URL', 'DEFAULT_FROM_EMAIL'],
] as const;

const environment = z.object({
  DATABASE_URL: given(
    z
      .string()
      .trim()
      .refine(isPostgresUrl, { error: 'expected postgres://user:password@host:port/database' })
      .optional(),
  ),
  USI_URL: given(httpUrl.default(DEFAULTS.usiUrl)),
  USI_AUTH_URL: given(httpUrl.default(DEFAULTS.usiAuthUrl)),
  USI_MANAGER: given(z.string().trim().min(1, { error: 'expected a text' }).optional()),
  USI_MANAGER_PASSWORD: given(z.string().optional()),
  TIME_ZONE: given(
    z
      .string()
      .trim()
      .refine(isZone, { error: "expected an IANA zone such as 'Europe/Rome'" })
      .default(DEFAULTS.timeZone),
  ),
  ADMINS: given(z.string().transform(splitList).pipe(z.array(mailbox)).default([])),
  SMTP_URL: given(
    z
      .string()
      .trim()
      .refine(isSmtpUrl, {
        error: 'expected smtp:// or smtps://, with a host and without a ?query',
      })
      .optional(),
  ),
  DEFAULT_FROM_EMAIL: given(mailbox.optional()),
});

/** The application's settings. */
export interface Settings {
  /** PostgreSQL; undefined means the embedded database. */
  databaseUrl: string | undefined;
  /** Folder of the embedded database. */
  embeddedFolder: string;
  usiUrl: string;
  usiAuthUrl: string;
  /** The account that watches submissions; undefined where the environment does not name it. */
  usiAccount: { username: string; password: string } | undefined;
  timeZone: string;
  mail: MailSettings;
}

/**
 * Reads the settings from the environment.
 *
 * @throws {ConfigError} one for all variables that are wrong; it repeats no value that may be secret.
 */
export function readSettings(env: NodeJS.ProcessEnv, home: string): Settings {
  const { data, error } = environment.safeParse(env);
  const wrong = (error?.issues ?? []).map(({ path, message }) => `${nameOf(path)}: ${message}`);
  for (const [one, other] of PAIRS) {
    if (Boolean(env[one]) !== Boolean(env[other])) {
      wrong.push(`${one} and ${other}: expected both or none, got one`);
    }
  }
  if (!data || wrong.length > 0) {
    throw new ConfigError(`settings: ${wrong.join('; ')}`, {
      hint: 'These are environment variables; injecttool/README.md lists them.',
    });
  }
  const { USI_MANAGER: username, USI_MANAGER_PASSWORD: password } = data;
  return {
    databaseUrl: data.DATABASE_URL,
    embeddedFolder: join(home, 'injecttool'),
    usiUrl: data.USI_URL,
    usiAuthUrl: data.USI_AUTH_URL,
    usiAccount:
      username === undefined || password === undefined ? undefined : { username, password },
    timeZone: data.TIME_ZONE,
    mail: { smtpUrl: data.SMTP_URL, from: data.DEFAULT_FROM_EMAIL, admins: data.ADMINS },
  };
}

/** The routines, as the original's CELERY_BEAT_SCHEDULE. Their zone is TIME_ZONE. */
export const routines = {
  clearsessions: { task: 'clearsessions', schedule: crontab({ hour: 12, minute: 0 }) },
  cleanupregistration: {
    task: 'cleanupregistration',
    schedule: crontab({ hour: 12, minute: 0 }),
  },
  fetch_biosample_status: {
    task: 'Fetch USI status',
    schedule: crontab({ hour: '*', minute: '*/15' }),
  },
  clean_biosample_models: {
    task: 'Clean biosample models',
    schedule: crontab({ hour: 0, minute: 0 }),
  },
} satisfies Record<string, Routine>;

// the library's own rule: the server knows fewer names than JavaScript
function isZone(timezone: string): boolean {
  try {
    crontab().next({ timezone });
    return true;
  } catch {
    return false;
  }
}

/** `ADMINS, entry 2` */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `entry ${part + 1}` : String(part)))
    .join(', ');
}

/** Entries without text are left out: a list may end in a comma. */
function splitList(list: string): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** As the database layer asks it, so that it is refused here, with everything else. */
function isPostgresUrl(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url) && URL.canParse(url);
}

/** As the library asks it of `mail.smtpUrl`: its own error would not know the variable. */
function isSmtpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search } = new URL(text);
  return /^smtps?:$/.test(protocol) && hostname !== '' && search === '';
}

function isMailbox(entry: string): boolean {
  try {
    parseMailbox(entry, 'settings');
    return true;
  } catch {
    return false;
  }
}
