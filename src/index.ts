// the app and its tasks
export { Sedano } from './app.ts';
export type { AppOptions } from './config.ts';
export { BaseTask, FunctionTask } from './task.ts';
export type {
  ArgsOf,
  ErrorClass,
  FinalState,
  JsonTask,
  ResultOf,
  TaskCall,
  TaskOptions,
} from './task.ts';
export { exclusiveTask } from './exclusive.ts';
export type { ExclusiveOptions, OnBusy } from './exclusive.ts';
export type { ApplyOptions, BusyOptions, CallOptions } from './call-options.ts';
export { NotifyAdminTaskMixin } from './mail/notify-admin.ts';
export { parseMailbox } from './mail/mailbox.ts';
export type { Mailbox } from './mail/mailbox.ts';
export type { Mail, MailOptions } from './mail/mail.ts';
export type { MailSettings } from './mail/settings.ts';
export type { RedactOption } from './redactor.ts';
export type { Duration } from './duration.ts';
export type { Json, Jsonable } from './json.ts';

// inside a task
export { currentTask } from './current-task.ts';
export type { CurrentTask, RetryOptions } from './current-task.ts';
export type { HeldLock } from './lock/lock.ts';
export { getTaskLogger } from './logger.ts';
export type { TaskLogger } from './logger.ts';

// calls and their results
export { AsyncResult } from './async-result.ts';
export type { GetOptions, RevokeOptions, TaskState } from './async-result.ts';

// routines
export { Crontab, crontab } from './crontab/crontab.ts';
export type {
  CrontabField,
  CrontabFieldName,
  CrontabFields,
  CrontabOptions,
  CrontabSets,
  NextOptions,
} from './crontab/crontab.ts';
export { At, at } from './routines/at.ts';
export { Every, every } from './routines/every.ts';
export type { EveryOptions } from './routines/every.ts';
export { parseSchedule } from './routines/schedule-text.ts';
export type { RoutineSchedule } from './routines/schedule-text.ts';
export type { Missed, Overlap } from './routines/policies.ts';
export type { Routine } from './routines/routine.ts';
export type { LastRun, RoutineRow } from './routines/list.ts';
export type { FieldDiff, FieldState, RoutineOrigin } from './routines/provenance.ts';
export type { RoutineDiff, SyncOptions, SyncReport } from './routines/sync.ts';

// errors
export * from './errors.ts';
