import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { createProject, Shell } from './helpers/command-line.ts';

type Project = Awaited<ReturnType<typeof createProject>>;

let project: Project;
let shell: Shell;
before(async () => {
  project = await createProject();
  shell = new Shell();
});
after(async () => {
  await shell[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const run = (...args: string[]) =>
  shell.sedano(args, { cwd: project.folder, env: { ...project.env, ...SERVERS } });

// the servers of the tests, which the project's environment is otherwise silent about
const { TEMPORAL_ADDRESS, REDIS_URL } = process.env;
const SERVERS = { TEMPORAL_ADDRESS, REDIS_URL };

interface State {
  fence: string;
  holder: { id: string; runId: string; host: string; pid: number };
}

/** Resolves when the call holds the lock, by another grant than the one with the fence `not`. */
async function heldBy(id: string, not?: string): Promise<State> {
  for (;;) {
    const { code, stdout } = await run('locks', 'inspect', 'wait', '--json');
    const state = code === 0 ? (JSON.parse(stdout) as Partial<State>) : {};
    const { fence, holder } = state;
    if (fence !== undefined && fence !== not && holder?.id === id) return { fence, holder };
  }
}

test('no locks yet, and a lock that nobody ever held', async () => {
  assert.deepEqual(await run('locks', 'list'), {
    code: 0,
    stdout: 'No locks: no exclusive task has run within 7 days.\n',
    stderr: '',
  });
  assert.deepEqual(await run('locks', 'inspect', 'wait'), {
    code: 1,
    stdout: "Nothing is known of lock 'wait'.\n",
    stderr: '',
  });
  const odd = await run('locks', 'inspect', 'a b');
  assert.equal(odd.code, 1);
  assert.match(
    odd.stderr,
    /lockId: expected 1 to 200 characters of A-Z a-z 0-9 \. _ : \/ -, got "a b"/,
  );
});

test('a held lock is listed, inspected, asked back, and ended only with its fence', async () => {
  await using worker = project.sedano(['worker'], { env: SERVERS });
  await worker.sees(/Worker of/);
  const { stdout: call } = await run('call', 'wait');
  const id = call.trim();
  assert.equal(id, `exclusive/${project.name}/wait`);
  const { fence, holder } = await heldBy(id);
  assert.equal(holder.pid, worker.process.pid);

  const list = await run('locks', 'list');
  const [head, row = ''] = list.stdout.split('\n');
  assert.match(head ?? '', /^LOCK +HELD BY +ON +SINCE +LEASE LEFT +WAIT$/);
  assert.ok(row.startsWith(`wait  ${id}  ${holder.host}:${holder.pid}  `), row);

  const inspected = await run('locks', 'inspect', 'wait');
  assert.equal(
    inspected.stdout
      .replace(/Since .*, [\d.]+ s of/, 'Since    THEN, SOME s of')
      .replace(/\nBefore[^\n]*/, ''),
    [
      'Lock     wait',
      `Held by  ${id} (task 'wait', run ${holder.runId})`,
      `On       ${holder.host}, process ${holder.pid}`,
      'Since    THEN, SOME s of the lease left',
      `Fence    ${fence}`,
      'Waiting  0',
      '',
    ].join('\n'),
  );

  assert.deepEqual(await run('locks', 'release', 'wait', '--now'), {
    code: 2,
    stdout: '',
    stderr:
      'Error: --now needs --fence: another hold could have begun meanwhile\n' +
      'Hint: See the fence with: sedano locks inspect wait\n',
  });
  assert.deepEqual(await run('locks', 'release', 'wait', '--now', '--fence', '1'), {
    code: 1,
    stdout: "Nothing released: lock 'wait' is not held with fence 1.\n",
    stderr: '',
  });
  const released = await run('locks', 'release', 'wait');
  assert.equal(
    released.stdout,
    `${id} is asked to let go; it stops at the latest when its lease ends.\n`,
  );
  // a durable call that lost its lock is run again, and holds another
  await heldBy(id, fence);
  await writeFile(project.env.CLI_GO, '');
  const result = await run('result', id, '--wait');
  assert.match(result.stdout, /went at attempt 2/);
});
