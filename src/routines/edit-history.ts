import { isGrpcServiceError } from '@temporalio/client';
import { optionalTsToDate } from '@temporalio/common/lib/time.js';
import { Reader, type Type } from 'protobufjs';
import type { Sedano } from '../app.ts';
import { SedanoError } from '../errors.ts';
import {
  DEFINITION_FIELDS,
  sameField,
  scheduleId,
  type Definition,
  type DefinitionField,
} from './definition.ts';
import {
  readRawDefinition,
  readRawMemo,
  type RawSchedule,
  type ServerSchedule,
} from './server-schedule.ts';
import { pick } from './write.ts';

/** What another tool has done to a routine, as the server's own history has it. */
export interface OutsideEdit {
  /** ISO 8601 in UTC. */
  at: string;
  /** How the tool calls itself: `webui`, `temporal-cli:root@host`. */
  by: string;
  action: 'update' | 'pause' | 'resume' | 'run' | 'backfill';
  fields: DefinitionField[];
  from: Partial<Definition>;
  to: Partial<Definition>;
}

// of protobuf: field 1 of bytes, field 2 a number
const SCHEDULE_TAG = 0x0a;
const TOKEN_TAG = 0x10;

// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const GRPC_NOT_FOUND = 5;

/**
 * The edits by other tools, the latest first: for some days, since the server forgets, and none with its newer
 * scheduler, which keeps no history. It is the history of the workflow that the default scheduler runs for each schedule.
 */
export async function outsideEdits(
  app: Sedano,
  name: string,
  schedule: ServerSchedule,
): Promise<OutsideEdit[]> {
  const messages = messagesOf(schedule);
  if (!messages) return [];
  const replay = new Replay(messages, schedule);
  for await (const event of readHistory(app, name)) replay.take(event);
  return replay.edits.toReversed();
}

type HistoryEvent = NonNullable<
  NonNullable<
    Awaited<
      ReturnType<Sedano['client']['temporal']['workflowService']['getWorkflowExecutionHistory']>
    >['history']
  >['events']
>[number];

async function* readHistory(app: Sedano, name: string): AsyncGenerator<HistoryEvent> {
  const workflowId = `temporal-sys-scheduler:${scheduleId(app, name)}`;
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await app.client
      .request(({ workflowService, options: { namespace } }) =>
        workflowService.getWorkflowExecutionHistory({
          namespace,
          execution: { workflowId },
          ...(nextPageToken ? { nextPageToken } : {}),
        }),
      )
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    yield* page?.history?.events ?? [];
    nextPageToken = page?.nextPageToken;
  } while (nextPageToken && nextPageToken.length > 0);
}

function isNotFound(error: unknown): boolean {
  const cause = error instanceof SedanoError ? error.cause : undefined;
  return isGrpcServiceError(cause) && cause.code === GRPC_NOT_FOUND;
}

interface Messages {
  schedule: Type;
  patch: Type;
}

/** The SDK's own message types, which it does not export: those of a message that it has read. */
function messagesOf({ description }: ServerSchedule): Messages | undefined {
  const { $type } = (description.raw.schedule ?? {}) as { $type?: Type };
  return (
    $type && {
      schedule: $type,
      patch: $type.root.lookupType('temporal.api.schedule.v1.SchedulePatch'),
    }
  );
}

interface Patch {
  pause?: string;
  unpause?: string;
  triggerImmediately?: unknown;
  backfillRequest?: unknown[];
}

/** Goes through the history from its beginning, and keeps what was not ours. */
class Replay {
  readonly edits: OutsideEdit[] = [];
  readonly #messages: Messages;
  readonly #birth: ServerSchedule['birth'];
  readonly #usedTokens = new Set<number>();
  #now: RawSchedule | undefined;

  constructor(messages: Messages, { birth }: ServerSchedule) {
    this.#messages = messages;
    this.#birth = birth;
  }

  take(event: HistoryEvent): void {
    const started = event.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    // a history that grows too long goes on in another, which begins with the schedule as it is
    if (started) this.#now = this.#schedule(started).schedule;
    const signal = event.workflowExecutionSignaledEventAttributes;
    const data = signal?.input?.payloads?.[0]?.data;
    if (!data) return;
    const at = optionalTsToDate(event.eventTime)?.toISOString() ?? '';
    const who = { at, by: signal.identity ?? '' };
    if (signal.signalName === 'patch') this.#takePatch(who, data);
    if (signal.signalName === 'update') this.#takeUpdate(who, data);
  }

  #takePatch(who: { at: string; by: string }, data: Uint8Array): void {
    const { patch } = this.#messages;
    const { pause, unpause, triggerImmediately } = patch.toObject(patch.decode(data)) as Patch;
    if (triggerImmediately !== undefined) this.#add(who, 'run', {});
    if (pause !== undefined) this.#add(who, 'pause', { enabled: false });
    if (unpause !== undefined) this.#add(who, 'resume', { enabled: true });
    if (pause === undefined && unpause === undefined) return;
    this.#now = {
      ...this.#now,
      state: { ...this.#now?.state, paused: pause !== undefined },
    };
  }

  #takeUpdate(who: { at: string; by: string }, data: Uint8Array): void {
    const { schedule, token } = this.#schedule(data);
    // of two with the same token the server has dropped the second; some send none
    if (!schedule || (token !== 0 && this.#usedTokens.has(token))) return;
    this.#usedTokens.add(token);
    if (!this.#isOurs(schedule)) this.#add(who, 'update', readRawDefinition(schedule, this.#birth));
    this.#now = schedule;
  }

  /** Ours adds to the list of edits, or changes nothing but the memo. */
  #isOurs(schedule: RawSchedule): boolean {
    const memo = readRawMemo(schedule);
    const before = this.#now && readRawMemo(this.#now);
    if (!memo) return false;
    return (
      memo.edits[0]?.id !== before?.edits[0]?.id ||
      JSON.stringify(memo.code) !== JSON.stringify(before?.code) ||
      memo.release !== before?.release
    );
  }

  #add(
    { at, by }: { at: string; by: string },
    action: OutsideEdit['action'],
    to: Partial<Definition>,
  ): void {
    const before = readRawDefinition(this.#now ?? {}, this.#birth);
    const after = { ...before, ...to };
    const fields = DEFINITION_FIELDS.filter((field) => !sameField(field, before, after));
    // another reason for a pause, or a retry policy: nothing that a routine has
    if (action === 'update' && fields.length === 0) return;
    this.edits.push({
      at,
      by,
      action,
      fields,
      from: pick(before, fields),
      to: pick(after, fields),
    });
  }

  /** The server's own messages around it are not public: the first field is the schedule, in an update the second a number. */
  #schedule(data: Uint8Array): { schedule: RawSchedule | undefined; token: number } {
    const reader = Reader.create(data);
    let schedule: RawSchedule | undefined;
    let token = 0;
    while (reader.pos < reader.len) {
      switch (reader.uint32()) {
        case SCHEDULE_TAG:
          // decoded by the SDK's own type
          schedule = this.#messages.schedule.decode(reader.bytes()) as RawSchedule;
          break;
        case TOKEN_TAG:
          token = Number(reader.uint64());
          break;
        default:
          // what follows tells nothing of the schedule
          return { schedule, token };
      }
    }
    return { schedule, token };
  }
}
