import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createProject, Shell, type Ended } from './helpers/command-line.ts';
import { noon, RoutineApp } from './helpers/routines.ts';

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

// the servers of the tests, which the project's environment is otherwise silent about
const { TEMPORAL_ADDRESS, REDIS_URL } = process.env;
const SERVERS = { TEMPORAL_ADDRESS, REDIS_URL };

const run = (...args: string[]): Promise<Ended> =>
  shell.sedano(['routines', ...args], { cwd: project.folder, env: { ...project.env, ...SERVERS } });

/** Its output, of a command that is done. */
async function said(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.deepEqual([code, stderr], [0, ''], stderr);
  return stdout;
}

/** What is different each time, by one word. */
const plain = (text: string) =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'MOMENT')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME')
    .replaceAll(/\S+ on \S+( {2}|, )/g, 'ME$1')
    .replaceAll(project.name, 'APP');

/** The schedules of the project's app, which are deleted when the scope ends. */
async function synced(): Promise<RoutineApp> {
  const routines = new RoutineApp({}, {}, project.name);
  await said('sync');
  return routines;
}

test('sync creates the routines, and then has nothing to do', async () => {
  await using _routines = new RoutineApp({}, {}, project.name);
  assert.equal(
    plain(await said('diff')),
    `ROUTINE  ORIGIN  STATE    FIELD  SERVER  CODE
sums     code    missing  -      -       -
waits    code    missing  -      -       -

missing and follows: sedano routines sync; edited: sedano routines adopt NAME [FIELD…];
orphan: sedano routines prune; foreign: not made by Sedano, and left alone.
`,
  );
  assert.equal(await said('sync'), 'Created: sums, waits\n');
  assert.equal(await said('sync'), 'The server has what the code says.\n');
  assert.equal(await said('diff', '--full'), 'The server has what the code says.\n');
  assert.deepEqual(JSON.parse(await said('sync', '--json')), {
    created: [],
    followed: [],
    drift: [],
    orphans: [],
    foreign: [],
    past: [],
  });
  assert.deepEqual(JSON.parse(await said('diff', '--json')), { routines: [], warnings: [] });
});

test('next times are computed without a server, on the days of a clock change too', async () => {
  const offline = { ...project.env, TEMPORAL_ADDRESS: 'localhost:1' };
  const next = (...args: string[]) =>
    shell.sedano(['routines', 'next', ...args], { cwd: project.folder, env: offline });
  assert.deepEqual(await next('sums', '--at', '2027-03-27T12:00:00Z', '--count', '2'), {
    code: 0,
    stdout: `0 12 * * *, at 12:00 every day
Europe/Rome       UTC
2027-03-28 12:00  2027-03-28T10:00:00.000Z
2027-03-29 12:00  2027-03-29T10:00:00.000Z
`,
    stderr: '',
  });
  const json = await next('waits', '--at', '2027-01-01', '--count', '1', '--json');
  assert.deepEqual(JSON.parse(json.stdout), {
    name: 'waits',
    schedule: '30 3 * * *',
    words: 'at 03:30 every day',
    timezone: 'Europe/Rome',
    next: ['2027-01-01T02:30:00.000Z'],
  });
  assert.deepEqual(await next('none'), {
    code: 1,
    stdout: '',
    stderr: `Error: app '${project.name}' has no routine 'none' in its table\nHint: It has 'sums', 'waits'.\n`,
  });
  const odd = await next('sums', '--at', 'tomorrow');
  assert.equal(odd.code, 2);
  assert.match(odd.stderr, /Expected a day or a moment with its zone/);
});

