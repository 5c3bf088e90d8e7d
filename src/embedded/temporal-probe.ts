import type { Connection, ConnectionOptions } from '@temporalio/client';
import { messageOf } from './server-process.ts';

const RETENTION_MS = 7 * 86_400_000;
const CALL_TIMEOUT_MS = 2_000;

/** Codes of gRPC: invalid argument, not found, permission denied, unimplemented, unauthenticated. */
const REFUSALS = [3, 5, 7, 12, 16];

/** What a server said to a question about a namespace. */
export type Answer =
  | { kind: 'ready'; keepsSevenDays: boolean }
  /** It is there, and refuses: asking again does not help. */
  | { kind: 'refused'; reason: string }
  | { kind: 'silent'; reason: string };

/** A connection for asking whether a server is there yet: it knocks often and lets a call fail at once. */
export async function openProbe(options: ConnectionOptions): Promise<Connection> {
  const { Connection } = await import('@temporalio/client');
  return Connection.lazy({
    ...options,
    // the default repeats a failed call by itself, and so hides why it failed
    interceptors: [],
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 250,
    },
  });
}

/** Asks for the namespace, for at most 2 s. Never throws. */
export async function askNamespace(connection: Connection, namespace: string): Promise<Answer> {
  try {
    const { config } = await connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
    const retention = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1_000;
    return { kind: 'ready', keepsSevenDays: retention === RETENTION_MS };
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): Answer {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const details =
    error instanceof Error && 'details' in error ? String(error.details) : messageOf(error);
  const reason =
    /Last error: (?:Error: )?(.*?)\.(?: Resolution note|$)/.exec(details)?.[1] ?? details;
  return { kind: REFUSALS.some((refusal) => refusal === code) ? 'refused' : 'silent', reason };
}

/**
 * Asks for the namespace of a server of ours, and makes it keep closed calls for seven days: the development server's
 * own default is one, after which results are gone. Never throws.
 */
export async function readyNamespace(connection: Connection, namespace: string): Promise<Answer> {
  const answer = await askNamespace(connection, namespace);
  if (answer.kind !== 'ready' || answer.keepsSevenDays) return answer;
  try {
    await keepSevenDays(connection, namespace);
    return answer;
  } catch (error) {
    return explain(error);
  }
}

async function keepSevenDays(connection: Connection, namespace: string): Promise<void> {
  const { msNumberToTs } = await import('@temporalio/common/lib/time.js');
  await connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, () =>
    connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: msNumberToTs(RETENTION_MS) },
    }),
  );
}
