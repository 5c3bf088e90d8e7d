import { isIPv4 } from 'node:net';
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
 * Gives a letter to the SMTP server, for one of its addresses.
 *
 * @param messageId the same for each attempt and each address, so that a mail that was taken twice is shown once
 */
export async function deliver(
  letter: Letter,
  address: string,
  { smtp: { url, from }, messageId }: { smtp: Smtp; messageId: string },
): Promise<void> {
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
  await transport.sendMail({
    envelope: { from: from.address, to: [address] },
    from,
    to: [...letter.to],
    subject: letter.subject,
    text: letter.text,
    messageId: `<${messageId}@${from.address.split('@')[1]}>`,
    // RFC 3834: no machine answers it
    headers: { 'Auto-Submitted': 'auto-generated' },
  });
}

/** A password goes over the network encrypted, or not at all. */
function needsTls({ protocol, username, hostname }: URL): boolean {
  // a name that begins with 127. may be anybody's
  const local =
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    (isIPv4(hostname) && hostname.startsWith('127.'));
  return protocol === 'smtp:' && username !== '' && !local;
}
