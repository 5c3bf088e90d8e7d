import { randomUUID } from 'node:crypto';
import {
  ScheduleNotFoundError,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleSummary,
} from '@temporalio/client';
import {
  decodeScheduleSpec,
  encodeSchedulePolicies,
  encodeScheduleSpec,
  encodeScheduleState,
} from '@temporalio/client/lib/schedule-helpers.js';
import { decodeScheduleOverlapPolicy } from '@temporalio/client/lib/schedule-types.js';
import {
  defaultPayloadConverter,
  defineSearchAttributeKey,
  type Payload,
} from '@temporalio/common';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { Sedano } from '../app.ts';
import { SedanoError } from '../errors.ts';
import {
  readDefinition,
  scheduleId,
  type ActionMemo,
  type BirthMemo,
  type Definition,
  type DefinitionField,
} from './definition.ts';
import { MARK_ATTRIBUTE, readActionMemo, readBirthMemo } from './memo.ts';
import { patiently } from './patience.ts';

// The one place that speaks to the server's schedule service beyond the SDK's own client, which cannot send the
// conflict token and drops what it does not know.

const LIST_PAGE = 1_000;
const DEFAULT_CATCHUP_MS = 365 * 86_400_000; // 1 year

/** A schedule as one request has read it. */
export interface ServerSchedule {
  description: ScheduleDescription;
  /** Undefined when the schedule is not ours. */
  birth: BirthMemo | undefined;
  /** Undefined when the schedule is not ours, or another tool has erased it. */
  memo: ActionMemo | undefined;
}

