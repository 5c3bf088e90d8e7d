import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { getTaskLogger } from '../logger.ts';

/** The workflow's code as Temporal's sandbox takes it. */
export interface WorkflowBundle {
  code: string;
}

/** Where the build puts the bundle, and what it says of it. */
export const BUNDLE_URL = new URL('../workflow-bundle.js', import.meta.url);
export const BUNDLE_INFO_URL = new URL('../workflow-bundle.json', import.meta.url);

let loaded: Promise<WorkflowBundle> | undefined;

/** The bundle that was built with the package; made now (about 1.3 s) from source, or for another SDK version. */
export function loadWorkflowBundle(): Promise<WorkflowBundle> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<WorkflowBundle> {
  const prebuilt = existsSync(BUNDLE_INFO_URL);
  if (prebuilt) {
    const { sdk } = JSON.parse(await readFile(BUNDLE_INFO_URL, 'utf8')) as { sdk: string };
    if (sdk === sdkVersion()) return { code: await readFile(BUNDLE_URL, 'utf8') };
    getTaskLogger('sedano').warn(
      `The workflow bundle was built with @temporalio/worker ${sdk}, installed is ${sdkVersion()}: bundling it afresh`,
    );
  }
  return await bundleWorkflow();
}

/** Bundles the workflow from the source beside this folder: TypeScript in the source, JavaScript in the package. */
export async function bundleWorkflow(): Promise<WorkflowBundle> {
  const file = `../workflows/index${extname(import.meta.url)}`;
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(file, import.meta.url)),
    logger: quietLogger,
  });
  return { code };
}

/** A bundle and the SDK that runs it must be of exactly one version. */
export function sdkVersion(): string {
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as {
    version: string;
  };
  return version;
}

const quiet = () => {};
const logError = (message: string) => getTaskLogger('sedano.bundle').error(message);
// webpack reports its progress at info level
const quietLogger = {
  log: quiet,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: logError,
};
