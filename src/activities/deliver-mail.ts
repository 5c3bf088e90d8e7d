import { Context } from '@temporalio/activity';
import type { Sedano } from '../app.ts';
import { ConfigError } from '../errors.ts';
import { finalFailure, passingFailure } from '../failure.ts';
import { getTaskLogger } from '../logger.ts';
import { type Letter, toLetter } from '../mail/mail.ts';
import { formatMailbox } from '../mail/mailbox.ts';
import { deliver } from '../mail/smtp.ts';
import type { Delivery } from '../workflows/mail.ts';
import { WorkerStopped } from './durable-call.ts';
import type { WorkerLife } from './worker-life.ts';

/** The activity `__mail`: sends one mail. Its failures are tried again by the workflow's retry policy. */
export function createDeliverMail(
  app: Sedano,
  life: WorkerLife,
): (delivery: Delivery) => Promise<void> {
  return async (delivery) => {
    const { info } = Context.current();
    const letter = readDelivery(delivery);
    const { smtp } = app.options.mail;
    // another worker may know it
    if (smtp === undefined) throw new ConfigError('mail.smtpUrl is not set in this worker');
    const logger = getTaskLogger('sedano.mail');
    try {
      const messageId = `${info.workflowExecution?.runId}.${info.activityId}`;
      const rejected = await unlessAborted(deliver(letter, smtp, messageId), life.abandoned);
      if (rejected.length > 0) {
        logger.warn(`The mail server took a mail, but not for ${rejected.length} of its addresses`);
      }
    } catch (error) {
      logger.error({ err: error, subject: letter.subject }, 'A mail could not be sent');
      if (isRefusal(error)) throw finalFailure(error);
      if (error instanceof WorkerStopped) throw passingFailure(error.name, error, 1);
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

/** No address is taken, for good: RFC 5321 §4.2.1. A refused account may be mended meanwhile. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'EENVELOPE' &&
    'responseCode' in error &&
    Number(error.responseCode) >= 500
  );
}