/** Undefined when there is none of this name. */
export async function describeSchedule(
  app: Sedano,
  name: string,
): Promise<ServerSchedule | undefined> {
  try {
    const description = await patiently(app, (client) =>
      client.schedule.getHandle(scheduleId(app, name)).describe(),
    );
    const birth = ownBirth(app, name, description.memo);
    return { description, birth, memo: birth && readActionMemo(description.action.memo) };
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** One line of the list of schedules: cheap, and a second or two behind. */
export interface ListedSchedule {
  name: string;
  birth: BirthMemo | undefined;
  /** What the memos say that are not listed, as `markOf` makes it; undefined where nobody has written it. */
  mark: string | undefined;
  /** The fields that the list shows; undefined when the schedule is not ours. */
  visible: Partial<Definition> | undefined;
}

/** The fields that a line of the list shows. */
export const VISIBLE_FIELDS = [
  'task',
  'schedule',
  'timezone',
  'enabled',
  'startAt',
  'endAt',
  'jitterMs',
] as const satisfies readonly DefinitionField[];

/** All schedules under the app's name, in one sweep of the list. */
export async function* sweepSchedules(app: Sedano): AsyncGenerator<ListedSchedule> {
  const prefix = scheduleId(app, '');
  const query = `ScheduleId STARTS_WITH "${prefix.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await patiently(app, ({ workflowService, options: { namespace } }) =>
      workflowService.listSchedules({
        namespace,
        maximumPageSize: LIST_PAGE,
        query,
        ...(nextPageToken ? { nextPageToken } : {}),
      }),
    );
    for (const entry of page.schedules) {
      if (entry.scheduleId?.startsWith(prefix)) yield toListed(app, prefix, entry);
    }
    nextPageToken = page.nextPageToken;
  } while (nextPageToken.length > 0);
}

type Entry = Awaited<
  ReturnType<Sedano['client']['temporal']['workflowService']['listSchedules']>
>['schedules'][number];

function toListed(app: Sedano, prefix: string, entry: Entry): ListedSchedule {
  const name = (entry.scheduleId ?? '').slice(prefix.length);
  const birth = ownBirth(app, name, { sedano: decode(entry.memo?.fields?.['sedano']) });
  const mark = decode(entry.searchAttributes?.indexedFields?.[MARK_ATTRIBUTE]);
  return {
    name,
    birth,
    mark: typeof mark === 'string' ? mark : undefined,
    visible: birth && visibleFields(entry, birth),
  };
}

function visibleFields({ info }: Entry, birth: BirthMemo): Partial<Definition> {
  const { spec, workflowType, paused } = info ?? {};
  const seen = readRawDefinition(
    { spec, action: { startWorkflow: { workflowType } }, state: { paused } },
    birth,
  );
  return Object.fromEntries(VISIBLE_FIELDS.map((field) => [field, seen[field]]));
}

/** What a schedule says that has come without a description around it; what it lacks is read as the server's default. */
export function readRawDefinition(
  { spec, action, policies, state }: RawSchedule,
  birth: BirthMemo | undefined,
): Definition {
  const start = action?.startWorkflow;
  return readDefinition({
    spec: decodeScheduleSpec(spec ?? {}),
    action: {
      workflowType: start?.workflowType?.name ?? '',
      taskQueue: start?.taskQueue?.name ?? '',
      args: (start?.input?.payloads ?? []).map(decode),
      memo: { sedano: decode(start?.memo?.fields?.['sedano']) },
    },
    policies: {
      overlap: decodeScheduleOverlapPolicy(policies?.overlapPolicy) ?? 'SKIP',
      catchupWindow: optionalTsToMs(policies?.catchupWindow) || DEFAULT_CATCHUP_MS,
    },
    state: {
      paused: state?.paused === true,
      ...(state?.limitedActions ? { remainingActions: Number(state.remainingActions ?? 0) } : {}),
    },
    memo: { sedano: birth },
    // what readDefinition reads of a description, and no more
  } as unknown as ScheduleDescription);
}

/** What the code last said and the edits, of a schedule that has come without a description around it. */
export function readRawMemo({ action }: RawSchedule): ActionMemo | undefined {
  return readActionMemo({ sedano: decode(action?.startWorkflow?.memo?.fields?.['sedano']) });
}

/** The memo of birth, where it names this app and this routine: a copy of another's schedule is not ours. */
function ownBirth(app: Sedano, name: string, memo: ScheduleSummary['memo']): BirthMemo | undefined {
  const birth = readBirthMemo(memo);
  return birth?.app === app.name && birth.routine === name ? birth : undefined;
}

function decode(payload: Payload | null | undefined): unknown {
  try {
    return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
  } catch {
    // another tool's form, encrypted perhaps: not ours
    return undefined;
  }
}

export type RawSchedule = NonNullable<ScheduleDescription['raw']['schedule']>;

/** What an update changes in a schedule. */
export interface ScheduleChange {
  fields: readonly DefinitionField[];
  /** What the schedule is to be; of it only `fields` are taken. */
  target: ScheduleOptions;
  memo: ActionMemo;
  mark: string;
  /** The reason of a pause; left as it is when undefined. */
  notes?: string | undefined;
}

/**
 * Sends back what was read with these changes, under its conflict token. The server answers OK also when it drops the
 * update, since the schedule has changed meanwhile: read it again.
 */
export async function sendUpdate(
  app: Sedano,
  { description }: ServerSchedule,
  change: ScheduleChange,
): Promise<void> {
  const { raw, scheduleId } = description;
  const schedule = changed(raw.schedule ?? {}, scheduleId, change);
  const mark = defaultPayloadConverter.toPayload(change.mark);
  const indexedFields = { ...raw.searchAttributes?.indexedFields, [MARK_ATTRIBUTE]: mark };
  await whereMarksAre(async (hasMarks) => {
    // sent twice, the second has a token that is old
    await patiently(app, ({ workflowService, options: { namespace, identity } }) =>
      workflowService.updateSchedule({
        namespace,
        scheduleId,
        schedule,
        conflictToken: raw.conflictToken ?? new Uint8Array(),
        identity,
        requestId: randomUUID(),
        ...(hasMarks ? { searchAttributes: { indexedFields } } : {}),
      }),
    );
  }).catch((error: unknown) => {
    if (!isStaleToken(error)) throw error;
  });
}

/**
 * Creates a schedule with its mark.
 *
 * @throws {ScheduleAlreadyRunning} when there is one of this id.
 */
export async function createSchedule(
  app: Sedano,
  options: ScheduleOptions,
  mark: string,
): Promise<void> {
  const pair = { key: defineSearchAttributeKey(MARK_ATTRIBUTE, 'KEYWORD'), value: mark };
  await whereMarksAre(async (hasMarks) => {
    // sent twice, the second finds the first
    await patiently(app, (client) =>
      client.schedule.create({
        ...options,
        ...(hasMarks ? { typedSearchAttributes: [pair] } : {}),
      }),
    );
  });
}

/** A server may keep the attribute to itself; without marks each sync asks for every schedule. */
async function whereMarksAre(send: (hasMarks: boolean) => Promise<void>): Promise<void> {
  try {
    await send(true);
  } catch (error) {
    if (!(error instanceof SedanoError) || !error.message.includes(MARK_ATTRIBUTE)) throw error;
    await send(false);
  }
}

/** The newer scheduler says what the default one keeps to itself. */
function isStaleToken(error: unknown): boolean {
  return error instanceof SedanoError && /mismatched conflict token/.test(error.message);
}

function changed(
  schedule: RawSchedule,
  id: string,
  { fields, target, memo, notes }: ScheduleChange,
): RawSchedule {
  const has = (...names: DefinitionField[]) => names.some((name) => fields.includes(name));
  const spec = encodeScheduleSpec(target.spec);
  const state = encodeScheduleState(target.state);
  const policies = encodeSchedulePolicies(target.policies);
  const resumes =
    has('enabled', 'schedule') && schedule.state?.paused === true && state.paused !== true;
  return {
    ...schedule,
    spec: {
      ...schedule.spec,
      ...(has('schedule')
        ? {
            structuredCalendar: spec.structuredCalendar ?? [],
            interval: spec.interval ?? [],
            excludeStructuredCalendar: spec.excludeStructuredCalendar ?? [],
          }
        : {}),
      ...(has('timezone', 'schedule')
        ? { timezoneName: spec.timezoneName ?? '', timezoneData: null }
        : {}),
      ...(has('startAt') ? { startTime: spec.startTime ?? null } : {}),
      ...(has('endAt') ? { endTime: spec.endTime ?? null } : {}),
      ...(has('jitterMs') ? { jitter: spec.jitter ?? null } : {}),
    },
    state: {
      ...schedule.state,
      // one that is done is paused and counts as enabled: with another moment it has to run
      ...(has('enabled', 'schedule') ? { paused: state.paused ?? false } : {}),
      // a moment runs once, and a moment that is moved runs once more
      ...(has('schedule')
        ? {
            limitedActions: state.limitedActions ?? false,
            remainingActions: state.remainingActions ?? null,
          }
        : {}),
      // the reason of a pause ends with it
      ...(resumes ? { notes: '' } : {}),
      ...(notes === undefined ? {} : { notes }),
    },
    policies: {
      ...schedule.policies,
      ...(has('overlap') ? { overlapPolicy: policies.overlapPolicy ?? null } : {}),
      ...(has('missed') ? { catchupWindow: policies.catchupWindow ?? null } : {}),
    },
    action: {
      ...schedule.action,
      startWorkflow: changedAction(schedule, id, { has, target, memo }),
    },
  };
}

function changedAction(
  { action }: RawSchedule,
  workflowId: string,
  {
    has,
    target,
    memo,
  }: {
    has: (...names: DefinitionField[]) => boolean;
    target: ScheduleOptions;
    memo: ActionMemo;
  },
) {
  const start = action?.startWorkflow;
  const { workflowType, taskQueue, args = [] } = target.action;
  return {
    ...start,
    // Temporal's own command line gives a random one, by which no run knows its routine
    workflowId,
    ...(has('task') ? { workflowType: { name: String(workflowType) } } : {}),
    ...(has('queue') ? { taskQueue: { ...start?.taskQueue, name: taskQueue } } : {}),
    ...(has('args')
      ? { input: { payloads: args.map((arg) => defaultPayloadConverter.toPayload(arg)) } }
      : {}),
    memo: {
      fields: { ...start?.memo?.fields, sedano: defaultPayloadConverter.toPayload(memo) },
    },
  };
}
