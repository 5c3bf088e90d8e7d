import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import {
  createUsiClient,
  UnknownSubmissionError,
  type UsiClientOptions,
  UsiConnectionError,
  UsiDataError,
} from '../injecttool/usi/index.ts';
import { startUsiServer, type UsiServer } from '../injecttool/usi/server.ts';
import { ACCOUNT, type OddAnswer } from './fixtures/injecttool-world.ts';

const HOUR_MS = 60 * 60 * 1000;
const TAXON = { taxonId: 9913, taxon: 'Bos taurus' };
const SAMPLES = [1, 2, 3, 4, 5].map((id) => ({
  alias: `IMAGEA00000000${id}`,
  title: `animal ${id}`,
  ...TAXON,
}));

let folder: string;
let server: UsiServer;
let now: Date;
let requests: { line: string; authorization: string | undefined; accept: string | undefined }[];
let oddAnswer: OddAnswer | undefined;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'injecttool-usi-'));
  server = await start();
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  now = new Date('2026-03-02T10:00:00Z');
  requests = [];
  oddAnswer = undefined;
});

const start = (file = 'usi.json') =>
  startUsiServer({
    file: join(folder, file),
    account: ACCOUNT,
    pageSize: 2,
    now: () => now ?? new Date(),
    intercept: async (request, response) => {
      const { authorization, accept } = request.headers;
      requests.push({ line: `${request.method} ${request.url}`, authorization, accept });
      return (await oddAnswer?.(request, response)) ?? false;
    },
  });

const connect = (options: Partial<UsiClientOptions> = {}) =>
  createUsiClient({
    url: server.url,
    authUrl: server.url,
    account: ACCOUNT,
    timeoutMs: 2_000,
    now: () => now,
    ...options,
  });

const lines = () => requests.map(({ line }) => line);

/** Lets `answer` answer every request whose URL has `part` in it. */
function answerAt(part: string, answer: (response: ServerResponse) => void) {
  oddAnswer = (request, response) => {
    if (!request.url?.includes(part)) return false;
    answer(response);
    return true;
  };
}

const sendJson = (body: unknown) => (response: ServerResponse) => {
  response.writeHead(200, { 'Content-Type': 'application/hal+json' }).end(JSON.stringify(body));
};

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('a submission is followed from Draft to Completed over all its pages', async () => {
  const name = server.addSubmission({ samples: SAMPLES });
  const usi = connect();
  const statuses = async () =>
    (await collect(usi.validationResults(await usi.submission(name)))).map(
      ({ validationStatus }) => validationStatus,
    );
  assert.deepEqual(await statuses(), Array(5).fill('Pending'));
  assert.deepEqual(await usi.availableStatuses(await usi.submission(name)), ['Submitted']);
  assert.deepEqual(await statuses(), Array(5).fill('Complete'));

  const draft = await usi.submission(name);
  assert.equal(draft.status, 'Draft');
  assert.deepEqual(draft.createdAt, now);
  assert.equal(await usi.finalize(draft), true);
  assert.equal(await usi.finalize(draft), false);
  const seen = [];
  for (let poll = 1; poll <= 3; poll += 1) seen.push((await usi.submission(name)).status);
  assert.deepEqual(seen, ['Submitted', 'Processing', 'Completed']);

  const samples = await collect(usi.samples(await usi.submission(name)));
  assert.deepEqual(
    samples.map(({ alias, title }) => ({ alias, title, ...TAXON })),
    SAMPLES,
  );
  const accessions = samples.map(({ accession }) => accession ?? '');
  assert.equal(new Set(accessions).size, 5);
  for (const accession of accessions) assert.match(accession, /^SAMEA\d+$/);
});

