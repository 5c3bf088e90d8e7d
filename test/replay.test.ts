import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { loadWorkflowBundle } from '../src/worker/bundle.ts';

const folder = new URL('./histories/', import.meta.url);

for (const file of await readdir(folder)) {
  test(`the workflow replays ${file.replace('.json', '')}, recorded by an earlier release`, async () => {
    const history: unknown = JSON.parse(await readFile(new URL(file, folder), 'utf8'));
    const { code } = await loadWorkflowBundle();
    await Worker.runReplayHistory(
      { workflowBundle: { code } },
      historyFromJSON(history),
      'recorded',
    );
    assert.ok(history);
  });
}
