import { Context } from '@temporalio/activity';
import { finalFailure, passingFailure } from '../failure.ts';
import { getTaskLogger } from '../logger.ts';
import { type Letter, toLetter } from '../mail/mail.ts';
import { formatMailbox } from '../mail/mailbox.ts';
import { deliver, type Smtp } from '../mail/smtp.ts';
import type { Delivery } from '../workflows/mail.ts';
import { WorkerStopped } from './durable-call.ts';
import type { WorkerLife } from './worker-life.ts';

/** The activity `__mail`: sends one mail to one address. Its failures are tried again by the workflow's retry policy. */
export function createDeliverMail(
  smtp: Smtp,
  life: WorkerLife,
): (delivery: Delivery, address: string) => Promise<void> {
  return async (delivery, address) => {
    const { info } = Context.current();
    const letter = readDelivery(delivery);
    const logger = getTaskLogger('sedano.mail');
    try {
      const messageId = `${info.workflowExecution?.runId}.${delivery.sinceMs}`;
      const sent = deliver(letter, address, { smtp, messageId });
      await unlessAborted(sent, life.abandoned);
    } catch (error) {
      if (error instanceof WorkerStopped) throw passingFailure(error.name, error, 1);
      logger.error(
        { err: error, subject: letter.subject, attempt: info.attempt },
        'A mail could not be sent',
      );
      if (isRefusal(error)) throw finalFailure(error);
      throw error;
    }
  };
}

/** Checked again, since anybody may start the workflow; what is wrong stays wrong. */
function readDelivery(delivery: Delivery): Letter {
  try {
    return toNumbered(delivery);
  } catch (error) {
    throw finalFailure(error);
  }
}

/** The letter with the number of times that it stands for. */
function toNumbered({ letter, count, sinceMs }: Delivery): Letter {
  const to = letter.to.map(formatMailbox);
  const { subject, text } = letter;
  if (count === 1) return toLetter({ to, subject, text });
  const since = new Date(sinceMs).toISOString().replace('T', ' ').slice(0, 19);
  return toLetter({
    to,
    subject: `${count} times: ${subject}`,
    text: `${count} times since ${since} UTC; this is the latest.\n\n${text}`,
  });
}

/** @throws the signal's reason when it aborts first; what `promise` waits for goes on unheard. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const heard = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), {
      signal: heard.signal,
    });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    heard.abort();
  }
}

const PERMANENT = 500;
// RFC 4954 §6: what is wrong is the account
const ABOUT_THE_ACCOUNT = [530, 534, 535, 538];

/** The address or the mail is refused for good: RFC 5321 §4.2.1. A refused account or sender may be mended meanwhile. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || !('command' in error) || !('responseCode' in error))
    return false;
  const { command } = error;
  const code = Number(error.responseCode);
  if (code < PERMANENT || ABOUT_THE_ACCOUNT.includes(code)) return false;
  return command === 'RCPT TO' || command === 'DATA';
}