test('an edit shows old and new times, is reported as one, and is adopted away', async () => {
  await using _routines = await synced();
  const refused = await run('edit', 'sums', '--schedule', '0 3 * * *');
  assert.equal(refused.code, 2);
  assert.match(
    plain(refused.stdout),
    /^NEXT NOW +NEXT THEN\nTIME Europe\/Rome +TIME Europe\/Rome\n/,
  );
  assert.equal(
    refused.stderr,
    "Error: Change routine 'sums'? There is no terminal to ask on, and nothing was changed\n" +
      'Hint: Add --yes to do it without being asked.\n',
  );
  const edited = await said('edit', 'sums', '--schedule', '0 3 * * *', '--args', '[3,4]', '--yes');
  assert.match(edited, /\d 12:00 Europe\/Rome +\d{4}-\d\d-\d\d 03:00 Europe\/Rome\n/);
  assert.match(
    edited,
    /\nChanged: schedule 0 12 \* \* \* -> 0 3 \* \* \*; args \[1,2\] -> \[3,4\]\n$/,
  );
  assert.equal(
    (await said('diff')).split('\n\n')[0],
    `ROUTINE  ORIGIN  STATE   FIELD     SERVER     CODE
sums     code    edited  schedule  0 3 * * *  0 12 * * *
sums     code    edited  args      [3,4]      [1,2]`,
  );
  assert.equal(await said('sync'), 'Edited, left so: sums (schedule, args)\n');
  assert.equal(await said('adopt', 'sums', 'args'), 'Adopted: args [3,4] -> [1,2]\n');
  assert.equal(await said('adopt', 'sums'), 'Adopted: schedule 0 3 * * * -> 0 12 * * *\n');
  assert.equal(await said('adopt', 'sums'), 'Nothing to adopt: it is so.\n');
  assert.equal(
    (await said('edit', 'sums', '--queue', project.name, '--yes')).split('\n').at(-2),
    'Nothing to change: it is so.',
  );
});

test('wrong edits say what is wrong, and change nothing', async () => {
  await using _routines = await synced();
  const cases: [args: string[], code: number, error: RegExp][] = [
    [['edit', 'sums'], 2, /^Error: nothing to change: expected at least one field/],
    [['edit', 'sums', '--schedule', '75 3 * * *', '--yes'], 1, /minute/],
    [['edit', 'sums', '--timezone', 'Europe/Roma', '--yes'], 1, /'Europe\/Roma'/],
    [['edit', 'sums', '--args', '{}', '--yes'], 2, /Expected a JSON list such as/],
    [['edit', 'sums', '--overlap', 'none', '--yes'], 2, /Allowed choices are skip/],
    [['edit', 'none', '--queue', 'x', '--yes'], 1, /has no schedule for routine 'none'/],
    [['delete', 'sums'], 1, /is in the table: the next worker would create it\nHint: Disable it/],
    [['adopt', 'sums', 'crontab'], 1, /^Error: field 'crontab': expected one of task, schedule/],
    [['pause', 'none'], 1, /has no schedule for routine 'none'/],
    [['run', 'none'], 1, /has no schedule for routine 'none'/],
  ];
  for (const [args, code, error] of cases) {
    const ended = await run(...args);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, error);
  }
  assert.equal(await said('diff', '--full'), 'The server has what the code says.\n');
});

test('pause, resume, and show with the edits of us and of another tool', async () => {
  await using routines = await synced();
  assert.equal(await said('pause', 'sums', '--reason', 'holiday'), "Routine 'sums' is paused.\n");
  assert.equal(
    await said('pause', 'sums', '--reason', 'holiday'),
    "Routine 'sums' was paused already.\n",
  );
  assert.equal((await routines.describe('sums')).state.note, 'holiday');
  await routines.toggleByCli('sums', '--unpause', 'back');
  await routines.toggleByCli('sums', '--pause', 'again');
  const shown = plain(await said('show', 'sums'));
  assert.equal(
    shown.replaceAll(/temporal-cli:\S+/g, 'CLI').replaceAll(/MOMENT  (ME|CLI)/g, 'MOMENT  WHO'),
    `sums (code): at 12:00 every day
  task         add
  schedule     0 12 * * *
  timezone     Europe/Rome
  args         [1,2]
  queue        APP
  enabled      no
  overlap      skip
  missed       latest
  startAt      none
  endAt        none
  jitterMs     0s
  description  ""
  expiresMs    none
Note     again
Next     -
Last     -
Counts   0 runs, 0 skipped, 0 missed
Against the code:
  enabled edited: no, the code says yes
Edits, the latest first:
  MOMENT  WHO  pause: enabled yes -> no
  MOMENT  WHO  resume: enabled no -> yes
  MOMENT  WHO  enabled yes -> no
`,
  );
  assert.equal(await said('resume', 'sums'), "Routine 'sums' runs again.\n");
  assert.equal(await said('resume', 'sums'), "Routine 'sums' was not paused.\n");
  const json = JSON.parse(await said('show', 'sums', '--json')) as {
    edits: unknown[];
    outsideEdits: unknown[];
    diff: unknown[];
  };
  assert.deepEqual([json.edits.length, json.outsideEdits.length, json.diff], [2, 2, []]);
});