test('the errors of a sample are read where they are embedded and behind their link', async () => {
  const name = server.addSubmission({
    samples: SAMPLES.slice(0, 3).map((sample, index) => ({
      ...sample,
      ...(index < 2 && { errors: { Ena: [`wrong ${index}`] } }),
    })),
  });
  const usi = connect();
  const submission = await usi.submission(name);
  await collect(usi.validationResults(submission));
  const samples = await collect(usi.samples(submission));
  assert.deepEqual(
    samples.map(({ embeddedResult }) => embeddedResult !== undefined),
    [true, false, true],
  );
  const messages = [];
  for (const sample of samples) messages.push((await usi.validationResult(sample))?.errorMessages);
  const none = { Core: [], Taxonomy: [], Ena: [], Biosamples: [], JsonSchema: [] };
  assert.deepEqual(messages, [{ ...none, Ena: ['wrong 0'] }, { ...none, Ena: ['wrong 1'] }, none]);
  assert.deepEqual(await usi.availableStatuses(submission), []);
  assert.equal(await usi.finalize(submission), false);
});

test('a second start of the server finds the same submissions', async () => {
  const first = await start('kept.json');
  const name = first.addSubmission({ name: 'kept', samples: SAMPLES.slice(0, 1) });
  const usi = connect({ url: first.url, authUrl: first.url });
  await collect(usi.validationResults(await usi.submission(name)));
  assert.throws(() => first.addSubmission({ name: 'kept', samples: [] }), {
    message: "the USI server has a submission 'kept' already",
  });
  const before = first.submissions();
  await first.close();
  await first.close();
  const second = await start('kept.json');
  assert.deepEqual(second.submissions(), before);
  assert.equal(second.submissions()[0]?.validated, true);
  await second.close();
});

test('a file of something else is refused and left alone', async () => {
  const file = join(folder, 'other.json');
  await writeFile(file, '{"submissions": 3}');
  await assert.rejects(start('other.json'), {
    name: 'ConfigError',
    message: `${file}: expected the submissions of the USI server, got something else`,
  });
  assert.equal(await readFile(file, 'utf8'), '{"submissions": 3}');
});

test('the server wants its own token, for as long as it is good', async () => {
  const path = `${server.url}/api/submissions/none`;
  const statusWith = async (authorization?: string) =>
    (await fetch(path, { headers: authorization === undefined ? {} : { authorization } })).status;
  const basic = Buffer.from(`${ACCOUNT.username}:${ACCOUNT.password}`).toString('base64');
  const answer = await fetch(`${server.url}/auth`, {
    headers: { authorization: `Basic ${basic}` },
  });
  const token = await answer.text();
  assert.equal(await statusWith(), 401);
  assert.equal(await statusWith('Bearer a.b.c'), 401);
  assert.equal(await statusWith(`Bearer ${token.slice(0, -2)}xx`), 401);
  assert.equal(await statusWith(`Bearer ${token}`), 404);
  now = new Date(now.getTime() + HOUR_MS);
  assert.equal(await statusWith(`Bearer ${token}`), 401);
  assert.equal((await fetch(`${server.url}/auth`)).status, 401);
});

test('callers at the same time share one token, which is renewed before it expires', async () => {
  const name = server.addSubmission({ samples: [] });
  const usi = connect();
  const tokenRequests = () => lines().filter((line) => line === 'GET /auth').length;
  await Promise.all([1, 2, 3].map(() => usi.submission(name)));
  assert.equal(tokenRequests(), 1);
  now = new Date(now.getTime() + HOUR_MS - 6 * 60 * 1000);
  await usi.submission(name);
  assert.equal(tokenRequests(), 1);
  now = new Date(now.getTime() + 2 * 60 * 1000);
  await usi.submission(name);
  assert.equal(tokenRequests(), 2);
  for (const { accept } of requests.filter(({ line }) => line.includes('/api/'))) {
    assert.equal(accept, 'application/hal+json');
  }
});

test('a token that USI does not take any more is replaced once', async () => {
  const name = server.addSubmission({ samples: [] });
  const usi = connect();
  await usi.submission(name);
  const used = requests.at(-1)?.authorization;
  // the next second's token is another one
  now = new Date(now.getTime() + 1_000);
  oddAnswer = (request, response) => {
    if (request.headers.authorization !== used) return false;
    response.writeHead(401).end();
    return true;
  };
  assert.equal((await usi.submission(name)).status, 'Draft');

  answerAt('/api/', (response) => response.writeHead(401).end());
  await assert.rejects(usi.submission(name), {
    name: 'UsiDataError',
    message: `GET ${server.url}/api/submissions/${name}: USI refused it with status 401`,
  });
});

