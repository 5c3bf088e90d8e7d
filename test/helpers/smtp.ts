import { once } from 'node:events';
import { simpleParser, type ParsedMail } from 'mailparser';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A mail as the server got it: the envelope, the headers and the text. */
export interface ReceivedMail {
  from: string;
  to: string[];
  parsed: ParsedMail;
  /** All that came, for what must not be in it. */
  raw: string;
}

const WAITS_FOR_MS = 60_000;

/** A real SMTP server in this process, on a free port of this machine. */
export class TestSmtp implements AsyncDisposable {
  readonly mails: ReceivedMail[] = [];
  readonly #server: SMTPServer;
  #looks = new Set<() => void>();

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      // a client may hang in the middle of a mail
      closeTimeout: 500,
      onData: (stream, session, done) => {
        let raw = '';
        stream.setEncoding('utf8').on('data', (chunk: string) => (raw += chunk));
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope;
          const envelope = {
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
          };
          void simpleParser(raw).then((parsed) => {
            this.mails.push({ ...envelope, parsed, raw });
            for (const look of this.#looks) look();
            done();
          }, done);
        });
      },
      ...options,
    });
    // a client that goes away while it talks is no failure of the server
    this.#server.on('error', () => {});
  }

  static async start(options: SMTPServerOptions = {}, port = 0): Promise<TestSmtp> {
    const smtp = new TestSmtp(options);
    smtp.#server.listen(port, '127.0.0.1');
    await once(smtp.#server.server, 'listening');
    return smtp;
  }

  get port(): number {
    const address = this.#server.server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    return address.port;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  /** Resolves to the mails when there are `count`. */
  async received(count: number): Promise<ReceivedMail[]> {
    let look = () => {};
    const deadline = AbortSignal.timeout(WAITS_FOR_MS);
    const enough = new Promise<void>((resolve, reject) => {
      look = () => {
        if (this.mails.length >= count) resolve();
      };
      deadline.addEventListener('abort', () =>
        reject(new Error(`expected ${count} mails, got ${this.mails.length}`)),
      );
    });
    this.#looks.add(look);
    look();
    try {
      await enough;
    } finally {
      this.#looks.delete(look);
    }
    return this.mails;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
