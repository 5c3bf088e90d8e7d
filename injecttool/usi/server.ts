import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { openStore, type Store } from './server/store.ts';
import { answerRequest } from './server/routes.ts';
import { formatDate, type StoredSample, type StoredSubmission } from './server/submission.ts';
import { createTokenIssuer } from './server/tokens.ts';
import type { UsiAccount } from './token.ts';

export type { StoredSample, StoredSubmission } from './server/submission.ts';

const DEFAULT_PAGE_SIZE = 20;
const DEFAULT_TOKEN_LIFETIME_SECONDS = 60 * 60; // 1h, as EBI's

export interface UsiServerOptions {
  /** The JSON file that keeps the submissions from one start to the next. */
  file: string;
  /** The account that gets tokens. */
  account: UsiAccount;
  /** @default 0, any free port */
  port?: number;
  /** @default '127.0.0.1' */
  host?: string;
  /** Items on one page of a collection. @default 20 */
  pageSize?: number;
  /** @default 3600 */
  tokenLifetimeSeconds?: number;
  now?: () => Date;
  /**
   * Whether submissions move on as they are polled; where not, they stay as the file has them until a caller
   * submits one. @default true
   */
  moves?: boolean;
  /** Sees every request first; true when it has answered it, or means to. Tests give odd answers here. */
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

/** A submission to be added as a Draft whose validation is pending. */
export interface NewSubmission {
  /** @default a random UUID */
  name?: string;
  team?: string;
  samples: (Omit<StoredSample, 'errors' | 'accession'> & Partial<Pick<StoredSample, 'errors'>>)[];
}

export interface UsiServer {
  /** Root of the USI API and of the token service. */
  url: string;
  /** Adds a submission; returns its name. It is in the file when this returns. */
  addSubmission(submission: NewSubmission): string;
  /** All submissions as they are now; changing them changes nothing. */
  submissions(): StoredSubmission[];
  /** Idempotent. */
  close(): Promise<void>;
}

/**
 * The project's own USI server: it speaks the part of USI's API that watching submissions needs, with
 * submissions that go from Draft to Completed as they are polled, or to errors where they were added with some.
 */
export async function startUsiServer(options: UsiServerOptions): Promise<UsiServer> {
  const { account, host = '127.0.0.1', now = () => new Date(), moves = true } = options;
  const store = openStore(options.file, now());
  const lifetime = options.tokenLifetimeSeconds ?? DEFAULT_TOKEN_LIFETIME_SECONDS;
  const tokens = createTokenIssuer(account, lifetime, now);
  const site = { url: '', pageSize: options.pageSize ?? DEFAULT_PAGE_SIZE };

  const server = createServer((request, response) => {
    void answer(request, response);
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (await options.intercept?.(request, response)) return;
      await answerRequest({ request, response, store, tokens, site, now, moves });
    } catch (error) {
      if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ message: error instanceof Error ? error.message : 'failed' }));
    }
  }

  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  site.url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;

  let closing: Promise<void> | undefined;
  const close = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: site.url,
    addSubmission: (submission) => addSubmission(store, submission, now()),
    submissions: () => store.all(),
    close: () => (closing ??= close()),
  };
}

function addSubmission(store: Store, submission: NewSubmission, at: Date): string {
  const name = submission.name ?? randomUUID();
  if (store.find(name)) throw new Error(`the USI server has a submission '${name}' already`);
  store.add({
    name,
    team: submission.team ?? 'subs.test-team-1',
    status: 'Draft',
    validated: false,
    createdDate: formatDate(at),
    lastModifiedDate: formatDate(at),
    samples: submission.samples.map((sample) => ({ ...sample, errors: sample.errors ?? {} })),
  });
  store.save();
  return name;
}
