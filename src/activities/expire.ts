import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { getTaskLogger } from '../logger.ts';

/**
 * The activity `__expire`: revokes the run that asks for it, because it is too late to begin. A workflow cannot cancel
 * itself, and only a cancelled one shows as such everywhere.
 */
export function createExpire(app: Sedano): (reason: string) => Promise<void> {
  return async (reason) => {
    const { workflowType: task, workflowExecution } = Context.current().info;
    const { workflowId = '', runId = '' } = workflowExecution ?? {};
    getTaskLogger('sedano').warn({ task, id: workflowId }, `A run is not begun: ${reason}`);
    try {
      await app.client.request(({ workflow }) => workflow.getHandle(workflowId, runId).cancel());
    } catch (error) {
      // it has been ended otherwise
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  };
}
