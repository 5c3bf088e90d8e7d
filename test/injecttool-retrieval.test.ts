import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { addPendingSubmission, hasPendingSubmission } from '../injecttool/database/demo.ts';
import type { Database, Queries } from '../injecttool/database/index.ts';
import { decideOutcome } from '../injecttool/retrieval/complete.ts';
import {
  completeRetrieval,
  failRetrieval,
  RetrievalConnectionError,
  RetrievalError,
} from '../injecttool/retrieval/index.ts';
import { groupMessages } from '../injecttool/retrieval/validation-tables.ts';
import { UsiConnectionError } from '../injecttool/usi/index.ts';
import { eachDatabase } from './fixtures/injecttool-each-database.ts';
import { openWorld, recordLog, type World } from './fixtures/injecttool-world.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SUBMITTED_AT = new Date('2026-03-02T10:00:00Z');

let world: World;

const add = (options: { withErrors?: boolean } = {}) =>
  addPendingSubmission(world.database, world.server, { now: () => world.now, ...options });

const statusAtUsi = (name: string) =>
  world.server.submissions().find((submission) => submission.name === name)?.status;

async function rowOf(name: string) {
  const [row] = await world.database.query<Record<string, unknown>>(
    `SELECT status, message, samples_status, updated_at FROM biosample_submission
      WHERE usi_submission_name = $1`,
    [name],
  );
  return row;
}

async function uidSubmission(id: number) {
  const [row] = await world.database.query<Record<string, unknown>>(
    'SELECT status, message, updated_at FROM uid_submission WHERE id = $1',
    [id],
  );
  return row;
}

const summaries = () =>
  world.database.query<Record<string, unknown>>(
    `SELECT type, all_count, validation_known_count, issues_count, pass_count, warning_count,
            error_count, messages FROM validation_validationsummary ORDER BY type`,
  );

const objects = () =>
  world.database.query<Record<string, unknown>>(
    `SELECT name, status, biosample_id IS NOT NULL AS accessioned FROM uid_animal
      UNION ALL SELECT name, status, biosample_id IS NOT NULL FROM uid_sample ORDER BY name`,
  );

/** Answers every request whose path has `part` in it. */
function answerAt(part: string, status: number, body: unknown, contentType?: string) {
  world.oddAnswer = (request, response) => {
    if (!request.url?.includes(part)) return false;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, { 'Content-Type': contentType ?? 'application/hal+json' }).end(text);
    return true;
  };
}

/** All that a run leaves, without what differs from one submission to the next. */
async function snapshot() {
  const rows = (text: string) => world.database.query<Record<string, unknown>>(text);
  return [
    await rows('SELECT id, status, message, updated_at FROM uid_submission ORDER BY id'),
    await rows(
      'SELECT id, status, message, samples_status, updated_at FROM biosample_submission ORDER BY id',
    ),
    await objects(),
    await rows(
      `SELECT content_type_id, object_id, status, messages FROM validation_validationresult
        ORDER BY content_type_id, object_id`,
    ),
    await summaries(),
  ];
}

class Crash extends Error {}

/** The database, but its transaction number `crashAt` ends in a crash: before its commit, or just after. */
function crashing(
  crashAt: number,
  when: 'before' | 'after',
): Database & { transactions: () => number } {
  let transactions = 0;
  return {
    ...world.database,
    transactions: () => transactions,
    transaction: async <Result>(work: (tx: Queries) => Promise<Result>): Promise<Result> => {
      transactions += 1;
      const crashes = transactions === crashAt;
      const result = await world.database.transaction(async (tx) => {
        const result = await work(tx);
        if (crashes && when === 'before') throw new Crash();
        return result;
      });
      if (crashes) throw new Crash();
      return result;
    },
  };
}

test('the rows of a submission decide together what it comes to', () => {
  const row = (status: number, message: string | null = null) => ({ status, message });
  assert.equal(decideOutcome([]), undefined);
  assert.equal(decideOutcome([row(2), row(3, 'broken')]), undefined);
  assert.equal(decideOutcome([row(6), row(0)]), undefined);
  assert.deepEqual(decideOutcome([row(3, 'b'), row(4, 'c'), row(3, 'a'), row(3, 'b'), row(3)]), {
    status: 3,
    message: 'b\na',
  });
  assert.deepEqual(decideOutcome([row(4, 'c'), row(6, 'done')]), { status: 4, message: 'c' });
  assert.deepEqual(decideOutcome([row(6, 'done'), row(6, 'done')]), { status: 6, message: 'done' });
});

