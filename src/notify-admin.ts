import { getTaskLogger } from './logger.ts';
import type { BaseTask, TaskCall } from './task.ts';

// TypeScript wants exactly this signature of a mixin's base (TS2545)
// oxlint-disable-next-line typescript/no-explicit-any
type Constructor<T> = abstract new (...args: any[]) => T;

/**
 * A class task that tells the admins when it finally failed, as InjectTool's `NotifyAdminTaskMixin` (common/tasks.py):
 * `class FetchStatusTask extends NotifyAdminTaskMixin(BaseTask)`. The mail is logged; it is not sent yet.
 */
export function NotifyAdminTaskMixin<Base extends Constructor<BaseTask>>(base: Base) {
  abstract class NotifyAdmin extends base {
    override async onFailure(error: Error, call: TaskCall): Promise<void> {
      await super.onFailure(error, call);
      const subject = `Error in ${this.name}: ${error.message}`
        .replaceAll(/\s+/g, ' ')
        .slice(0, 200);
      getTaskLogger('sedano.mail').error({ subject, taskId: call.id }, 'Mail to the admins');
    }
  }
  return NotifyAdmin;
}
