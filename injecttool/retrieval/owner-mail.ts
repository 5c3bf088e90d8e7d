const LONGEST_BODY = 5_000;

/** A mail to the owner of a UID submission. */
export interface OwnerMail {
  to: string;
  subject: string;
  body: string;
}

/** Sends a mail, or hands it to what does. */
export type MailOwner = (mail: OwnerMail) => Promise<void>;

/** The mail with its body cut: messages can be as long as the submission has samples. */
export function writeOwnerMail({ to, subject, body }: OwnerMail): OwnerMail {
  // not between the halves of a character, which would be sent as a replacement sign
  return { to, subject, body: body.slice(0, LONGEST_BODY).replace(/[\uD800-\uDBFF]$/, '') };
}
