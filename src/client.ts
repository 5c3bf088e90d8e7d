import {
  Client,
  Connection,
  isGrpcServiceError,
  NamespaceNotFoundError,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { v7 as uuid } from 'uuid';
import type { Sedano } from './app.ts';
import { AsyncResult } from './async-result.ts';
import { temporalTarget, type TemporalTarget } from './config.ts';
import { ConfigError, SedanoError, TemporalUnavailableError } from './errors.ts';
import {
  assertBusyOptionsFit,
  readCallOptions,
  type CallOptions,
  type CarriedOptions,
} from './call-options.ts';
import { alreadyRunning, type OnBusy } from './exclusive.ts';
import { toJsonArguments } from './json.ts';
import { getTaskLogger } from './logger.ts';
import { parseRefusedId, REFUSED_PREFIX, RefusedResult } from './refused-result.ts';
import { assertTaskName, type Registration } from './registry.ts';
import { withTimeout } from './timeout.ts';

/** How long a request may take, connecting and trying again included. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Longer than any request. */
const CLOSE_TIMEOUT_MS = REQUEST_TIMEOUT_MS + 1_000;
// a server that is back is found within two seconds, not two minutes
const CHANNEL_ARGS = { 'grpc.max_reconnect_backoff_ms': 2_000 };
// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const GRPC_DEADLINE_EXCEEDED = 4;
const GRPC_UNAVAILABLE = 14;

interface Opened {
  client: Client;
  target: TemporalTarget;
  closed: AbortController;
  /** The requests under way. */
  pending: Set<Promise<unknown>>;
}

/** Starts workflows and asks for them. The only place that opens a client's connection, at the first request. */
export class TaskClient {
  readonly #app: Sedano;
  #opened: Opened | undefined;

  constructor(app: Sedano) {
    this.#app = app;
  }

  /**
   * Starts a call of a task; see `Sedano.sendTask`.
   *
   * The id of an exclusive task's call is its lock's, unless the call may wait: Temporal refuses a second one while the
   * first is queued or runs, and the answer is settled already.
   */
  async start<Result>(
    name: string,
    args: readonly unknown[],
    options: CallOptions = {},
  ): Promise<AsyncResult<Result>> {
    assertTaskName(name, 'call');
    const read = readCallOptions(options, `task '${name}'`);
    const json = toJsonArguments(args, `task '${name}'`);
    const registration = this.#app.registered(name);
    if (registration) {
      assertBusyOptionsFit(read.carried, registration.exclusive, `task '${name}'`);
    }
    const gate = gateOf(this.#app, registration, { args: json, ...read });
    const start = {
      taskQueue: registration?.task.queue ?? this.#app.options.queue,
      args: json,
      ...(read.delayMs > 0 ? { startDelay: read.delayMs } : {}),
      ...(Object.keys(read.carried).length > 0
        ? { memo: { sedano: { options: read.carried } } }
        : {}),
    };
    if (gate) return await this.#startAtGate<Result>(name, gate, start);
    const handle = await this.request((client) =>
      client.workflow.start(name, {
        ...start,
        workflowId: read.id ?? `${name}/${uuid()}`,
        // a second call of a chosen id is the first one
        workflowIdConflictPolicy: read.id === undefined ? 'FAIL' : 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
      }),
    ).catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      return { workflowId: error.workflowId, firstExecutionRunId: undefined };
    });
    return new AsyncResult<Result>(this, handle.workflowId, handle.firstExecutionRunId);
  }

  async #startAtGate<Result>(
    name: string,
    gate: Gate,
    start: { taskQueue: string; args: unknown[] },
  ): Promise<AsyncResult<Result>> {
    try {
      const handle = await this.request((client) =>
        client.workflow.start(name, {
          ...start,
          workflowId: gate.id,
          workflowIdConflictPolicy: 'FAIL',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        }),
      );
      return new AsyncResult<Result>(this, gate.id, handle.firstExecutionRunId);
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        return await this.#refuse<Result>(name, gate);
      }
      throw error;
    }
  }

  async #refuse<Result>(name: string, gate: Gate): Promise<AsyncResult<Result>> {
    const runId = await this.#runningRun(gate.id);
    if (gate.onBusy === 'join') return new AsyncResult<Result>(this, gate.id, runId);
    const message = alreadyRunning(gate.taskName);
    getTaskLogger('sedano').warn({ task: name, holder: { id: gate.id, runId } }, message);
    return new RefusedResult<Result>(this, {
      message,
      holderId: gate.id,
      holderRunId: runId,
      lockId: gate.onBusy === 'raise' ? gate.lockId : undefined,
    });
  }

  // the holder may have ended since; the answer stays what it was
  async #runningRun(id: string): Promise<string | undefined> {
    try {
      const { runId } = await this.request((client) => client.workflow.getHandle(id).describe());
      return runId;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  /** The result of a call by its id. Nothing is asked of the server yet. */
  result<Result>(id: string, runId?: string): AsyncResult<Result> {
    if (id.startsWith(REFUSED_PREFIX)) return new RefusedResult<Result>(this, parseRefusedId(id));
    return new AsyncResult<Result>(this, id, runId);
  }

  /** The Temporal client, opened when it is not yet. It sends nothing by itself. */
  get temporal(): Client {
    return this.#open().client;
  }

  /** Where the client is connected to, or would be. */
  get target(): TemporalTarget {
    return this.#open().target;
  }

  /** Aborts when the connection that is open now is closed. */
  get closed(): AbortSignal {
    return this.#open().closed.signal;
  }

  #open(): Opened {
    if (this.#opened === undefined) {
      const target = temporalTarget(this.#app.options);
      const connection = Connection.lazy({ ...target.connection, channelArgs: CHANNEL_ARGS });
      const client = new Client({ connection, namespace: target.namespace });
      this.#opened = { client, target, closed: new AbortController(), pending: new Set() };
    }
    return this.#opened;
  }

  /**
   * Sends one request, bounded in time, with errors in Sedano's words.
   *
   * @throws {TemporalUnavailableError} when no server answers within 5 s.
   * @throws {ConfigError} when the namespace does not exist.
   */
  async request<T>(send: (client: Client) => Promise<T>): Promise<T> {
    const { client, target, pending } = this.#open();
    const sent = client.withDeadline(Date.now() + REQUEST_TIMEOUT_MS, () => send(client));
    pending.add(sent);
    try {
      return await sent;
    } catch (error) {
      throw this.explain(error, target);
    } finally {
      pending.delete(sent);
    }
  }

  /** `error` in Sedano's words where it is about the connection; itself otherwise. */
  explain(error: unknown, { address, namespace }: TemporalTarget = this.target): unknown {
    if (error instanceof NamespaceNotFoundError) {
      return new ConfigError(`Temporal at ${address} has no namespace '${namespace}'`, {
        cause: error,
        hint: `Create it with: temporal operator namespace create ${namespace}`,
      });
    }
    const cause = error instanceof ServiceError ? error.cause : error;
    if (!isGrpcServiceError(cause)) return error;
    if (cause.code === GRPC_DEADLINE_EXCEEDED && cause.details.includes('remote_addr')) {
      // the request had been sent
      return new TemporalUnavailableError(
        `Temporal at ${address} did not answer within ${REQUEST_TIMEOUT_MS / 1_000} s; it may have done what it was asked`,
        {
          cause: error,
          hint: 'Check how busy the server is, and that nothing holds its answers back.',
        },
      );
    }
    if (cause.code === GRPC_UNAVAILABLE || cause.code === GRPC_DEADLINE_EXCEEDED) {
      return unreachable({ address, triedMs: REQUEST_TIMEOUT_MS, cause: error });
    }
    return new SedanoError(`Temporal at ${address} refused: ${cause.details}`, {
      cause: error,
      hint: 'Check the id, and that TEMPORAL_ADDRESS and TEMPORAL_API_KEY are those of the same server.',
    });
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.closed.abort(
      new SedanoError('the app was closed while the call was waited for; it goes on'),
    );
    if (!opened) return;
    // the SDK sends a request again from a timer, where a closed connection throws to nobody and ends the process
    await withTimeout(Promise.allSettled(opened.pending), CLOSE_TIMEOUT_MS).catch(() => {});
    await opened.client.connection.close();
  }
}

