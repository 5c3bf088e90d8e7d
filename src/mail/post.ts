import { createHash } from 'node:crypto';
import { v7 as uuid } from 'uuid';
import type { Sedano } from '../app.ts';
import { runningCall, runningRedactor } from '../current-task.ts';
import { getTaskLogger } from '../logger.ts';
import type { __mail, Notice } from '../workflows/mail.ts';
import { type Mail, type MailOptions, periodOf, toLetter } from './mail.ts';

/**
 * Hands a mail to Temporal, whose workflow `__mail` has a worker send it, counts those that repeat, and tries again
 * for a day while the server is away. The same call never counts twice, however often it is run.
 */
export async function postMail(app: Sedano, mail: Mail, options: MailOptions): Promise<void> {
  const letter = toLetter(redact(mail));
  const periodMs = periodOf(options, app.options.mail.periodMs);
  if (app.options.mail.smtp === undefined) {
    // the log is no place for the addressee's data
    getTaskLogger('sedano.mail').warn(
      { subject: letter.subject },
      'Mail not sent: mail.smtpUrl is not set',
    );
    return;
  }
  const notice: Notice = { letter, source: runningCall()?.runId ?? uuid() };
  await app.client.request((client) =>
    client.workflow.signalWithStart<typeof __mail, [Notice]>('__mail', {
      workflowId: `__mail/${app.name}/${hash(options.key ?? JSON.stringify(letter))}`,
      taskQueue: app.options.queue,
      args: [periodMs],
      signal: 'notice',
      signalArgs: [notice],
    }),
  );
}

/** Before anything is cut, which could leave half of a secret. */
function redact(mail: Mail): Mail {
  const redactor = runningRedactor();
  if (redactor === undefined) return mail;
  const shown = (text: string) => (typeof text === 'string' ? redactor.text(text) : text);
  return { ...mail, subject: shown(mail.subject), text: shown(mail.text) };
}

/** What an id may show: nothing of an address or an error. */
function hash(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}