test('the messages of a summary are grouped, the most frequent first', () => {
  assert.deepEqual(
    groupMessages([
      { object_id: 3, messages: ['Core: a'] },
      { object_id: 4, messages: ['Ena: b', 'Core: c'] },
      { object_id: 9, messages: ['Ena: b', 'Ena: b'] },
    ]),
    [
      { message: 'Ena: b', count: 2, ids: [4, 9], offending_column: '' },
      { message: 'Core: a', count: 1, ids: [3], offending_column: '' },
      { message: 'Core: c', count: 1, ids: [4], offending_column: '' },
    ],
  );
});

eachDatabase((open) => {
  before(async () => {
    world = await openWorld(open);
  });
  after(() => world.close());
  beforeEach(() => world.reset());

  test('a valid submission goes from Draft to Completed, and so does the UID submission', async () => {
    const { submissionId, name } = await add();
    const seen: unknown[] = [];
    for (let fetch = 1; fetch <= 5; fetch += 1) {
      world.now = new Date(world.now.getTime() + 15 * 60 * 1000);
      await world.fetch();
      const row = await rowOf(name);
      seen.push([row?.status, row?.samples_status, statusAtUsi(name)]);
      await world.complete(submissionId);
    }
    assert.deepEqual(seen, [
      [2, { Pending: 6 }, 'Draft'],
      [2, { Complete: 6 }, 'Submitted'],
      [2, { Complete: 6 }, 'Processing'],
      [2, { Complete: 6 }, 'Completed'],
      [6, { Complete: 6 }, 'Completed'],
    ]);
    const completed = { status: 6, message: 'Successful submission into biosample' };
    assert.deepEqual(await rowOf(name), {
      ...completed,
      samples_status: { Complete: 6 },
      updated_at: world.now,
    });
    assert.deepEqual(await uidSubmission(submissionId), { ...completed, updated_at: world.now });
    assert.deepEqual(
      await objects(),
      ['VPR-3001', 'VPR-3001-E1', 'VPR-3002', 'VPR-3002-E1', 'VPR-3003', 'VPR-3003-E1'].map(
        (name) => ({ name, status: 6, accessioned: true }),
      ),
    );
    assert.deepEqual(world.started, Array(5).fill(submissionId));
    assert.deepEqual(world.mails, []);
  });

  test('each object gets the accession of its own alias', async () => {
    const { name } = await add();
    for (let fetch = 1; fetch <= 5; fetch += 1) await world.fetch();
    const atUsi = world.server.submissions().find((submission) => submission.name === name);
    const accessionOf = (alias: string) =>
      atUsi?.samples.find((sample) => sample.alias === alias)?.accession;
    const [animal] = await world.database.query<Record<string, unknown>>(
      'SELECT biosample_id FROM uid_animal WHERE id = 2',
    );
    const [sample] = await world.database.query<Record<string, unknown>>(
      'SELECT biosample_id FROM uid_sample WHERE id = 3',
    );
    assert.equal(animal?.biosample_id, accessionOf('IMAGEA000000002'));
    assert.equal(sample?.biosample_id, accessionOf('IMAGES000000003'));
  });

  test('samples_status is written only when it differs', async () => {
    const { name } = await add();
    const pending = { validationStatus: 'Pending' };
    answerAt('/validationResults/search', 200, { _embedded: { validationResults: [pending] } });
    const first = new Date(SUBMITTED_AT.getTime() + DAY_MS);
    world.now = first;
    await world.fetch();
    world.now = new Date(first.getTime() + DAY_MS);
    await world.fetch();
    const row = await rowOf(name);
    assert.deepEqual(row?.samples_status, { Pending: 1 });
    assert.deepEqual(row?.updated_at, first);
  });

  test('a Draft without validation results waits', async () => {
    const { name } = await add();
    answerAt('/validationResults/search', 200, {});
    await world.fetch();
    assert.deepEqual(await rowOf(name), {
      status: 2,
      message: 'Waiting for biosample validation',
      samples_status: {},
      updated_at: SUBMITTED_AT,
    });
  });

  for (const status of ['Draft', 'Submitted', 'Processing']) {
    test(`a ${status} that has not changed for more than five days becomes Error`, async () => {
      const { submissionId, name } = await add();
      answerAt('/submissionStatuses/', 200, { status });
      if (status === 'Draft') await world.fetch();
      world.now = new Date(SUBMITTED_AT.getTime() + 5 * DAY_MS);
      await world.fetch();
      assert.equal((await rowOf(name))?.status, 2, 'five days are not more than five days');

      await world.database.query('UPDATE biosample_submission SET updated_at = $1', [SUBMITTED_AT]);
      world.now = new Date(SUBMITTED_AT.getTime() + 5 * DAY_MS + 1);
      await world.fetch();
      await world.complete(submissionId);
      const message = `Biosample submission '${name}' has not changed for more than 5 days: please report it to the InjectTool team`;
      const row = await rowOf(name);
      assert.deepEqual([row?.status, row?.message, row?.updated_at], [3, message, world.now]);
      assert.deepEqual(await uidSubmission(submissionId), {
        status: 3,
        message,
        updated_at: world.now,
      });
      assert.deepEqual(world.mails, [
        {
          to: 'mrossi@genebank.example',
          subject: `Error in biosample submission ${submissionId}`,
          body: `Something went wrong with your biosample submission. Please report this to the InjectTool team:\n\n${message}`,
        },
      ]);
    });
  }

  test('a submission with validation errors needs revision, and its owner is told', async () => {
    const { submissionId, name } = await add({ withErrors: true });
    await world.fetch();
    await world.fetch();
    const message = JSON.stringify(
      [{ 'VPR-3001-E1': { Ena: ['the collection date is in the future'] } }],
      null,
      2,
    );
    const row = await rowOf(name);
    assert.deepEqual([row?.status, row?.message], [4, message]);
    assert.equal(statusAtUsi(name), 'Draft');
    assert.deepEqual(
      (await objects()).filter(({ status }) => status === 4),
      [{ name: 'VPR-3001-E1', status: 4, accessioned: false }],
    );
    assert.deepEqual(
      await world.database.query(
        `SELECT object_id, status, messages FROM validation_validationresult WHERE status <> 'Pass'`,
      ),
      [{ object_id: 1, status: 'Error', messages: ['Ena: the collection date is in the future'] }],
    );

    await world.complete(submissionId);
    const counts = { all_count: 3, validation_known_count: 3, warning_count: 0 };
    assert.deepEqual(await summaries(), [
      { type: 'animal', ...counts, issues_count: 0, pass_count: 3, error_count: 0, messages: [] },
      {
        type: 'sample',
        ...counts,
        issues_count: 1,
        pass_count: 2,
        error_count: 1,
        messages: [
          {
            message: 'Ena: the collection date is in the future',
            count: 1,
            ids: [1],
            offending_column: '',
          },
        ],
      },
    ]);
    assert.deepEqual(await uidSubmission(submissionId), {
      status: 4,
      message,
      updated_at: world.now,
    });
    assert.deepEqual(world.mails, [
      {
        to: 'mrossi@genebank.example',
        subject: `Error in biosample submission ${submissionId}`,
        body: `Some items of your biosample submission need revision:\n\n${message}`,
      },
    ]);
  });

  test('an object that was in error before is not counted twice', async () => {
    await add({ withErrors: true });
    await world.database.query(
      `UPDATE validation_validationresult SET status = 'Error', messages = '{"Core: old"}'
      WHERE object_id = 1 AND content_type_id = 2`,
    );
    await world.fetch();
    await world.fetch();
    const [, sample] = await summaries();
    assert.deepEqual([sample?.pass_count, sample?.error_count], [3, 0]);
    assert.deepEqual(
      await world.database.query(
        'SELECT messages FROM validation_validationresult WHERE object_id = 1 AND content_type_id = 2',
      ),
      [{ messages: ['Ena: the collection date is in the future'] }],
    );
  });

  test('a valid Draft that USI does not let be submitted waits', async () => {
    const { name } = await add();
    await world.fetch();
    answerAt('/availableSubmissionStatuses', 200, { _links: {} });
    await world.fetch();
    assert.equal(statusAtUsi(name), 'Draft');
    assert.equal(world.requests.filter((request) => request.startsWith('PUT')).length, 0);
    assert.ok(
      world.lines.includes(
        `warn submission '${name}' is valid, but USI does not let it be submitted`,
      ),
    );
  });

  test('a Completed submission with one accession missing is left as it was', async () => {
    const { name } = await add();
    const before = await objects();
    const samples = [
      { alias: 'IMAGEA000000001', accession: 'SAMEA1' },
      { alias: 'IMAGES000000001', accession: null },
    ];
    world.oddAnswer = (request, response) => {
      if (request.url?.includes('/submissionStatuses/')) {
        response.end(JSON.stringify({ status: 'Completed' }));
      } else if (request.url?.includes('/contents/samples')) {
        response.end(JSON.stringify({ _embedded: { samples } }));
      } else return false;
      return true;
    };
    await world.fetch();
    assert.deepEqual(await objects(), before);
    assert.equal((await rowOf(name))?.status, 2);
    assert.ok(
      world.lines.includes(
        `error submission '${name}': sample 'IMAGES000000001' has no accession, nothing is written`,
      ),
    );
  });

  test('what cannot be understood fails its row and writes nothing', async () => {
    const { submissionId, name } = await add();
    const before = await objects();
    const row = await rowOf(name);
    const answers = {
      "sample 'BOVINE1': expected an alias IMAGEA<number> or IMAGES<number>": [
        { alias: 'IMAGEA000000001', accession: 'SAMEA1' },
        { alias: 'BOVINE1', accession: 'SAMEA2' },
      ],
      "sample 'IMAGEA000000099': there is no row 99 in uid_animal": [
        ...[1, 2, 3].map((id) => ({ alias: `IMAGEA00000000${id}`, accession: `SAMEA${id}` })),
        ...[1, 2].map((id) => ({ alias: `IMAGES00000000${id}`, accession: `SAMEA1${id}` })),
        { alias: 'IMAGEA000000099', accession: 'SAMEA99' },
      ],
      [`expected 6 samples in submission '${name}', got 0`]: [],
    };
    for (const [reason, samples] of Object.entries(answers)) {
      world.oddAnswer = (request, response) => {
        if (request.url?.includes('/submissionStatuses/')) {
          response.end(JSON.stringify({ status: 'Completed' }));
        } else if (request.url?.includes('/contents/samples')) {
          response.end(JSON.stringify({ _embedded: { samples } }));
        } else return false;
        return true;
      };
      await assert.rejects(world.fetch(), {
        name: 'RetrievalError',
        message: `1 failed while fetching the USI status:\nbiosample submission '${name}' of UID submission ${submissionId}: ${reason}`,
      });
      assert.deepEqual(await objects(), before);
      assert.deepEqual(await rowOf(name), row);
    }
  });

  test('an unknown status is a warning', async () => {
    const { name } = await add();
    answerAt('/submissionStatuses/', 200, { status: 'Archived' });
    await world.fetch();
    assert.equal((await rowOf(name))?.status, 2);
    assert.ok(world.lines.includes(`warn submission '${name}' has the unknown status 'Archived'`));
  });

  test('rows that fail do not keep the others from being looked at, and are all named', async () => {
    const first = await add();
    const second = await add();
    const third = await add();
    await world.database.query(
      `UPDATE biosample_submission SET usi_submission_name = 'gone' WHERE usi_submission_name = $1`,
      [first.name],
    );
    answerAt(`/api/submissions/${second.name}`, 200, '<html>Sign in</html>', 'text/html');
    const error: unknown = await world.fetch().catch((error: unknown) => error);
    assert.ok(error instanceof RetrievalError);
    assert.equal(error instanceof UsiConnectionError, false);
    assert.equal(
      error.message,
      [
        '2 failed while fetching the USI status:',
        "biosample submission 'gone' of UID submission 1: USI knows no submission 'gone'",
        `biosample submission '${second.name}' of UID submission 2: GET ${world.server.url}/api/submissions/${second.name}: expected JSON, got 20 characters of text/html`,
      ].join('\n'),
    );
    assert.deepEqual((await rowOf(third.name))?.samples_status, { Pending: 6 });
    assert.deepEqual(world.started, [1, 2, 3]);
  });

  test('one connection error among the failures makes the whole a connection error', async () => {
    const first = await add();
    const second = await add();
    const third = await add();
    await world.database.query(
      `UPDATE biosample_submission SET usi_submission_name = 'gone' WHERE usi_submission_name = $1`,
      [first.name],
    );
    answerAt(`/api/submissions/${second.name}`, 503, 'busy', 'text/plain');
    const error: unknown = await world.fetch().catch((error: unknown) => error);
    assert.ok(error instanceof RetrievalConnectionError);
    assert.ok(error instanceof UsiConnectionError);
    assert.equal(
      error.message,
      [
        '2 failed while fetching the USI status:',
        "biosample submission 'gone' of UID submission 1: USI knows no submission 'gone'",
        `biosample submission '${second.name}' of UID submission 2: GET ${world.server.url}/api/submissions/${second.name}: the server failed with 503`,
      ].join('\n'),
    );
    assert.deepEqual((await rowOf(third.name))?.samples_status, { Pending: 6 });
  });

  test('a follow-up that cannot be started is among the failures', async () => {
    await add();
    world.startError = new Error('the broker is away');
    await assert.rejects(world.fetch(), {
      message:
        '1 failed while fetching the USI status:\nfollow-up of UID submission 1: the broker is away',
    });
  });

  test('a row that somebody else has dealt with meanwhile is skipped', async () => {
    const first = await add();
    const second = await add();
    await world.database.query('UPDATE biosample_submission SET uid_submission_id = 1');
    world.oddAnswer = async (request) => {
      // both rows have been found, and the first is being asked for
      if (request.url?.includes(first.name)) {
        await world.database.query(
          "UPDATE biosample_submission SET status = 3, message = 'by hand', updated_at = $1",
          [SUBMITTED_AT],
        );
      }
      return false;
    };
    world.now = new Date(SUBMITTED_AT.getTime() + 9 * DAY_MS);
    await world.fetch();
    for (const { name } of [first, second]) {
      assert.deepEqual(await rowOf(name), {
        status: 3,
        message: 'by hand',
        samples_status: {},
        updated_at: SUBMITTED_AT,
      });
    }
    assert.ok(world.lines.includes('warn biosample submission 2 is Error by now: skipped'));
    assert.equal(world.requests.filter((request) => request.includes(second.name)).length, 0);
  });

  test('a submission whose rows are done already still gets its follow-up', async () => {
    const { submissionId } = await add();
    await world.database.query('UPDATE biosample_submission SET status = 6');
    await world.fetch();
    assert.deepEqual(world.started, [submissionId]);
  });

  for (const withErrors of [false, true]) {
    const kind = withErrors ? 'a submission with errors' : 'a valid submission';
    test(`a crash at any transaction leaves ${kind} as one clean run would`, async () => {
      const run = async (database: Database) => {
        for (let fetch = 1; fetch <= 5; fetch += 1) {
          // a crashed task is run again at once
          await world.fetch(database).catch(() => world.fetch(database));
          await world.complete(1, database).catch(() => world.complete(1, database));
        }
      };
      await add({ withErrors });
      const counting = crashing(0, 'before');
      await run(counting);
      const clean = await snapshot();
      assert.equal(counting.transactions(), 8);
      for (let crashAt = 1; crashAt <= counting.transactions(); crashAt += 1) {
        for (const when of ['before', 'after'] as const) {
          await world.reset();
          await add({ withErrors });
          await run(crashing(crashAt, when));
          assert.deepEqual(await snapshot(), clean, `crash ${when} commit ${crashAt}`);
        }
      }
    });
  }

  test('a second run of everything changes nothing', async () => {
    await add({ withErrors: true });
    await world.fetch();
    await world.fetch();
    await world.complete(1);
    const once = await snapshot();
    world.now = new Date(world.now.getTime() + DAY_MS);
    await world.fetch();
    await world.complete(1);
    assert.deepEqual(await snapshot(), once);
  });

  /** A further execution of the same call. */
  const completeAgain = () =>
    completeRetrieval({
      database: world.database,
      submissionId: 1,
      now: () => world.now,
      log: recordLog(world.lines),
      mailOwner: async (mail) => void world.mails.push(mail),
      repeated: true,
    });

  test('of two follow-ups at once one mails; the owner is told of what a call was stopped at', async () => {
    await add();
    await world.database.query(
      "UPDATE biosample_submission SET status = 3, message = 'no answer from USI'",
    );
    await Promise.all([world.complete(1), world.complete(1)]);
    assert.equal(world.mails.length, 1);
    assert.equal(world.lines.at(-1), 'info UID submission 1 was settled by another call');

    await completeAgain();
    assert.deepEqual(world.mails[1], world.mails[0]);
  });

  test('a repeated follow-up leaves alone what others have changed', async () => {
    await add();
    await world.database.query(
      "UPDATE biosample_submission SET status = 3, message = 'no answer from USI'",
    );
    await world.database.query("UPDATE uid_submission SET status = 5, message = 'edited'");
    await world.complete(1);
    await completeAgain();
    assert.deepEqual(world.mails, []);
    assert.equal((await uidSubmission(1))?.message, 'edited');
    assert.equal(world.lines.at(-1), 'warn UID submission 1 is Ready by now: left alone');
  });

  test('a mail to the owner is cut at 5,000 characters', async () => {
    await add();
    await world.database.query('UPDATE biosample_submission SET status = 4, message = $1', [
      'x'.repeat(9_000),
    ]);
    await world.complete(1);
    assert.equal(world.mails[0]?.body.length, 5_000);
    assert.equal(String((await uidSubmission(1))?.message).length, 9_000);
  });

  test('the follow-up of a submission that does not exist says so', async () => {
    await assert.rejects(world.complete(42), {
      name: 'SedanoError',
      message: 'there is no UID submission 42',
    });
  });

  test('a follow-up that fails makes the submission Error and sends its owner the trace', async () => {
    await add();
    const error = new Error('the disk is full');
    error.stack = 'Error: the disk is full\n    at write (disk.ts:1:1)';
    await world.fail(1, error);
    assert.deepEqual(await uidSubmission(1), {
      status: 3,
      message: 'Error in biosample retrieval: the disk is full',
      updated_at: world.now,
    });
    assert.deepEqual(world.mails, [
      {
        to: 'mrossi@genebank.example',
        subject: 'Error in biosample retrieval 1',
        body:
          'Something went wrong with the retrieval of your biosample submission. ' +
          'Please report this to the InjectTool team:\n\n' +
          'Error: the disk is full\n    at write (disk.ts:1:1)',
      },
    ]);
  });

  test('of two follow-ups that fail alike one tells the owner; a repetition tells again', async () => {
    await add();
    const error = new Error('the disk is full');
    await Promise.all([world.fail(1, error), world.fail(1, error)]);
    assert.equal(world.mails.length, 1);

    await failRetrieval({
      database: world.database,
      submissionId: 1,
      error,
      log: recordLog(world.lines),
      mailOwner: async (mail) => void world.mails.push(mail),
      repeated: true,
    });
    assert.deepEqual(world.mails[1], world.mails[0]);
  });

  test('a follow-up that fails after it has written leaves the submission alone', async () => {
    await add();
    await world.database.query("UPDATE uid_submission SET status = 4, message = 'see below'");
    await world.fail(1, new Error('no mail server'));
    assert.equal((await uidSubmission(1))?.status, 4);
    assert.deepEqual(world.mails, []);
  });

  test('a submission is pending while it and one of its rows are Submitted', async () => {
    assert.equal(await hasPendingSubmission(world.database), false);
    await add();
    assert.equal(await hasPendingSubmission(world.database), true);
    await world.database.query('UPDATE biosample_submission SET status = 3');
    assert.equal(await hasPendingSubmission(world.database), false);
  });
});