test('a wrong password is a data error that does not show it', async () => {
  const usi = connect({ account: { username: 'manager', password: 'hunter2' } });
  const error: unknown = await usi.submission('any').catch((error: unknown) => error);
  assert.ok(error instanceof UsiDataError);
  assert.equal(
    error.message,
    `GET ${server.url}/auth: expected a token for account 'manager', got status 401`,
  );
  assert.equal(error.hint, 'Check USI_MANAGER and USI_MANAGER_PASSWORD.');
  assert.doesNotMatch(inspect([error, usi], { depth: 9 }), /hunter2/);
});

test('something else than a token is refused without being shown', async () => {
  answerAt('/auth', (response) => response.end('not.a.token'));
  await assert.rejects(connect().submission('any'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/auth: expected a JWT with the claim exp, got something else`,
  });
});

test('an unknown submission is told from other refusals', async () => {
  const error: unknown = await connect()
    .submission('a/b?c')
    .catch((error: unknown) => error);
  assert.ok(error instanceof UnknownSubmissionError);
  assert.equal(error.message, "USI knows no submission 'a/b?c'");
  assert.ok(lines().includes('GET /api/submissions/a%2Fb%3Fc'));

  answerAt('/api/', (response) => response.writeHead(403).end());
  await assert.rejects(connect().submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/api/submissions/x: USI refused it with status 403`,
  });
});

test('missing parts are forgiven: no _embedded, an inline status, links without templates', async () => {
  answerAt(
    '/submissions/plain',
    sendJson({
      submissionStatus: 'Archived',
      createdDate: '2018-07-16T07:54:32.251+0000',
      submitter: { email: 'extra@fields.example' },
      _links: {
        self: { href: `${server.url}/api/submissions/plain{?projection}`, templated: true },
      },
    }),
  );
  const usi = connect();
  const submission = await usi.submission('plain');
  assert.deepEqual(submission, {
    name: 'plain',
    status: 'Archived',
    createdAt: new Date('2018-07-16T07:54:32.251Z'),
    modifiedAt: undefined,
    links: {
      self: `${server.url}/api/submissions/plain`,
      status: undefined,
      validationResults: undefined,
    },
  });
  assert.deepEqual(await collect(usi.validationResults(submission)), []);
  assert.deepEqual(await collect(usi.samples(submission)), []);
  assert.deepEqual(await usi.availableStatuses(submission), []);
});

test('answers in an unknown shape are data errors that say where', async () => {
  const cases: [unknown, string][] = [
    [
      [],
      "USI answered submission 'x' in an unknown shape: as a whole: Invalid input: expected object, received array",
    ],
    [
      { _links: { self: 'here' } },
      "USI answered submission 'x' in an unknown shape: _links.self: Invalid input: expected object, received string",
    ],
    [
      { createdDate: 'yesterday', _links: {} },
      "USI answered submission 'x' in an unknown shape: createdDate: expected a date such as '2018-07-16T07:54:32.251+0000'",
    ],
    [{ _links: {} }, "USI gave neither the status of submission 'x' nor a link to it"],
  ];
  for (const [body, message] of cases) {
    answerAt('/submissions/x', sendJson(body));
    await assert.rejects(connect().submission('x'), { name: 'UsiDataError', message });
  }
});

