import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { UnknownSubmissionError } from '../injecttool/usi/index.ts';
import type { UsiServer } from '../injecttool/usi/server.ts';
import { collect, openUsiWorld, sendJson, type UsiWorld } from './fixtures/injecttool-usi.ts';
import { ACCOUNT } from './fixtures/injecttool-world.ts';

const HOUR_MS = 60 * 60 * 1000;
const TAXON = { taxonId: 9913, taxon: 'Bos taurus' };
const SAMPLES = [1, 2, 3, 4, 5].map((id) => ({
  alias: `IMAGEA00000000${id}`,
  title: `animal ${id}`,
  ...TAXON,
}));

let world: UsiWorld;
let server: UsiServer;
let connect: UsiWorld['connect'];
before(async () => {
  world = await openUsiWorld();
  ({ server, connect } = world);
});
after(() => world.close());
beforeEach(() => world.reset());

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
  assert.deepEqual(draft.createdAt, world.now);
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
  const first = await world.start('kept.json');
  const name = first.addSubmission({ name: 'kept', samples: SAMPLES.slice(0, 1) });
  const usi = connect({ url: first.url, authUrl: first.url });
  await collect(usi.validationResults(await usi.submission(name)));
  assert.throws(() => first.addSubmission({ name: 'kept', samples: [] }), {
    message: "the USI server has a submission 'kept' already",
  });
  const before = first.submissions();
  await first.close();
  await first.close();
  const second = await world.start('kept.json');
  assert.deepEqual(second.submissions(), before);
  assert.equal(second.submissions()[0]?.validated, true);
  await second.close();
});

test('a file of something else is refused and left alone', async () => {
  const file = join(world.folder, 'other.json');
  await writeFile(file, '{"submissions": 3}');
  await assert.rejects(world.start('other.json'), {
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
  world.now = new Date(world.now.getTime() + HOUR_MS);
  assert.equal(await statusWith(`Bearer ${token}`), 401);
  assert.equal((await fetch(`${server.url}/auth`)).status, 401);
});

test('an unknown submission is told from other refusals', async () => {
  const error: unknown = await connect()
    .submission('a/b?c')
    .catch((error: unknown) => error);
  assert.ok(error instanceof UnknownSubmissionError);
  assert.equal(error.message, "USI knows no submission 'a/b?c'");
  assert.ok(world.lines().includes('GET /api/submissions/a%2Fb%3Fc'));

  world.answerAt('/api/', (response) => response.writeHead(403).end());
  await assert.rejects(connect().submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/api/submissions/x: USI refused it with status 403`,
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
    world.answerAt('/submissions/x', sendJson({ _links: { submissionStatus: link } }));
    await assert.rejects(connect().submission('x'), refusal);

    world.answerAt(
      '/submissions/x',
      (response) => void response.writeHead(302, { Location: link.href }).end(),
    );
    await assert.rejects(connect().submission('x'), refusal);

    const draft = await connect().submission(server.addSubmission({ samples: [] }));
    world.answerAt(
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
  world.answerAt(
    '/submissions/moved',
    (response) => void response.writeHead(301, { Location: `/api/submissions/${name}` }).end(),
  );
  assert.equal((await connect().submission('moved')).status, 'Draft');
  world.answerAt(
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
