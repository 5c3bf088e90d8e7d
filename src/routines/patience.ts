import { isGrpcServiceError, ServiceError, type Client } from '@temporalio/client';
import type { Sedano } from '../app.ts';
import { SedanoError, TemporalUnavailableError } from '../errors.ts';

const TRIES = 5;
const PING_TIMEOUT_MS = 3_000;
// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const GRPC_CANCELLED = 1;
const GRPC_RESOURCE_EXHAUSTED = 8;

/**
 * Sends a request that may be sent twice, again where a busy server has not answered it in time: a schedule answers one
 * question at a time, and lets the others wait.
 *
 * @throws {TemporalUnavailableError} when the server does not answer anything else either.
 */
export async function patiently<Result>(
  app: Sedano,
  send: (client: Client) => Promise<Result>,
): Promise<Result> {
  const { closed } = app.client;
  for (let tries = 1; ; tries++) {
    try {
      return await app.client.request(send);
    } catch (error) {
      if (!isBusy(error) || tries === TRIES || closed.aborted) throw error;
      if (!(await answers(app))) throw error;
    }
  }
}

/** A server that has too much to do is late, drops what it has begun, or says so. */
function isBusy(error: unknown): boolean {
  if (error instanceof TemporalUnavailableError) return true;
  const reason = error instanceof SedanoError ? error.cause : undefined;
  const cause = reason instanceof ServiceError ? reason.cause : reason;
  return (
    isGrpcServiceError(cause) && [GRPC_CANCELLED, GRPC_RESOURCE_EXHAUSTED].includes(cause.code)
  );
}

async function answers(app: Sedano): Promise<boolean> {
  try {
    await app.client.request((client) =>
      client.withDeadline(Date.now() + PING_TIMEOUT_MS, () =>
        client.workflowService.getSystemInfo({}),
      ),
    );
    return true;
  } catch {
    return false;
  }
}