test('a run that is asked for is started, its result is listed, and a busy one is skipped', async () => {
  await using _routines = await synced();
  await using worker = project.sedano(['worker'], { env: SERVERS });
  await worker.sees(/Worker of/);
  const id = (await said('run', 'sums')).trim();
  assert.match(id, new RegExp(`^${project.name}/sums-\\d{4}-\\d\\d-\\d\\dT.*Z$`));
  const result = await shell.sedano(['result', id, '--wait'], {
    cwd: project.folder,
    env: { ...project.env, ...SERVERS },
  });
  assert.equal(result.stdout, 'SUCCESS\n3\n');
  assert.match(plain(await said('list')), /^sums .* TIME UTC +SUCCESS: 3 +1 +0 +0$/m);

  // it waits for a file that nobody makes
  const started = (await said('run', 'waits')).trim();
  const skipped = await run('run', 'waits');
  assert.deepEqual(skipped, {
    code: 1,
    stdout: `Skipped, because it still runs: ${started}.\n`,
    stderr: '',
  });
  assert.deepEqual(JSON.parse((await run('run', 'waits', '--json')).stdout), {
    name: 'waits',
    outcome: 'skipped',
    id: started,
  });
});

test('prune lists the orphans, asks, and deletes them', async () => {
  await using routines = await synced();
  // another release of the same app has had one routine more
  const { app: earlier } = new RoutineApp(
    { gone: noon },
    { timezone: 'Europe/Rome' },
    project.name,
  );
  await earlier.syncRoutines();
  await earlier.close();
  await routines.listed((names) => names.includes('gone'));
  const refused = await run('prune');
  assert.deepEqual(refused, {
    code: 2,
    stdout: 'Left the table:\n  gone\n',
    stderr:
      'Error: Delete 1? There is no terminal to ask on, and nothing was changed\n' +
      'Hint: Add --yes to do it without being asked.\n',
  });
  assert.equal(await said('sync'), 'Left the table: gone\n');
  assert.match(await said('list'), /^gone \(orphan\) +clear +0 12/m);
  assert.equal(await said('prune', '--yes'), 'Left the table:\n  gone\nDeleted 1.\n');
  await routines.listed((names) => !names.includes('gone'));
  assert.deepEqual(JSON.parse(await said('prune', '--json')), { deleted: [] });
  assert.equal(await said('prune'), 'No orphans.\n');
});

test('a worker that starts logs edits, orphans and foreign schedules, each once', async () => {
  await using routines = await synced();
  const { app: earlier } = new RoutineApp({ gone: noon }, {}, project.name);
  await earlier.syncRoutines();
  await earlier.close();
  await routines.toggleByCli('sums', '--pause', 'holiday');
  await routines.handle('waits').delete();
  await routines.app.client.temporal.schedule.create({
    scheduleId: routines.id('waits'),
    spec: {},
    action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
  });
  await routines.listed((names) => names.length === 3);
  const env = { ...SERVERS, SEDANO_LOG_LEVEL: 'info' };
  await using worker = project.sedano(['worker'], { env });
  await worker.sees(/Worker of/);
  const lines = `${worker.stdout}${worker.stderr}`.split('\n');
  const about = (text: string) => lines.filter((line) => line.includes(text));
  const [edited, ...more] = about('Routines edited on the server stay so');
  assert.match(edited ?? '', /"edited":\[\{"name":"sums","fields":\["enabled"\]\}\]/);
  const [orphans, ...others] = about('Routines that have left the table');
  assert.match(orphans ?? '', /"orphans":\["gone"\]/);
  const [foreign, ...rest] = about('Schedules that Sedano did not make');
  assert.match(foreign ?? '', /"foreign":\["waits"\]/);
  assert.deepEqual([more, others, rest], [[], [], []]);
});