test('HTML with status 200 is a data error, with status 500 a connection error', async () => {
  const sendHtml = (status: number) => (response: ServerResponse) =>
    void response.writeHead(status, { 'Content-Type': 'text/html' }).end('<h1>Sorry</h1>');
  answerAt('/submissions/x', sendHtml(200));
  await assert.rejects(connect().submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/api/submissions/x: expected JSON, got 14 characters of text/html`,
  });
  answerAt('/submissions/x', sendHtml(500));
  await assert.rejects(connect().submission('x'), {
    name: 'UsiConnectionError',
    message: `GET ${server.url}/api/submissions/x: the server failed with 500`,
  });
});

test('an answer that does not end is a connection error', async () => {
  answerAt('/submissions/x', (response) => void response.writeHead(200).write('{'));
  await assert.rejects(connect({ timeoutMs: 200 }).submission('x'), {
    name: 'UsiConnectionError',
    message: `GET ${server.url}/api/submissions/x: no complete answer within 0.2 s`,
  });
});

test('a connection that is refused or cut is a connection error', async () => {
  const gone = await start('gone.json');
  await gone.close();
  const error: unknown = await connect({ url: gone.url, authUrl: gone.url })
    .submission('x')
    .catch((error: unknown) => error);
  assert.ok(error instanceof UsiConnectionError);
  assert.equal(error.message, `GET ${gone.url}/auth: no connection (ECONNREFUSED)`);

  answerAt('/submissions/x', (response) => void response.destroy());
  await assert.rejects(connect().submission('x'), UsiConnectionError);
});

test('an answer that is too large is a data error', async () => {
  answerAt('/submissions/x', sendJson({ padding: 'x'.repeat(5_000) }));
  await assert.rejects(connect({ maxBytes: 2_000 }).submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/api/submissions/x: expected an answer of at most 2000 bytes, got more`,
  });
});

test('pages without end are a data error', async () => {
  const name = server.addSubmission({ samples: SAMPLES });
  const usi = connect({ maxPages: 3 });
  const submission = await usi.submission(name);
  assert.equal((await collect(usi.samples(submission))).length, 5);
  answerAt(
    '/contents/samples',
    sendJson({ _links: { next: { href: `${submission.links.self}/contents/samples?page=1` } } }),
  );
  await assert.rejects(collect(usi.samples(submission)), {
    name: 'UsiDataError',
    message: `USI answered the samples of submission '${name}': expected at most 3 pages, got more`,
  });
});

test('links and redirects to another origin are refused, and nothing is sent there', async () => {
  let visits = 0;
  const other = createServer((_request, response) => {
    visits += 1;
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const address = other.address();
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const refusal = {
    name: 'UsiDataError',
    message: `USI gave a link to ${origin}, expected one to ${server.url}: it is not followed`,
  };
  try {
    const link = { href: `${origin}/api/elsewhere` };
    answerAt('/submissions/x', sendJson({ _links: { submissionStatus: link } }));
    await assert.rejects(connect().submission('x'), refusal);

    answerAt(
      '/submissions/x',
      (response) => void response.writeHead(302, { Location: link.href }).end(),
    );
    await assert.rejects(connect().submission('x'), refusal);

    const draft = await connect().submission(server.addSubmission({ samples: [] }));
    answerAt(
      '/availableSubmissionStatuses',
      sendJson({ _embedded: { statusDescriptions: [{ statusName: 'Submitted' }] } }),
    );
    const strayed = { ...draft, links: { ...draft.links, status: link.href } };
    await assert.rejects(connect().finalize(strayed), refusal);
    assert.equal(visits, 0);
  } finally {
    other.close();
  }
});

test('redirects within USI are followed, but not round and round', async () => {
  const name = server.addSubmission({ samples: [] });
  answerAt(
    '/submissions/moved',
    (response) => void response.writeHead(301, { Location: `/api/submissions/${name}` }).end(),
  );
  assert.equal((await connect().submission('moved')).status, 'Draft');
  answerAt(
    '/submissions/round',
    (response) => void response.writeHead(302, { Location: '/api/submissions/round' }).end(),
  );
  await assert.rejects(connect().submission('round'), {
    name: 'UsiDataError',
    message: '/api/submissions/round: expected at most 5 redirects, got more',
  });
});

test('a root that is no web address, or has an account in it, is refused without being shown', () => {
  for (const url of ['submission.ebi.ac.uk', 'ftp://host', 'https://me:hunter2@host']) {
    assert.throws(() => connect({ url }), {
      name: 'ConfigError',
      message: 'USI_URL: expected an address such as https://host without account',
    });
  }
});
