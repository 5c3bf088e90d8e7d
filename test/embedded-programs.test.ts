import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { findProgram } from '../src/embedded/program.ts';
import { findRedis } from '../src/embedded/redis-program.ts';
import { findTemporal } from '../src/embedded/temporal-program.ts';
import { SedanoError } from '../src/errors.ts';

const MODULE = new URL('../tools/temporal/', import.meta.url);
const PINNED = /temporalio\/cli v(\S+)/.exec(readFileSync(new URL('go.mod', MODULE), 'utf8'))?.[1];
const GO = /^go (\S+)$/m.exec(readFileSync(new URL('go.mod', MODULE), 'utf8'))?.[1];
assert.ok(PINNED && GO);

/** A machine that has only the programs a test gives it, and a cache of its own. */
class Machine {
  readonly folder: string;
  readonly lines: string[] = [];
  readonly env: { PATH: string };

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'sedano-programs-'));
    t.after(() => rmSync(this.folder, { recursive: true, force: true }));
    mkdirSync(this.path('bin'));
    this.env = { PATH: this.path('bin') };
    for (const name of ['tar', 'gzip']) {
      symlinkSync(findProgram(name, process.env) ?? '', this.path('bin', name));
    }
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** The place of the fetched program. */
  get cached(): string {
    return this.path('cache', 'temporal', PINNED ?? '', 'temporal');
  }

  /** Installs a shell script. It sees the tools of this machine, and its own folder as $HERE. */
  install(name: string, body: string, folder = this.path('bin')): void {
    mkdirSync(folder, { recursive: true });
    const script = `#!/bin/sh\nPATH=/usr/bin:/bin HERE=${this.folder}\n${body}\n`;
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  }

  findTemporal({
    downloadUrl = 'http://127.0.0.1:2',
    signal,
  }: { downloadUrl?: string; signal?: AbortSignal } = {}) {
    return findTemporal({
      cache: this.path('cache'),
      env: this.env,
      downloadUrl,
      report: (line) => this.lines.push(line),
      signal,
    });
  }

  findRedis({ yes }: { yes: boolean }) {
    return findRedis({ env: this.env, yes, report: (line) => this.lines.push(line) });
  }
}

function temporalOf(server: string): string {
  return `echo "temporal version 1.9.9 (Server ${server}, UI 2.50.1)"`;
}

async function rejection(promise: Promise<unknown>): Promise<SedanoError> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(error instanceof SedanoError, `expected a SedanoError, got ${String(error)}`);
  return error;
}

/** A local download service; returns its address. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  return `http://127.0.0.1:${address.port}`;
}

/** A real archive with a Temporal in it. */
function archiveOf(machine: Machine): Buffer {
  machine.install('temporal', temporalOf('1.31.2'), machine.path('archive'));
  // enough that half of it is not the whole program
  writeFileSync(
    machine.path('archive', 'LICENSE'),
    Buffer.from(String(Math.random()).repeat(20_000)),
  );
  const archive = machine.path('archive.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', machine.path('archive'), 'LICENSE', 'temporal']);
  return readFileSync(archive);
}

test('a temporal on the PATH is used from server 1.31 on', async (t) => {
  const machine = new Machine(t);
  machine.install('temporal', temporalOf('1.31.0'));
  assert.deepEqual(await machine.findTemporal(), {
    path: machine.path('bin', 'temporal'),
    serverVersion: '1.31.0',
  });
  assert.deepEqual(machine.lines, []);
});

test('an older temporal on the PATH is ignored, and the one in the cache is used', async (t) => {
  const machine = new Machine(t);
  machine.install('temporal', temporalOf('1.30.9'));
  machine.install('temporal', temporalOf('1.31.2'), join(machine.cached, '..'));
  assert.deepEqual(await machine.findTemporal(), { path: machine.cached, serverVersion: '1.31.2' });
  assert.deepEqual(machine.lines, [
    `${machine.path('bin', 'temporal')} is ignored: its server is 1.30.9, Sedano needs 1.31 or newer`,
  ]);
});

test('a temporal on the PATH that is something else is ignored', async (t) => {
  const machine = new Machine(t);
  machine.install('temporal', 'echo The temporal dead zone');
  machine.install('temporal', temporalOf('1.31.2'), join(machine.cached, '..'));
  assert.equal((await machine.findTemporal()).path, machine.cached);
  assert.deepEqual(machine.lines, [
    `${machine.path('bin', 'temporal')} is ignored: it does not tell its version`,
  ]);
});