/** The workflow id at which Temporal refuses a second call of an exclusive task. */
interface Gate {
  id: string;
  lockId: string;
  taskName: string;
  onBusy: OnBusy;
}

/**
 * Undefined for a call that does not pass the gate: of a task that is not exclusive, and one that may wait.
 *
 * @throws {ConfigError} when an id was chosen for a call whose id is its lock's.
 */
function gateOf(
  app: Sedano,
  registration: Registration | undefined,
  call: { args: unknown[]; id: string | undefined; delayMs: number; carried: CarriedOptions },
): Gate | undefined {
  const exclusive = registration?.exclusive;
  if (!exclusive) return undefined;
  const { taskName } = exclusive;
  const onBusy = call.carried.onBusy ?? exclusive.onBusy;
  if (onBusy === 'wait' || onBusy === 'replace' || call.delayMs > 0) return undefined;
  const lockId = exclusive.lockIdOf(call.args);
  const id = `exclusive/${app.name}/${lockId}`;
  if (call.id !== undefined) {
    throw new ConfigError(
      `task '${registration.name}': id: expected none for an exclusive task that does not wait, got '${call.id}'`,
      {
        hint: `Its id is '${id}', so that Temporal refuses a second one; with onBusy 'wait' a call has an id of its own.`,
      },
    );
  }
  return { id, lockId, taskName, onBusy };
}

/** The one text of a server that does not answer, for clients and workers. */
export function unreachable(options: {
  address: string;
  triedMs: number;
  cause: unknown;
}): TemporalUnavailableError {
  const { address, triedMs, cause } = options;
  return new TemporalUnavailableError(
    `Temporal at ${address} cannot be reached; tried for ${triedMs / 1_000} s`,
    {
      cause,
      hint: `Check that Temporal runs at ${address} and that TEMPORAL_ADDRESS is right, or start one with: sedano dev`,
    },
  );
}
