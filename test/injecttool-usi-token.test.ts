import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { UsiDataError } from '../injecttool/usi/index.ts';
import { collect, fails, openUsiWorld, type UsiWorld } from './fixtures/injecttool-usi.ts';

const MINUTE_MS = 60 * 1000;
const HOUR_MS = 60 * MINUTE_MS;
const SAMPLES = [1, 2, 3, 4, 5].map((id) => ({
  alias: `IMAGEA00000000${id}`,
  title: `animal ${id}`,
  taxonId: 9913,
  taxon: 'Bos taurus',
}));

let world: UsiWorld;
before(async () => {
  world = await openUsiWorld();
});
after(() => world.close());
beforeEach(() => world.reset());

const tokenRequests = () => world.lines().filter((line) => line === 'GET /auth').length;

const passTime = (ms: number) => {
  world.now = new Date(world.now.getTime() + ms);
};

const refuse = (response: ServerResponse) => void response.writeHead(401).end();

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenWith = (claims: unknown) => `${encode({ alg: 'none' })}.${encode(claims)}.signature`;

test('callers at the same time share one token, which is renewed before it expires', async () => {
  const name = world.server.addSubmission({ samples: [] });
  const usi = world.connect();
  await Promise.all([1, 2, 3].map(() => usi.submission(name)));
  assert.equal(tokenRequests(), 1);
  passTime(54 * MINUTE_MS);
  await usi.submission(name);
  assert.equal(tokenRequests(), 1);
  passTime(2 * MINUTE_MS);
  await usi.submission(name);
  assert.equal(tokenRequests(), 2);
  const accepted = world.requests.filter(({ line }) => line.includes('/api/'));
  for (const { accept } of accepted) assert.equal(accept, 'application/hal+json');
});

for (const skewMs of [-3 * HOUR_MS, 3 * HOUR_MS]) {
  test(`a clock that is wrong by ${skewMs / HOUR_MS} hours renews tokens at the same times`, async () => {
    const name = world.server.addSubmission({ samples: [] });
    const usi = world.connect({ now: () => new Date(world.now.getTime() + skewMs) });
    const counts: number[] = [];
    for (const minutes of [0, 54, 2, 54, 2]) {
      passTime(minutes * MINUTE_MS);
      assert.equal((await usi.submission(name)).status, 'Draft');
      counts.push(tokenRequests());
    }
    assert.deepEqual(counts, [1, 1, 2, 2, 3]);
  });
}

test('a token that is old on arrival is used, and another is asked for the next time', async () => {
  const name = world.server.addSubmission({ samples: [] });
  const seconds = world.now.getTime() / 1_000;
  for (const claims of [
    { exp: seconds - 60 },
    { exp: seconds - 60, iat: seconds },
    { exp: -1, iat: 0 },
  ]) {
    world.reset();
    world.oddAnswer = (request, response) => {
      if (request.url !== '/auth') return false;
      response.end(tokenWith(claims));
      return true;
    };
    const usi = world.connect();
    for (let poll = 1; poll <= 2; poll += 1) {
      await fails(usi.submission(name), {
        name: 'UsiDataError',
        message: `GET ${world.server.url}/api/submissions/${name}: USI refused it with status 401`,
        httpStatus: 401,
      });
    }
    // each call asks for one, and for another when the first is refused
    assert.equal(tokenRequests(), 4);
  }
});

test('a token that is refused while pages are read is replaced, and no page is lost', async () => {
  const name = world.server.addSubmission({ samples: SAMPLES });
  const usi = world.connect();
  const submission = await usi.submission(name);
  const used = world.requests.at(-1)?.authorization;
  passTime(1_000); // the next second's token is another one
  world.oddAnswer = (request, response) => {
    const isStale = request.headers.authorization === used && request.url?.includes('page=1');
    if (isStale) refuse(response);
    return isStale === true;
  };
  const aliases = (await collect(usi.samples(submission))).map(({ alias }) => alias);
  assert.deepEqual(
    aliases,
    SAMPLES.map(({ alias }) => alias),
  );
  assert.deepEqual(world.lines().slice(3), [
    `GET /api/submissions/${name}/contents/samples`,
    `GET /api/submissions/${name}/contents/samples?page=1&size=2`,
    'GET /auth',
    `GET /api/submissions/${name}/contents/samples?page=1&size=2`,
    `GET /api/submissions/${name}/contents/samples?page=2&size=2`,
  ]);
});