test('the official download is fetched once, and kept', async (t) => {
  const machine = new Machine(t);
  const archive = archiveOf(machine);
  const requests: string[] = [];
  const downloadUrl = await serve(t, (request, response) => {
    requests.push(request.url ?? '');
    if (request.url?.startsWith('/archive')) response.end(archive);
    else {
      const archiveUrl = `http://${request.headers.host}/archive.tar.gz`;
      response.end(JSON.stringify({ archiveUrl, fileToExtract: 'temporal' }));
    }
  });
  const expected = { path: machine.cached, serverVersion: '1.31.2' };
  assert.deepEqual(await machine.findTemporal({ downloadUrl }), expected);
  assert.deepEqual(await machine.findTemporal({ downloadUrl }), expected);
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  assert.deepEqual(requests, [
    `/cli/v${PINNED}?arch=${arch}&platform=${process.platform}&format=tar.gz`,
    '/archive.tar.gz',
  ]);
  assert.deepEqual(machine.lines, [
    `downloading Temporal ${PINNED} from ${downloadUrl}/archive.tar.gz`,
  ]);
  assert.deepEqual(remains(machine), ['temporal']);
});

test('an interrupted download is never used', async (t) => {
  const machine = new Machine(t);
  const archive = archiveOf(machine);
  const downloadUrl = await serve(t, (request, response) => {
    if (!request.url?.startsWith('/archive')) {
      const archiveUrl = `http://${request.headers.host}/archive.tar.gz`;
      response.end(JSON.stringify({ archiveUrl, fileToExtract: 'temporal' }));
      return;
    }
    response.setHeader('content-length', archive.length);
    response.write(archive.subarray(0, archive.length / 2), () => response.destroy());
  });
  const error = await rejection(machine.findTemporal({ downloadUrl }));
  assert.equal(
    error.message,
    `Temporal ${PINNED} cannot be had: the official download failed: ` +
      `${new URL(downloadUrl).host}: other side closed; ` +
      `and building it needs Go ${GO} or newer: there is no go on the PATH`,
  );
  assert.deepEqual(remains(machine), []);
});

test('half an archive is never used', async (t) => {
  const machine = new Machine(t);
  const archive = archiveOf(machine);
  const downloadUrl = await serve(t, (request, response) => {
    const archiveUrl = `http://${request.headers.host}/archive.tar.gz`;
    if (request.url?.startsWith('/archive')) response.end(archive.subarray(0, archive.length / 2));
    else response.end(JSON.stringify({ archiveUrl, fileToExtract: 'temporal' }));
  });
  const error = await rejection(machine.findTemporal({ downloadUrl }));
  assert.match(error.message, /the archive cannot be unpacked: /);
  assert.deepEqual(remains(machine), []);
});

test('a download service that answers nonsense is not believed', async (t) => {
  const machine = new Machine(t);
  const answer = { archiveUrl: 'http://127.0.0.1:2', fileToExtract: '../../temporal' };
  const downloadUrl = await serve(t, (_request, response) => response.end(JSON.stringify(answer)));
  const error = await rejection(machine.findTemporal({ downloadUrl }));
  assert.match(error.message, new RegExp(`failed: ${downloadUrl} answered {"archiveUrl":`));
});

const CLOSED = `the official download failed: 127.0.0.1:2: connect ECONNREFUSED 127.0.0.1:2`;
const INSTALL = 'the Temporal CLI (https://docs.temporal.io/cli)';
const OR_SET = 'or set TEMPORAL_ADDRESS to a server that runs.';

/** A go that writes down how it is called, and builds `program` in no time. */
function fakeGo({ version = GO, toolchain = 'local', build = '' } = {}): string {
  return `
    if [ "$1" = env ]; then echo go${version}; echo ${toolchain}; exit; fi
    for word in "$@"; do echo "$word"; done > $HERE/arguments
    echo "CGO_ENABLED=$CGO_ENABLED GOWORK=$GOWORK GOFLAGS=$GOFLAGS" > $HERE/variables
    echo run >> $HERE/runs
    cp go.mod go.sum $HERE
    echo 'go: downloading example.com/module v1.0.0' >&2
    echo go.temporal.io/server >&2
    ${build || `printf '#!/bin/sh\\n${temporalOf('1.31.2')}\\n' > temporal; chmod +x temporal`}`;
}

