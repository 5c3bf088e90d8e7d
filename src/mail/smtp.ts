import type { Mailbox } from './mailbox.ts';
import type { Letter } from './mail.ts';

/** The server that sends mails. */
export interface Smtp {
  url: string;
  from: Mailbox;
}

const CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 30_000;

/**
 * Gives a letter to the SMTP server.
 *
 * @param messageId the same for each attempt, so that a mail that was taken twice is shown once
 * @returns the addresses that the server refused while it took others
 */
export async function deliver(
  letter: Letter,
  { url, from }: Smtp,
  messageId: string,
): Promise<string[]> {
  // loaded at the first mail
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    url,
    requireTLS: needsTls(new URL(url)),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    // nothing in a mail is a path or an address to read from
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { rejected } = await transport.sendMail({
    from,
    to: [...letter.to],
    subject: letter.subject,
    text: letter.text,
    messageId: `<${messageId}@${from.address.split('@')[1]}>`,
    // RFC 3834: no machine answers it
    headers: { 'Auto-Submitted': 'auto-generated' },
  });
  return rejected;
}

/** A password goes over the network encrypted, or not at all. */
function needsTls({ protocol, username, hostname }: URL): boolean {
  const local = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
  return protocol === 'smtp:' && username !== '' && !local;
}
