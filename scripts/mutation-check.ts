// Breaks one safeguard of the lock after the other, and expects a test to notice each time:
//   node --import=tsx scripts/mutation-check.ts
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../src/commands/exit.ts';
import { startServers } from '../src/embedded/index.ts';
import { SedanoError } from '../src/errors.ts';
import { MUTATIONS, type Mutation } from './mutations/table.ts';
import { runScript } from './script.ts';
import { TestRunner } from './mutations/test-runner.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LEFT_OUT = ['.git', '.sedano', 'dist', 'node_modules'];

await runScript(async (signal) => {
  const folder = await mkdtemp(join(tmpdir(), 'sedano-mutations-'));
  try {
    return await check(folder, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function check(folder: string, signal: AbortSignal): Promise<number> {
  const copy = join(folder, 'copy');
  await copyTree(copy);
  const report = (line: string) => console.log(`# ${line}`);
  await using servers = await startServers({ home: folder, yes: true, report, signal });
  const env = {
    ...process.env,
    SEDANO_LOG_LEVEL: 'silent',
    SEDANO_RECOVERY_GUARD: 'off',
    TEMPORAL_ADDRESS: servers.temporal.address,
    REDIS_URL: servers.redis.url,
    // the first ones show it
    LOST_REPLIES: '3',
  };
  const tests = new TestRunner(copy, env, signal);
  await assertPassing(tests);
  let survived = 0;
  for (const mutation of MUTATIONS) {
    const { failed, ms } = await withMutation(copy, mutation, () => tests.run(mutation));
    const { name, test } = mutation;
    console.log(`${failed ? 'killed  ' : 'SURVIVED'}  ${name} (${ms} ms): ${test}`);
    if (failed) console.log(`            ${failed}`);
    else survived += 1;
  }
  console.log(`${MUTATIONS.length - survived} of ${MUTATIONS.length} mutations were noticed.`);
  return survived === 0 ? EXIT.ok : EXIT.failed;
}

async function copyTree(copy: string): Promise<void> {
  const filter = (path: string) => !LEFT_OUT.includes(basename(path));
  await cp(ROOT, copy, { recursive: true, filter });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}

/** A test that fails anyway would notice everything. */
async function assertPassing(tests: TestRunner): Promise<void> {
  const named = new Map(MUTATIONS.map((mutation) => [mutation.test, mutation]));
  for (const mutation of named.values()) {
    const { failed } = await tests.run(mutation);
    if (failed) {
      throw new SedanoError(`without a mutation '${mutation.test}' fails: ${failed}`, {
        hint: `Run ${mutation.testFile} first.`,
      });
    }
  }
  console.log(`# ${named.size} tests pass without a mutation`);
}

/** Runs `work` while the file is changed. */
async function withMutation<T>(
  copy: string,
  { name, file, from, to }: Mutation,
  work: () => Promise<T>,
): Promise<T> {
  const path = join(copy, file);
  const text = await readFile(path, 'utf8');
  const count = text.split(from).length - 1;
  if (count !== 1) {
    throw new SedanoError(
      `mutation '${name}': expected its text once in ${file}, found it ${count} times`,
      {
        hint: 'Change the mutation along with the code.',
      },
    );
  }
  // as a function: a replacement text may hold `$`
  await writeFile(
    path,
    text.replace(from, () => to),
  );
  try {
    return await work();
  } finally {
    await writeFile(path, text);
  }
}