test('where the download is closed Temporal is built with Go, from the pinned module', async (t) => {
  const machine = new Machine(t);
  machine.install('go', fakeGo());
  Object.assign(machine.env, { GOFLAGS: '-buildvcs=false' });
  assert.deepEqual(await machine.findTemporal(), { path: machine.cached, serverVersion: '1.31.2' });
  assert.deepEqual(readFileSync(machine.path('arguments'), 'utf8').trim().split('\n'), [
    'build',
    '-mod=readonly',
    '-v',
    '-trimpath',
    '-ldflags',
    `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${PINNED}`,
    '-o',
    'temporal',
    'github.com/temporalio/cli/cmd/temporal',
  ]);
  assert.equal(
    readFileSync(machine.path('variables'), 'utf8'),
    'CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false\n',
  );
  for (const file of ['go.mod', 'go.sum']) {
    assert.deepEqual(readFileSync(machine.path(file)), readFileSync(new URL(file, MODULE)));
  }
  assert.deepEqual(machine.lines, [
    CLOSED,
    `building Temporal ${PINNED} with ${machine.path('bin', 'go')} instead: about four minutes, once`,
  ]);
  assert.deepEqual(remains(machine), ['temporal']);
});

test('a build tells every ten seconds how far it is', async (t) => {
  const machine = new Machine(t);
  machine.install(
    'go',
    fakeGo({ build: 'until [ -e $HERE/enough ]; do sleep 0.02; done; exit 1' }),
  );
  t.mock.timers.enable({ apis: ['setInterval'] });
  const failed = rejection(machine.findTemporal());
  // the file appears before the lines it printed are read
  while (!existsSync(machine.path('runs'))) await new Promise(setImmediate);
  while (machine.lines.at(-1)?.includes('1 packages') !== true) {
    t.mock.timers.tick(10_000);
    await new Promise(setImmediate);
  }
  assert.equal(
    machine.lines.at(-1),
    `building Temporal ${PINNED}: 0 s, 1 packages compiled; go.temporal.io/server`,
  );
  t.mock.timers.reset();
  writeFileSync(machine.path('enough'), '');
  await failed;
});

test('without Go the error says what to install', async (t) => {
  const machine = new Machine(t);
  const error = await rejection(machine.findTemporal());
  assert.equal(
    error.message,
    `Temporal ${PINNED} cannot be had: ${CLOSED}; and building it needs Go ${GO} or newer: there is no go on the PATH`,
  );
  assert.equal(error.hint, `Install ${INSTALL} or Go ${GO} (https://go.dev/dl), ${OR_SET}`);
});

test('a Go that is too old is refused, unless it may fetch the newer', async (t) => {
  const machine = new Machine(t);
  machine.install('go', fakeGo({ version: '1.25.9' }));
  const error = await rejection(machine.findTemporal());
  assert.equal(
    error.message,
    `Temporal ${PINNED} cannot be had: ${CLOSED}; and building it needs Go ${GO} or newer: ` +
      `${machine.path('bin', 'go')} is 1.25.9, with GOTOOLCHAIN=local`,
  );
  machine.install('go', fakeGo({ version: '1.25.9', toolchain: 'auto' }));
  assert.equal((await machine.findTemporal()).path, machine.cached);
});

test('a build that fails shows what go said, and leaves nothing', async (t) => {
  const machine = new Machine(t);
  machine.install('go', fakeGo({ build: 'echo no space left on device; exit 1' }));
  const error = await rejection(machine.findTemporal());
  assert.equal(
    error.message,
    `Temporal ${PINNED} cannot be had: ${CLOSED}; and the build with ${machine.path('bin', 'go')} failed:\n` +
      'go: downloading example.com/module v1.0.0\ngo.temporal.io/server\nno space left on device',
  );
  assert.equal(error.hint, `Install ${INSTALL}, ${OR_SET}`);
  assert.deepEqual(remains(machine), []);
});

