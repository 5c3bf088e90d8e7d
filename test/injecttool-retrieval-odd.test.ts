import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { addPendingSubmission } from '../injecttool/database/demo.ts';
import { UsiConnectionError } from '../injecttool/usi/index.ts';
import { eachDatabase } from './fixtures/injecttool-each-database.ts';
import { openWorld, type World } from './fixtures/injecttool-world.ts';

let world: World;
let name: string;

/** Answers what is asked for at a path that has one of the keys in it. */
function answerAt(answers: Record<string, (response: ServerResponse) => void>): void {
  world.oddAnswer = (request, response) => {
    const [, answer] = Object.entries(answers).find(([part]) => request.url?.includes(part)) ?? [];
    answer?.(response);
    return answer !== undefined;
  };
}

const json = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'Content-Type': 'application/hal+json' }).end(text);

const page = (key: string, items: string[]) => json(`{"_embedded": {"${key}": [${items.join()}]}}`);

async function row() {
  const [row] = await world.database.query<Record<string, unknown>>(
    'SELECT status, message, samples_status FROM biosample_submission',
  );
  return row;
}

const failed = (reason: string) =>
  `1 failed while fetching the USI status:\nbiosample submission '${name}' of UID submission 1: ${reason}`;

eachDatabase((open) => {
  before(async () => {
    world = await openWorld(open);
  });
  after(() => world.close());
  beforeEach(async () => {
    await world.reset();
    ({ name } = await addPendingSubmission(world.database, world.server, { now: () => world.now }));
  });

  test('a sample that is listed twice does not stand in for one that is missing', async () => {
    const samples = [1, 2, 3].map(
      (id) => `{"alias": "IMAGEA00000000${id}", "accession": "SAMEA${id}"}`,
    );
    answerAt({
      '/submissionStatuses/': json('{"status": "Completed"}'),
      '/contents/samples': page('samples', [...samples, ...samples]),
    });
    await assert.rejects(world.fetch(), {
      name: 'RetrievalError',
      message: failed(`expected 6 samples in submission '${name}', got 3`),
    });
    assert.equal((await row())?.['status'], 2);
  });

  test('a status that is called like something every object has is counted like others', async () => {
    const result = (status: string) => `{"validationStatus": "${status}"}`;
    const statuses = ['toString', 'constructor', 'toString', '__proto__'];
    answerAt({ '/validationResults/search': page('validationResults', statuses.map(result)) });
    await world.fetch();
    const counts = (await row())?.['samples_status'];
    assert.equal(JSON.stringify(counts), '{"toString":2,"__proto__":1,"constructor":1}');
  });

  test('an author who is called like something every object has is heard', async () => {
    const result = `{"validationStatus": "Complete", "overallValidationOutcomeByAuthor": {"constructor": "Error"}}`;
    const sample = `{"alias": "IMAGEA000000001", "_embedded": {"validationResult": ${result}}}`;
    answerAt({
      '/validationResults/search': page('validationResults', [result]),
      '/contents/samples': page('samples', [sample]),
      [`/validationResults/${name}`]: json(result),
    });
    await world.fetch();
    const message = [{ 'VPR-3001': { constructor: ['USI gives no message'] } }];
    assert.deepEqual(await row(), {
      status: 4,
      message: JSON.stringify(message, null, 2),
      samples_status: { Complete: 1 },
    });
    assert.deepEqual(
      world.requests.filter((request) => request.startsWith('PUT')),
      [],
    );
  });

  test('messages that PostgreSQL cannot store as they are still reach the owner', async () => {
    const errors = String.raw`{"Ena": ["wrong \u0000 and half \ud800"]}`;
    const result = `{"validationStatus": "Complete", "errorMessages": ${errors}}`;
    const sample = `{"alias": "IMAGEA000000001", "_embedded": {"validationResult": ${result}}}`;
    answerAt({
      '/validationResults/search': page('validationResults', [result]),
      '/contents/samples': page('samples', [sample]),
    });
    await world.fetch();
    await world.complete(1);
    const text = 'wrong \uFFFD and half \uFFFD';
    assert.equal(
      (await row())?.['message'],
      JSON.stringify([{ 'VPR-3001': { Ena: [text] } }], null, 2),
    );
    const summaries = await world.database.query(
      `SELECT messages FROM validation_validationsummary WHERE type = 'animal'`,
    );
    assert.deepEqual(summaries, [
      { messages: [{ message: `Ena: ${text}`, count: 1, ids: [1], offending_column: '' }] },
    ]);
  });

  test('what is worth a retry is told from what is not', async () => {
    const address = `${world.server.url}/api/submissions/${name}`;
    const endPage = (status: number) => (response: ServerResponse) =>
      void response.writeHead(status, { 'Content-Type': 'text/html' }).end('<h1>Sorry</h1>');
    const cases: [(response: ServerResponse) => void, 'retry' | 'no retry', string][] = [
      [endPage(503), 'retry', `GET ${address}: the server failed with 503`],
      [
        (response) => void response.destroy(),
        'retry',
        `GET ${address}: no connection (UND_ERR_SOCKET)`,
      ],
      [
        (response) => {
          response.writeHead(200, { 'Content-Length': 500 }).write('{', () => response.destroy());
        },
        'retry',
        `GET ${address}: the answer broke off (UND_ERR_SOCKET)`,
      ],
      [endPage(429), 'no retry', `GET ${address}: USI refused it with status 429`],
      [endPage(404), 'no retry', `USI knows no submission '${name}'`],
      [endPage(200), 'no retry', `GET ${address}: expected JSON, got 14 characters of text/html`],
      [
        json('{"_links": []}'),
        'no retry',
        `USI answered submission '${name}' in an unknown shape: _links: Invalid input: expected object, received array`,
      ],
    ];
    for (const [answer, worth, reason] of cases) {
      answerAt({ '/api/submissions/': answer });
      await assert.rejects(world.fetch(), (error: unknown) => {
        assert.ok(error instanceof Error);
        // what the task's `autoretryFor` asks
        assert.equal(error instanceof UsiConnectionError, worth === 'retry', reason);
        assert.equal(error.message, failed(reason));
        return true;
      });
    }
  });
});
