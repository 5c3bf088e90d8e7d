import { runningRedactor } from '../current-task.ts';
import { getTaskLogger } from '../logger.ts';
import { failureKey, failureMail } from './failure-mail.ts';
import { formatMailbox } from './mailbox.ts';
import { registrationOf } from '../registry.ts';
import type { BaseTask, TaskCall } from '../task.ts';

// TypeScript wants exactly this signature of a mixin's base (TS2545)
// oxlint-disable-next-line typescript/no-explicit-any
type Constructor<T> = abstract new (...args: any[]) => T;

const notifiers = new WeakSet<object>();

/**
 * A class task that mails the app's `mail.admins` when a call of it has finally failed, as InjectTool's
 * `NotifyAdminTaskMixin` (common/tasks.py): `class FetchStatusTask extends NotifyAdminTaskMixin(BaseTask)`. A failure
 * that repeats is mailed once in `mail.period`, with a count.
 */
export function NotifyAdminTaskMixin<Base extends Constructor<BaseTask>>(base: Base): Base {
  abstract class NotifyAdmin extends base {
    override async onFailure(error: Error, call: TaskCall): Promise<void> {
      await super.onFailure(error, call);
      await mailAdmins(this, error, call);
    }
  }
  notifiers.add(NotifyAdmin.prototype);
  return NotifyAdmin;
}

/** Whether failures of the task are mailed to the admins. */
export function notifiesAdmins(task: object): boolean {
  const prototype = Object.getPrototypeOf(task) as object | null;
  return prototype !== null && (notifiers.has(prototype) || notifiesAdmins(prototype));
}

/** A mail that cannot be sent is logged, and changes nothing for the task. */
async function mailAdmins(task: BaseTask, error: Error, call: TaskCall): Promise<void> {
  const logger = getTaskLogger('sedano.mail');
  try {
    const { app, name } = registrationOf(task);
    const { admins } = app.options.mail;
    const shownArgs = runningRedactor()?.args ?? call.args;
    const failed = { app: app.name, task: name, error, call, shownArgs };
    const mail = failureMail(failed);
    if (admins.length === 0) {
      logger.warn({ subject: mail.subject }, 'Mail not sent: mail.admins is empty');
      return;
    }
    await app.sendMail({ ...mail, to: admins.map(formatMailbox) }, { key: failureKey(failed) });
  } catch (failure) {
    logger.error({ err: failure }, 'The mail to the admins could not be handed over');
  }
}