test('of two that need a build one builds, and the other waits for it', async (t) => {
  const machine = new Machine(t);
  machine.install('go', `${fakeGo()}\nuntil [ -e $HERE/enough ]; do sleep 0.02; done`);
  const both = Promise.all([machine.findTemporal(), machine.findTemporal()]);
  const waiting = `waiting for process ${process.pid}, which is fetching Temporal ${PINNED}`;
  while (!machine.lines.includes(waiting)) await new Promise(setImmediate);
  writeFileSync(machine.path('enough'), '');
  const [one, other] = await both;
  assert.deepEqual(one, other);
  assert.equal(readFileSync(machine.path('runs'), 'utf8'), 'run\n');
});

test('an aborted build is ended with all that it started', async (t) => {
  const machine = new Machine(t);
  machine.install('go', fakeGo({ build: 'sleep 60 & echo $! > $HERE/child; wait' }));
  const abort = new AbortController();
  const build = machine.findTemporal({ signal: abort.signal });
  const failed = assert.rejects(build, { message: 'enough' });
  while (!existsSync(machine.path('child')) || !readFileSync(machine.path('child'), 'utf8')) {
    await new Promise(setImmediate);
  }
  abort.abort(new Error('enough'));
  await failed;
  const child = Number(readFileSync(machine.path('child'), 'utf8'));
  const state = execFileSync('sh', ['-c', `ps -o stat= -p ${child} || true`], { encoding: 'utf8' });
  assert.match(state, /^(Z.*)?\s*$/);
  assert.deepEqual(remains(machine), []);
});

/** What is in the folder of the fetched program, but for its lock. */
function remains(machine: Machine): string[] {
  return readdirSync(join(machine.cached, '..')).filter((name) => !name.startsWith('lock.'));
}

test('a redis-server on the PATH is used', async (t) => {
  const machine = new Machine(t);
  machine.install('redis-server', '');
  assert.equal(await machine.findRedis({ yes: false }), machine.path('bin', 'redis-server'));
  assert.deepEqual(machine.lines, []);
});

const MISSING = 'Redis is not installed: there is no redis-server on the PATH';

test('without a package manager the error says where to get Redis', async (t) => {
  const machine = new Machine(t);
  const error = await rejection(machine.findRedis({ yes: true }));
  assert.equal(error.message, MISSING);
  assert.equal(
    error.hint,
    'Install it (https://redis.io/docs/latest/operate/oss_and_stack/install), or set REDIS_URL to a Redis that runs.',
  );
});

const onLinux = { skip: process.platform !== 'linux' && 'apt is for Linux' };
const asRoot = { skip: process.getuid?.() !== 0 && 'installs as root only' };
const SUDO = process.getuid?.() === 0 ? '' : 'sudo ';

test('nothing is installed without a yes', onLinux, async (t) => {
  const machine = new Machine(t);
  machine.install('apt-get', 'echo "$@" >> $HERE/runs');
  const error = await rejection(machine.findRedis({ yes: false }));
  assert.equal(error.message, MISSING);
  assert.equal(
    error.hint,
    `Install it with "${SUDO}apt-get update && ${SUDO}apt-get install -y redis-server", ` +
      'let Sedano do that with --yes, or set REDIS_URL to a Redis that runs.',
  );
  assert.equal(existsSync(machine.path('runs')), false);
});

test('with a yes Redis is installed, and no service is started by it', asRoot, async (t) => {
  const machine = new Machine(t);
  machine.install(
    'apt-get',
    `echo "$@ $DEBIAN_FRONTEND $RUNLEVEL" >> $HERE/runs
    [ "$1" = install ] && touch $HERE/bin/redis-server && chmod +x $HERE/bin/redis-server || true`,
  );
  assert.equal(await machine.findRedis({ yes: true }), machine.path('bin', 'redis-server'));
  assert.deepEqual(readFileSync(machine.path('runs'), 'utf8').trim().split('\n'), [
    'update noninteractive 1',
    'install -y redis-server noninteractive 1',
  ]);
  assert.deepEqual(machine.lines, [
    'there is no redis-server on the PATH; it can be installed with: apt-get update && apt-get install -y redis-server',
    'installing Redis',
  ]);
});

test('an installation that fails shows what apt said', asRoot, async (t) => {
  const machine = new Machine(t);
  machine.install('apt-get', 'echo E: no network; exit 100');
  const error = await rejection(machine.findRedis({ yes: true }));
  assert.equal(
    error.message,
    `Redis cannot be installed: ${machine.path('bin', 'apt-get')} update failed:\nE: no network`,
  );
  assert.equal(error.hint, 'Install it by hand, or set REDIS_URL to a Redis that runs.');
});
