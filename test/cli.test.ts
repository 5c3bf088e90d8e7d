import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  createProject,
  Shell,
  type Command,
  type CommandOptions,
  type Ended,
} from './helpers/command-line.ts';
import { uniqueName } from './helpers/harness.ts';

const FIXTURES = 'test/fixtures/cli';
const SEE_STACK = 'Run with --debug to see where it was thrown.';

// one worker and one shell serve the tests of this file
const project = await createProject();
const { name, folder } = project;
const servers = {
  TEMPORAL_ADDRESS: process.env['TEMPORAL_ADDRESS'],
  REDIS_URL: process.env['REDIS_URL'],
};
const worker = project.sedano(['worker'], { env: servers });
const shell = new Shell();
await copyFile(`${FIXTURES}/app.ts`, join(folder, 'idle.ts'));
after(async () => {
  await worker[Symbol.asyncDispose]();
  await shell[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

/** Runs a command of the project on the servers of the tests. */
async function run(args: string[], { cwd = folder, env }: CommandOptions = {}): Promise<Ended> {
  return await shell.sedano(args, { cwd, env: { ...project.env, ...servers, ...env } });
}

/** The same in a process of its own. */
function start(args: string[], { env, ...options }: CommandOptions = {}): Command {
  return project.sedano(args, { ...options, env: { ...servers, ...env } });
}

/** Runs a command in the repository. */
async function runHere(args: string[]): Promise<Ended> {
  return await shell.sedano(args);
}

const nobody = '127.0.0.1:1';
const noTemporal = { TEMPORAL_ADDRESS: nobody };
// these try for 15 s and 10 s, while other tests run
const lost = {
  worker: start(['worker'], { env: noTemporal }).ended,
  dev: start(['dev'], { env: noTemporal }).ended,
};

/** Options for an app that no worker serves. */
const idle = { env: { SEDANO_APP: 'idle.ts', CLI_APP: uniqueName('idle') } };

/** A call that runs until the test lets it, or revokes it. */
async function startWaiting(): Promise<string> {
  const { stdout } = await run(['call', 'wait', '--json']);
  const { id, accepted } = JSON.parse(stdout) as { id: string; accepted: boolean };
  assert.equal(accepted, true);
  for (;;) {
    const { stdout } = await run(['result', id]);
    if (stdout === 'STARTED\n{\n  "step": 1\n}\n') return id;
    assert.match(stdout, /^(PENDING|STARTED)\n$/);
  }
}

const said = (error: string, hint: string) => `Error: ${error}\nHint: ${hint}\n`;

test('help names the commands, the exit codes and the addresses', async () => {
  const [help, word, callHelp, version] = await Promise.all([
    run(['--help']),
    run(['help']),
    run(['call', '--help']),
    run(['--version']),
  ]);
  assert.deepEqual(help, {
    code: 0,
    stderr: '',
    stdout: `Usage: sedano [options] [command]

Celery's ergonomics on Temporal's durability

Options:
  -V, --version                    output the version number
  -h, --help                       display help for command

Commands:
  init [options] [folder]          write an app with one task and one routine,
                                   and install what it needs
  dev [options]                    find or start Temporal and Redis, create the
                                   routines, run a worker; Ctrl-C stops what was
                                   started
  worker [options]                 run the app's tasks until a signal; a second
                                   signal does not wait for running ones
  call [options] <name> [args...]  start a durable call of a task and print its
                                   id
  result [options] <id>            print the state of a call, and its value,
                                   error or progress
  revoke [options] <id>            ask a call to end; one that no worker has
                                   begun ends at once
  routines                         the routine tasks of the app
  locks                            the locks of exclusive tasks
  help [command]                   display help for command

Exit codes: 0 done; 1 the task failed, or an error; 2 wrong usage; 3 the result is not ready;
130 stopped by Ctrl-C before it was done.
Addresses: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, REDIS_URL, else those of 'sedano dev' in this folder.
`,
  });
  assert.deepEqual(word, help);
  assert.deepEqual(callHelp, {
    code: 0,
    stderr: '',
    stdout: `Usage: sedano call [options] <name> [args...]

start a durable call of a task and print its id

Arguments:
  name                      the task's name
  args                      its arguments, each as JSON: 1 '"text"' '{"a":1}'

Options:
  -a, --app <module>        module that exports the app (env: SEDANO_APP)
  --inline                  run the code in this process instead, and print what
                            it returns
  -w, --wait                wait for the result and print it
  -t, --timeout <duration>  wait no longer than this, for example '30s'
  --json                    print JSON
  --debug                   print the stack of an error
  -h, --help                display help for command
`,
  });
  const manifest = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  assert.deepEqual(version, { code: 0, stdout: `${manifest.version}\n`, stderr: '' });
});

test('a wrong command line is told, with the help to ask for, and nothing is sent', async () => {
  const cases: [args: string[], error: string, command: string][] = [
    [['cal'], "unknown command 'cal' (Did you mean call?)", 'sedano'],
    [['routines', 'lost'], "unknown command 'lost' (Did you mean list?)", 'sedano routines'],
    [['call'], "missing required argument 'name'", 'sedano call'],
    [['result', 'a', '--wiat'], "unknown option '--wiat' (Did you mean --wait?)", 'sedano result'],
    [
      ['worker', '-c', '0'],
      "option '-c, --concurrency <number>' argument '0' is invalid. Expected a whole number from 1 up.",
      'sedano worker',
    ],
    [
      ['call', 'add', '1', '2', '-t', '30'],
      "option '-t, --timeout <duration>' argument '30' is invalid. Expected a duration such as '30s', '15m' or '24h'.",
      'sedano call',
    ],
    [
      ['call', 'add', '--inline', '--wait'],
      "option '--inline' cannot be used with option '-w, --wait'",
      'sedano call',
    ],
  ];
  const ended = await Promise.all(cases.map(([args]) => run(args)));
  assert.deepEqual(
    ended,
    cases.map(([, error, command]) => ({
      code: 2,
      stdout: '',
      stderr: said(error, `Run '${command} --help' to see how it is used.`),
    })),
  );
  const [bare, alone, notJson] = await Promise.all([
    run([]),
    start(['cal']).ended,
    run(['call', 'add', '1', 'two']),
  ]);
  assert.deepEqual(alone, ended[0]);
  assert.deepEqual([bare.code, bare.stdout], [2, '']);
  assert.match(bare.stderr, /^Usage: sedano \[options\] \[command\]\n/);
  assert.deepEqual(notJson, {
    code: 2,
    stdout: '',
    stderr: said(
      'argument 2: expected JSON, got two',
      `Text is JSON in double quotes, which the shell must leave alone: '"two"'`,
    ),
  });
});

test('the app is named by --app, SEDANO_APP, or the nearest package.json', async () => {
  const deep = join(folder, 'deep/er');
  await mkdir(deep, { recursive: true });
  const inline = ['call', 'add', '1', '2', '--inline'];
  const broken = { SEDANO_APP: 'nowhere.ts' };
  const ended = await Promise.all([
    run([...inline, '--app', '../app.ts'], { cwd: join(folder, 'deep'), env: broken }),
    run(inline, { env: { SEDANO_APP: 'app.ts' } }),
    run(inline, { cwd: deep }),
    run(inline, { cwd: deep, env: { SEDANO_APP: '' } }),
  ]);
  for (const end of ended) assert.deepEqual(end, { code: 0, stdout: '3\n', stderr: '' });
});

test('an app that cannot be had is one error that names the module', async () => {
  const folderWith = async (manifest: string) => {
    const path = join(folder, uniqueName('other'));
    await mkdir(path);
    await writeFile(join(path, 'package.json'), manifest);
    return path;
  };
  const call = ['call', 'add', '1', '2'];
  const fixture = (file: string) => runHere([...call, '--app', `${FIXTURES}/${file}`]);
  const cases: [end: Promise<Ended>, error: string, hint: string][] = [
    [
      run(call, { cwd: await folderWith('{}') }),
      'no app: expected --app, SEDANO_APP, or "sedano": { "app": … } in package.json',
      'For example: sedano worker --app app.ts',
    ],
    [
      run(call, { cwd: await folderWith('{') }),
      'package.json: cannot be read as JSON',
      'Mend it, or name the app with --app.',
    ],
    [
      run(call, { cwd: await folderWith('{"sedano":{"app":7}}') }),
      'package.json: "sedano.app": expected the path of a module, got 7',
      'For example: "sedano": { "app": "app.ts" }',
    ],
    [
      run(call, { env: { SEDANO_APP: 'nowhere.ts' } }),
      'app module nowhere.ts: there is no such file',
      'Paths are relative to the working directory; those in package.json to its folder.',
    ],
    [
      fixture('throws.ts'),
      `app module ${FIXTURES}/throws.ts: failed to load: TypeError: the app module threw`,
      SEE_STACK,
    ],
    [
      fixture('no-app.ts'),
      `app module ${FIXTURES}/no-app.ts: expected one exported Sedano, got 0`,
      "Export it: export const app = new Sedano('name')",
    ],
    [
      fixture('two-apps.ts'),
      `app module ${FIXTURES}/two-apps.ts: expected one exported Sedano, got 2`,
      'Export one app from this module.',
    ],
    [
      fixture('bad-task.ts'),
      `task module ${FIXTURES}/tasks/throws.ts: failed to load: TypeError: the task module threw`,
      SEE_STACK,
    ],
    [fixture('no-tasks.ts'), "app 'no-tasks' has no task 'add'", 'It has no tasks at all.'],
    [
      run(['call', 'sub', '1', '2']),
      `app '${name}' has no task 'sub'`,
      "It has 'add', 'fail', 'wait'.",
    ],
    [
      runHere(['worker', '--app', `${FIXTURES}/bad-routine.ts`]),
      "routine 'nightly': task 'missing': expected a registered task (there is none)",
      'Check the spelling in the routine table, and that the task is in a folder given to autodiscoverTasks().',
    ],
  ];
  const ended = await Promise.all(cases.map(([end]) => end));
  assert.deepEqual(
    ended,
    cases.map(([, error, hint]) => ({ code: 1, stdout: '', stderr: said(error, hint) })),
  );
});

test('--debug shows the stack, with that of the error that led to it', async () => {
  const { code, stderr } = await runHere([
    'call',
    'add',
    '--app',
    `${FIXTURES}/bad-task.ts`,
    '--debug',
  ]);
  assert.equal(code, 1);
  const [first, second] = stderr.split('\n');
  assert.equal(
    first,
    `Error: task module ${FIXTURES}/tasks/throws.ts: failed to load: TypeError: the task module threw`,
  );
  assert.equal(second?.startsWith('ConfigError: task module'), true);
  assert.match(
    stderr,
    /\[cause\]: TypeError: the task module threw\n\s+at .*tasks\/throws\.ts:1:7/,
  );
});

test('the worker says what it polls', async () => {
  const [line] = await worker.sees(/^Worker.*\n/m);
  assert.equal(line, `Worker of '${name}' polls ${name}; 3 tasks. Ctrl-C stops it.\n`);
});

test('call prints the id of a durable call, result its value', async () => {
  const called = await run(['call', 'add', '-1', '2']);
  assert.equal(called.code, 0);
  assert.match(called.stdout, /^add\/[0-9a-f-]{36}\n$/);
  const id = called.stdout.trim();
  const [text, json, waited] = await Promise.all([
    run(['result', id, '--wait']),
    run(['result', id, '--wait', '--json']),
    run(['call', 'add', '2', '3', '--wait']),
  ]);
  assert.deepEqual(text, { code: 0, stdout: 'SUCCESS\n1\n', stderr: '' });
  assert.deepEqual(JSON.parse(json.stdout), { id, state: 'SUCCESS', info: 1 });
  assert.deepEqual(waited, { code: 0, stdout: 'SUCCESS\n5\n', stderr: '' });
});

test('a task that fails is told with its own error, and its own stack on demand', async () => {
  const call = ['call', 'fail', '"no \\u001b[31mluck"', '--wait'];
  const [text, json, debug, inline] = await Promise.all([
    run(call),
    run([...call, '--json']),
    run([...call, '--debug']),
    run(['call', 'fail', '"no luck"', '--inline']),
  ]);
  // the task's text does not colour the terminal
  assert.deepEqual(text, {
    code: 1,
    stdout: 'FAILURE\n',
    stderr: said('no ?[31mluck', SEE_STACK),
  });
  const { id: _id, ...outcome } = JSON.parse(json.stdout) as { id: string };
  assert.deepEqual([json.code, json.stderr], [1, '']);
  assert.deepEqual(outcome, {
    state: 'FAILURE',
    error: { type: 'RangeError', message: 'no \u001B[31mluck' },
  });
  assert.match(debug.stderr, /^Error: no .*\nRangeError: no .*\n\s+at .*app\.ts:\d+/);
  assert.deepEqual(inline, { code: 1, stdout: '', stderr: said('no luck', SEE_STACK) });
});

test('a call that runs can be looked at, waited for, left, and revoked', async () => {
  const id = await startWaiting();
  const progress = '{\n  "step": 1\n}\n';
  const look = `See how it stands with: sedano result '${id}'`;
  const waiting = start(['result', id, '--wait'], {
    preload: new URL('fixtures/cli/terminal.ts', import.meta.url).href,
  });
  const [text, json, timedOut, refused, refusedJson] = await Promise.all([
    run(['result', id]),
    run(['result', id, '--json']),
    run(['result', id, '--timeout', '100ms']),
    run(['call', 'wait']),
    run(['call', 'wait', '--json']),
  ]);
  assert.deepEqual(text, { code: 3, stdout: `STARTED\n${progress}`, stderr: '' });
  assert.deepEqual(JSON.parse(json.stdout), { id, state: 'STARTED', info: { step: 1 } });
  assert.deepEqual(timedOut, {
    code: 3,
    stdout: `STARTED\n${progress}`,
    stderr: said(`call '${id}' has not ended within 0.1 s; it goes on`, look),
  });
  assert.deepEqual(refused, { code: 0, stdout: 'wait already running!\n', stderr: '' });
  const refusal = JSON.parse(refusedJson.stdout) as { id: string };
  assert.deepEqual(
    { ...refusal, id: 'ID' },
    { id: 'ID', accepted: false, message: 'wait already running!' },
  );
  const kept = await run(['result', refusal.id]);
  assert.deepEqual(kept, { code: 0, stdout: 'SUCCESS\nwait already running!\n', stderr: '' });

  // on a terminal a line says how the call stands; Ctrl-C ends the waiting, not the call
  await waiting.sees(/STARTED \{"step":1\} {2}\d s/);
  const interrupted = await waiting.signal('SIGINT');
  assert.deepEqual([interrupted.code, interrupted.stdout], [130, '']);
  const lastLines = interrupted.stderr.slice(interrupted.stderr.lastIndexOf('\r\u001B[K') + 4);
  assert.equal(
    lastLines,
    `\u001B[31mError:\u001B[0m stopped waiting for call '${id}'; it goes on\n\u001B[2mHint:\u001B[0m ${look}\n`,
  );

  const revoked = await run(['revoke', id]);
  assert.deepEqual(revoked, {
    code: 0,
    stdout: `${id} is asked to end; it is STARTED\n`,
    stderr: '',
  });
  const ended = await run(['result', id, '--wait']);
  assert.deepEqual(ended, {
    code: 1,
    stdout: 'REVOKED\n',
    stderr: said(`call '${id}' was revoked`, 'Call the task again if its value is still wanted.'),
  });
  const again = await run(['revoke', id]);
  assert.deepEqual(again, {
    code: 0,
    stdout: `${id} had ended already: REVOKED\n`,
    stderr: '',
  });
});

test('a call that no worker has begun is PENDING, and a revoke ends it at once', async () => {
  const { stdout } = await run(['call', 'add', '1', '2'], idle);
  const id = stdout.trim();
  const pending = await run(['result', id], idle);
  assert.deepEqual(pending, { code: 3, stdout: 'PENDING\n', stderr: '' });
  const revoked = await run(['revoke', id, '--json'], idle);
  assert.deepEqual(JSON.parse(revoked.stdout), { id, state: 'REVOKED' });
});

test('a call that never was is UNKNOWN, and cannot be revoked', async () => {
  const unknown = said(
    "call 'nope' was never seen, or its result is no longer kept",
    'Temporal keeps results for the retention of its namespace (7 days under sedano dev).',
  );
  const [now, waited, revoked] = await Promise.all([
    run(['result', 'nope']),
    run(['result', 'nope', '--wait']),
    run(['revoke', 'nope']),
  ]);
  assert.deepEqual(now, { code: 1, stdout: 'UNKNOWN\n', stderr: unknown });
  assert.deepEqual(waited, now);
  assert.deepEqual(revoked, { code: 1, stdout: '', stderr: unknown });
});

test('routines are listed with their next times, once a worker has created them', async () => {
  const [text, json, none, noneJson] = await Promise.all([
    run(['routines', 'list']),
    run(['routines', 'list', '--json']),
    run(['routines', 'list'], idle),
    run(['routines', 'list', '--json'], idle),
  ]);
  assert.equal(
    text.stdout.replace(/\d{4}-\d\d-\d\d (?=12:00)/, 'YYYY-MM-DD '),
    [
      'ROUTINE  TASK  CRONTAB     IN WORDS            ZONE         ON   NEXT              LAST RUN  RESULT  RUNS  SKIPS  MISSES',
      'sums     add   0 12 * * *  at 12:00 every day  Europe/Rome  yes  YYYY-MM-DD 12:00  -         -       0     0      0',
      'waits    wait  30 3 * * *  at 03:30 every day  Europe/Rome  no   -                 -         -       0     0      0',
      '',
    ].join('\n'),
  );
  const rows = JSON.parse(json.stdout) as { next: string[]; nextLocal: string[] }[];
  assert.deepEqual(
    rows.map(({ next, nextLocal, ...row }) => ({
      ...row,
      times: next.length,
      local: nextLocal.map((time) => time.slice(11)),
    })),
    [
      {
        name: 'sums',
        origin: 'code',
        task: 'add',
        crontab: '0 12 * * *',
        words: 'at 12:00 every day',
        timezone: 'Europe/Rome',
        enabled: true,
        note: '',
        runs: 0,
        skips: 0,
        misses: 0,
        times: 10,
        local: Array<string>(10).fill('12:00'),
      },
      {
        name: 'waits',
        origin: 'code',
        task: 'wait',
        crontab: '30 3 * * *',
        words: 'at 03:30 every day',
        timezone: 'Europe/Rome',
        enabled: false,
        note: '',
        runs: 0,
        skips: 0,
        misses: 0,
        times: 10,
        local: Array<string>(10).fill('03:30'),
      },
    ],
  );
  assert.deepEqual(none, {
    code: 0,
    stdout: 'No routines yet: a worker creates those of the table when it starts.\n',
    stderr: '',
  });
  assert.deepEqual(noneJson, { code: 0, stdout: '[]\n', stderr: '' });
});

test('broken or unreachable addresses are one error that says which', async () => {
  const check = `Check that Temporal runs at ${nobody} and that TEMPORAL_ADDRESS is right, or start one with: sedano dev`;
  const noRedis = { REDIS_URL: `redis://:secret@${nobody}` };
  const cases: [end: Promise<Ended>, error: string, hint: string][] = [
    [
      start(['call', 'add', '1', '2'], { env: noTemporal }).ended,
      `Temporal at ${nobody} cannot be reached; tried for 5 s`,
      check,
    ],
    [
      start(['result', 'add/1', '--wait'], { env: noTemporal }).ended,
      `Temporal at ${nobody} cannot be reached; tried for 5 s`,
      check,
    ],
    [lost.worker, `Temporal at ${nobody} cannot be reached; tried for 15 s`, check],
    [
      lost.dev,
      `TEMPORAL_ADDRESS: no Temporal answers at ${nobody}: DETAILS`,
      'Check that it runs and that this machine may reach it; unset TEMPORAL_ADDRESS to have one started here.',
    ],
    [
      start(['call', 'wait', '--inline'], { env: noRedis }).ended,
      `lock 'wait': Redis at ${nobody} cannot be used: no answer within 5 s`,
      `Check that Redis runs at ${nobody} and that REDIS_URL is right.`,
    ],
    [
      start(['call', 'add', '1', '2'], { env: { TEMPORAL_ADDRESS: 'http://localhost:7233' } })
        .ended,
      "TEMPORAL_ADDRESS: expected host:port, got 'http://localhost:7233'",
      'Write for example TEMPORAL_ADDRESS=localhost:7233, without http://.',
    ],
    [
      start(['worker'], { env: { SEDANO_LOG_LEVEL: 'loud' } }).ended,
      "SEDANO_LOG_LEVEL: expected one of trace, debug, info, warn, error, fatal, silent, got 'loud'",
      'Unset SEDANO_LOG_LEVEL, or set it to info.',
    ],
  ];
  const ended = await Promise.all(cases.map(([end]) => end));
  // gRPC's words for a connection that was refused differ from one attempt to the next
  const shown = ended.map(({ stderr, ...end }) => ({
    ...end,
    stderr: stderr.replace(/(answers at 127\.0\.0\.1:1): .*/, '$1: DETAILS'),
  }));
  assert.deepEqual(
    shown,
    cases.map(([, error, hint]) => ({ code: 1, stdout: '', stderr: said(error, hint) })),
  );
});

test('a signal ends the worker with exit code 0', async () => {
  const { code, stderr } = await worker.signal('SIGINT');
  assert.equal(code, 0);
  assert.equal(
    stderr,
    'Stopping: running calls may finish; once more leaves them to other workers.\n',
  );
});
