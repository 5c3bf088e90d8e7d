import { TaskFailedError } from '../errors.ts';
import type { TaskCall } from '../task.ts';
import { cut, type Mail, type MailOptions, oneLine } from './mail.ts';

const MAX_ARGUMENTS = 2_000;

/** What a mail about a failed call tells. */
export interface FailedTask {
  app: string;
  task: string;
  error: Error;
  call: TaskCall;
  /** The arguments as they may be shown. */
  shownArgs: unknown;
}

/** The mail to the admins, without addresses. */
export function failureMail(failed: FailedTask): Omit<Mail, 'to'> {
  const { app, task, error, call, shownArgs } = failed;
  const what = `${errorType(error)}: ${error.message}`;
  return {
    subject: `[${app}] Error in ${task}: ${cut(oneLine(error.message), 120)}`,
    text: [
      `The task '${task}' failed.`,
      '',
      `Error      ${what}`,
      `Call       ${call.id}`,
      `Run        ${call.runId}`,
      `Arguments  ${cut(JSON.stringify(shownArgs), MAX_ARGUMENTS)}`,
      `Time       ${new Date().toISOString()}`,
      '',
      error.stack ?? what,
      '',
    ].join('\n'),
  };
}

/**
 * What makes two failures one that repeats: task, class and message, but for the numbers and ids in it, which differ
 * from call to call.
 */
export function failureKey({ task, error }: FailedTask): NonNullable<MailOptions['key']> {
  const message = error.message
    .replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/gi, '#')
    .replaceAll(/\d+/g, '#');
  return JSON.stringify(['failure', task, errorType(error), message]);
}

function errorType(error: Error): string {
  return error instanceof TaskFailedError ? error.type : error.name;
}
