// Makes the workflow's bundle a file of the package, so that a user's worker starts without webpack.
import { writeFile } from 'node:fs/promises';
import type * as bundle from '../src/worker/bundle.ts';

// the built module, so that what is bundled is what is shipped
const built = new URL('../dist/worker/bundle.js', import.meta.url).href;
const { BUNDLE_INFO_URL, BUNDLE_URL, bundleWorkflow, sdkVersion } = (await import(
  built
)) as typeof bundle;

const { code } = await bundleWorkflow();
await writeFile(BUNDLE_URL, code);
await writeFile(BUNDLE_INFO_URL, JSON.stringify({ sdk: sdkVersion() }));
