import type { TaskClient } from './client.ts';
import { AsyncResult, type TaskState } from './async-result.ts';
import { AlreadyRunningError, InvalidArgumentsError, SedanoError } from './errors.ts';

/** Ids of refused calls begin so; they name no workflow. */
export const REFUSED_PREFIX = 'refused/';

/** What a refused call answers, all of it in its id. */
export interface Refusal {
  /** "<taskName> already running!" */
  message: string;
  /** The call that was running or queued. */
  holderId: string;
  holderRunId: string | undefined;
  /** Set where the call was to fail: the lock that was held. */
  lockId?: string | undefined;
}

/** @throws {InvalidArgumentsError} when the id was not made by a refused call. */
export function parseRefusedId(id: string): Refusal {
  try {
    const text = Buffer.from(id.slice(REFUSED_PREFIX.length), 'base64url').toString();
    const [message, holderId, holderRunId, lockId] = JSON.parse(text) as unknown[];
    if (typeof message === 'string' && typeof holderId === 'string') {
      return {
        message,
        holderId,
        holderRunId: typeof holderRunId === 'string' ? holderRunId : undefined,
        lockId: typeof lockId === 'string' ? lockId : undefined,
      };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InvalidArgumentsError(
    `call '${id}': expected an id that a refused call gave, got another text`,
  );
}

/**
 * The answer to a call of an exclusive task that was refused because another is queued or runs: settled from the
 * start, and with no run of its own.
 */
export class RefusedResult<Result> extends AsyncResult<Result> {
  readonly #refusal: Refusal;

  constructor(client: TaskClient, refusal: Refusal) {
    const { message, holderId, holderRunId, lockId } = refusal;
    const text = JSON.stringify([message, holderId, holderRunId, lockId]);
    super(client, `${REFUSED_PREFIX}${Buffer.from(text).toString('base64url')}`, undefined);
    this.#refusal = refusal;
  }

  override get accepted(): boolean {
    return false;
  }

  override async state(): Promise<TaskState> {
    return this.#refusal.lockId === undefined ? 'SUCCESS' : 'FAILURE';
  }

  override async info(): Promise<unknown> {
    return this.#error() ?? this.#refusal.message;
  }

  /** The message. It stands where the task's own value would, as in InjectTool's `exclusive_task`. */
  override async get(): Promise<Result> {
    const error = this.#error();
    if (error) throw error;
    // the loser's value is this text, whatever the task returns
    return this.#refusal.message as Result;
  }

  /** @throws {SedanoError} always: there is nothing to revoke; the text names the call that runs. */
  override async revoke(): Promise<void> {
    const { message, holderId } = this.#refusal;
    throw new SedanoError(`this call was refused ("${message}"), so there is nothing to revoke`, {
      hint: `The call that runs is '${holderId}'; revoke that one if you mean it.`,
    });
  }

  #error(): AlreadyRunningError | undefined {
    const { message, lockId, holderId } = this.#refusal;
    if (lockId === undefined) return undefined;
    return new AlreadyRunningError(message, {
      lockId,
      hint: `The call that runs is '${holderId}'.`,
    });
  }

  /** The call that was running or queued. */
  override holder(): AsyncResult<Result> {
    const { holderId, holderRunId } = this.#refusal;
    return this.client.result<Result>(holderId, holderRunId);
  }
}
