import { IllegalStateError } from '@temporalio/common';
import {
  makeTelemetryFilterString,
  Runtime,
  type LogLevel,
  type LogMetadata,
  type Logger,
} from '@temporalio/worker';
import { getTaskLogger } from '../logger.ts';

let installed = false;

/** Sets up Temporal's native part, which a process has once, before its first worker. */
export function installRuntime(): void {
  if (installed) return;
  installed = true;
  try {
    // Temporal would otherwise swallow the first SIGINT; whoever runs the worker decides what a signal means
    Runtime.install({
      shutdownSignals: [],
      logger: sdkLogger(),
      // else the native part writes its own lines to standard output
      telemetryOptions: {
        logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) },
      },
      workerHeartbeatInterval: '5s',
    });
  } catch (error) {
    // the program has workers of its own, and has set it up for them
    if (!(error instanceof IllegalStateError)) throw error;
  }
}

/** Temporal's log lines as ours; what it says of failed attempts, the wrapper has said already. */
function sdkLogger(): Logger {
  const logger = getTaskLogger('temporal');
  const levels = {
    TRACE: 'trace',
    DEBUG: 'debug',
    INFO: 'debug',
    WARN: 'warn',
    ERROR: 'error',
  } as const;
  const log = (level: LogLevel, message: string, meta: LogMetadata = {}) => {
    const quiet = message === 'Activity failed' || message === 'Workflow failed';
    logger[quiet ? 'debug' : levels[level]](meta, message);
  };
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}