test('a token that is refused when a submission is finalized is replaced, and the PUT repeated', async () => {
  const name = world.server.addSubmission({ samples: [] });
  const usi = world.connect();
  const submission = await usi.submission(name);
  await collect(usi.validationResults(submission));
  let refusals = 0;
  world.oddAnswer = (request, response) => {
    if (request.method !== 'PUT' || refusals > 0) return false;
    refusals += 1;
    refuse(response);
    return true;
  };
  assert.equal(await usi.finalize(submission), true);
  assert.deepEqual(world.lines().slice(-3), [
    `PUT /api/submissionStatuses/${name}`,
    'GET /auth',
    `PUT /api/submissionStatuses/${name}`,
  ]);
});

test('two refusals in a row are a data error; the next call begins with a new token', async () => {
  const name = world.server.addSubmission({ samples: [] });
  const usi = world.connect();
  await usi.submission(name);
  world.answerAt('/api/', refuse);
  await fails(usi.submission(name), {
    name: 'UsiDataError',
    message: `GET ${world.server.url}/api/submissions/${name}: USI refused it with status 401`,
    httpStatus: 401,
  });
  world.reset();
  assert.equal((await usi.submission(name)).status, 'Draft');
  assert.equal(world.lines()[0], 'GET /auth');
});

test('a failed renewal is forgotten: the next call asks again', async () => {
  const name = world.server.addSubmission({ samples: [] });
  const usi = world.connect();
  world.answerAt('/auth', (response) => response.writeHead(502).end('<html>'));
  await Promise.all(
    [1, 2].map(() =>
      fails(usi.submission(name), {
        name: 'UsiConnectionError',
        message: `GET ${world.server.url}/auth: the server failed with 502`,
      }),
    ),
  );
  assert.equal(tokenRequests(), 1);
  world.oddAnswer = undefined;
  assert.equal((await usi.submission(name)).status, 'Draft');
});

test('a wrong password is a data error that does not show it', async () => {
  const usi = world.connect({ account: { username: 'manager', password: 'hunter2' } });
  const error: unknown = await usi.submission('any').catch((error: unknown) => error);
  assert.ok(error instanceof UsiDataError);
  assert.equal(
    error.message,
    `GET ${world.server.url}/auth: expected a token for account 'manager', got status 401`,
  );
  assert.equal(error.hint, 'Check USI_MANAGER and USI_MANAGER_PASSWORD.');
  assert.doesNotMatch(inspect([error, usi], { depth: Infinity, showHidden: true }), /hunter2/);
});

const NO_TOKENS: Record<string, string> = {
  'an HTML page': '<html><h1>Sign in</h1></html>',
  nothing: '',
  JSON: '{"token":"eyJhbGciOi.eyJleHAiOj.x"}',
  'two parts': 'eyJhbGciOi.eyJleHAiOj',
  'a token whose claims are no JSON': 'eyJhbGciOi.not-base64-of-json.x',
  'a token without exp': tokenWith({ iat: 1 }),
  'a token whose exp is a text': tokenWith({ exp: '2099-01-01' }),
  'a token whose exp is null': tokenWith({ exp: null }),
  // fetch would refuse it as a header, and quote it
  'a token with a line break in it': tokenWith({ exp: 4_102_444_800 }).replace('.', '.\n'),
  'a token with another character in it': tokenWith({ exp: 4_102_444_800 }).replace('.', '.é'),
  'a token without a signature': tokenWith({ exp: 4_102_444_800 }).replace('signature', ''),
};

for (const [what, answer] of Object.entries(NO_TOKENS)) {
  test(`${what} instead of a token is refused without being shown`, async () => {
    world.answerAt('/auth', (response) => response.end(answer));
    await fails(world.connect().submission('any'), {
      name: 'UsiDataError',
      message: `GET ${world.server.url}/auth: expected a JWT with the claim exp, got something else`,
    });
    assert.deepEqual(world.lines(), ['GET /auth']);
  });
}

test('a token that is too large is refused before it is used', async () => {
  const claims = { exp: 4_102_444_800, domains: 'x'.repeat(8_192) };
  world.answerAt('/auth', (response) => response.end(tokenWith(claims)));
  await fails(world.connect().submission('any'), {
    name: 'UsiDataError',
    message: `GET ${world.server.url}/auth: expected an answer of at most 8192 bytes, got more`,
  });
});

test('the password is not taken along to where the token service points', async () => {
  const other = await world.start('other.json');
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      world.reset();
      world.answerAt('/auth', (response) =>
        response.writeHead(status, { Location: `${other.url}/elsewhere` }).end(),
      );
      await fails(world.connect().submission('any'), {
        name: 'UsiDataError',
        message: `GET ${world.server.url}/auth: expected a token for account 'manager', got status ${status}`,
        httpStatus: status,
      });
      assert.deepEqual(world.lines(), ['GET /auth']);
    }
  } finally {
    await other.close();
  }
});
