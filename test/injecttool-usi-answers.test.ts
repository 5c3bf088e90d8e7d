import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { UsiClient, UsiSample, UsiSubmission } from '../injecttool/usi/index.ts';
import type { UsiServer } from '../injecttool/usi/server.ts';
import {
  collect,
  fails,
  openUsiWorld,
  sendJson,
  type UsiWorld,
} from './fixtures/injecttool-usi.ts';

const MAX_PAGES = 4;

let world: UsiWorld;
let server: UsiServer;
before(async () => {
  world = await openUsiWorld();
  ({ server } = world);
});
after(() => world.close());
beforeEach(() => world.reset());

/** USI with one submission 'x', whose documents are `documents`: by path, the query left out. */
function answerWith(documents: Record<string, unknown>): UsiClient {
  world.oddAnswer = ({ url = '' }, response) => {
    if (url === '/auth') return false;
    const document = documents[url] ?? documents[url.replace(/\?.*$/, '')];
    if (document === undefined) response.writeHead(404).end();
    else sendJson(document)(response);
    return true;
  };
  return world.connect({ maxPages: MAX_PAGES });
}

/** What was asked for beside the token. */
const asked = () => world.lines().filter((line) => line !== 'GET /auth');

const X: UsiSubmission = {
  name: 'x',
  status: 'Draft',
  createdAt: undefined,
  modifiedAt: undefined,
  links: {
    self: '/api/submissions/x',
    status: '/api/submissionStatuses/x',
    validationResults: '/results',
  },
};
const SAMPLES = '/api/submissions/x/contents/samples';

const sample = (embeddedResult: unknown, resultLink?: string): UsiSample => ({
  alias: 'IMAGEA000000001',
  title: undefined,
  accession: undefined,
  embeddedResult,
  resultLink,
});

test('missing parts are forgiven: no _embedded, an inline status, links without templates', async () => {
  world.answerAt(
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
  const usi = world.connect();
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
    world.answerAt('/submissions/x', sendJson(body));
    await fails(world.connect().submission('x'), { name: 'UsiDataError', message });
  }
});

const PLACES: Record<string, (href: string) => Promise<unknown>> = {
  'of a status': (href) =>
    answerWith({ '/api/submissions/x': { _links: { submissionStatus: { href } } } }).submission(
      'x',
    ),
  'of validation results': (href) =>
    collect(
      answerWith({}).validationResults({ ...X, links: { ...X.links, validationResults: href } }),
    ),
  'of the next page': (href) =>
    collect(answerWith({ [SAMPLES]: { _links: { next: { href } } } }).samples(X)),
  "of a sample's result": (href) => answerWith({}).validationResult(sample(undefined, href)),
  'in a submission itself': async (href) => {
    const document = { submissionStatus: 'Draft', _links: { self: { href } } };
    const usi = answerWith({ '/api/submissions/x': document });
    return await collect(usi.samples(await usi.submission('x')));
  },
  'that is written to': (href) =>
    answerWith({
      '/api/submissions/x/availableSubmissionStatuses': {
        _embedded: { statusDescriptions: [{ statusName: 'Submitted' }] },
      },
    }).finalize({ ...X, links: { ...X.links, status: href } }),
  'of a redirect': (href) => {
    world.answerAt('/api/', (response) => response.writeHead(302, { Location: href }).end());
    return world.connect().submission('x');
  },
};

/** Links by what the error says of them; HOST stands for the server's host and port. */
const STRANGERS: [href: string, stranger: string][] = [
  ['http://elsewhere.example/api', 'http://elsewhere.example'],
  ['https://HOST/api', 'https://HOST'],
  ['http://127.0.0.1:1/api', 'http://127.0.0.1:1'],
  ['//elsewhere.example/api', 'http://elsewhere.example'],
  ['\\\\elsewhere.example\\api', 'http://elsewhere.example'],
  ['http:\\\\elsewhere.example/api', 'http://elsewhere.example'],
  [' http://elsewhere.example/', 'http://elsewhere.example'],
  ['{?x}//elsewhere.example/api', 'http://elsewhere.example'],
  ['http://me@HOST/api', 'http://HOST with an account'],
  ['http://me:Basic hunter2@HOST/api', 'http://HOST with an account'],
  ['http://HOST@elsewhere.example/api', 'http://elsewhere.example'],
  ['file:///etc/passwd', "an address of 'file:'"],
  ['javascript:alert(1)', "an address of 'javascript:'"],
  ['data:application/json,{}', "an address of 'data:'"],
  ['blob:http://HOST/0ab5c3c1', "an address of 'blob:'"],
];

for (const [where, follow] of Object.entries(PLACES)) {
  test(`a link ${where} to anything but USI is refused`, async () => {
    const { host } = new URL(server.url);
    for (const [href, stranger] of STRANGERS) {
      world.reset();
      await fails(follow(href.replace('HOST', host)), {
        name: 'UsiDataError',
        message: `USI gave a link to ${stranger.replace('HOST', host)}, expected one to ${server.url}: it is not followed`,
      });
      assert.equal(asked().filter((line) => !line.includes('/api/submissions/x')).length, 0, href);
    }
  });
}

test('what is no address at all is quoted, but not at length', async () => {
  const href = `http://${'['.repeat(300)}`;
  const usi = answerWith({ '/api/submissions/x': { _links: { submissionStatus: { href } } } });
  await fails(usi.submission('x'), {
    name: 'UsiDataError',
    message: `USI gave a link that is none: 'http://${'['.repeat(193)}'`,
  });
});

test('the template parts of a link are cut off, wherever they stand', async () => {
  const links: Record<string, string> = {
    '/s{?projection}': '/s',
    '/s{?projection}{&page,size}': '/s',
    '/s{/id}/t{?projection}': '/s/t',
    '/s?a=1{&page,size,sort}': '/s?a=1',
    '/s?a={a}&b=2{&c}': '/s?a=&b=2',
    '/s{}': '/s',
    '/s{?never,closed': '/s%7B?never,closed',
    '/s?{{never{?closed': '/s?{{never{?closed',
    '{?projection}/s': '/s',
  };
  for (const [href, path] of Object.entries(links)) {
    world.reset();
    const usi = answerWith({
      '/api/submissions/x': { _links: { submissionStatus: { href: server.url + href } } },
      [path]: { status: 'Processing' },
    });
    assert.equal((await usi.submission('x')).status, 'Processing', href);
    assert.deepEqual(asked(), ['GET /api/submissions/x', `GET ${path}`]);
  }
});

test('the samples are looked for below the link of a submission to itself', async () => {
  for (const self of [
    '/api/submissions/x',
    '/api/submissions/x{?projection}',
    '/api/submissions/x/{?projection}',
    '/api/submissions/x//',
    '/api/submissions/x?projection=full',
    '/api/submissions/x?a={b}&c#d{e}',
    '/api/submissions/x#top',
  ]) {
    world.reset();
    const _links = { self: { href: server.url + self } };
    const usi = answerWith({
      '/api/submissions/x': { submissionStatus: 'Draft', _links },
      [SAMPLES]: { _embedded: { samples: [{ alias: self }] } },
    });
    const samples = await collect(usi.samples(await usi.submission('x')));
    assert.deepEqual(
      samples.map(({ alias }) => alias),
      [self],
    );
  }
});

test('a link that is too long is a data error', async () => {
  const href = `${server.url}/${'{'.repeat(4_000)}`;
  const usi = answerWith({ '/api/submissions/x': { _links: { submissionStatus: { href } } } });
  await fails(usi.submission('x'), {
    name: 'UsiDataError',
    message:
      "USI answered submission 'x' in an unknown shape: _links.submissionStatus.href: Too big: expected string to have <=4000 characters",
  });
});

test('null is as good as nothing', async () => {
  const pages: unknown[] = [
    {},
    { _embedded: null },
    { _embedded: {} },
    { _embedded: { samples: null } },
    { _embedded: { somethingElse: [1] } },
    { _links: null },
    { _links: {} },
    { _links: { next: null } },
  ];
  for (const page of pages) {
    assert.deepEqual(await collect(answerWith({ [SAMPLES]: page }).samples(X)), []);
  }
  const bare = { alias: 'a', title: null, accession: null, _embedded: null, _links: null };
  assert.deepEqual(
    await collect(answerWith({ [SAMPLES]: { _embedded: { samples: [bare] } } }).samples(X)),
    [{ ...sample(undefined), alias: 'a' }],
  );
  const linkless = { submissionStatus: 'Draft', createdDate: null, _links: null };
  assert.deepEqual(await answerWith({ '/api/submissions/x': linkless }).submission('x'), {
    ...X,
    links: { self: '/api/submissions/x', status: undefined, validationResults: undefined },
  });
  const results = [
    { validationStatus: 'Complete' },
    {
      validationStatus: 'Complete',
      errorMessages: null,
      overallValidationOutcomeByAuthor: null,
    },
    { validationStatus: 'Complete', errorMessages: { Core: null, Ena: ['wrong'] } },
  ];
  const none = { validationStatus: 'Complete', overallValidationOutcomeByAuthor: {} };
  assert.deepEqual(
    await collect(
      answerWith({ '/results': { _embedded: { validationResults: results } } }).validationResults(
        X,
      ),
    ),
    [
      { ...none, errorMessages: {} },
      { ...none, errorMessages: {} },
      { ...none, errorMessages: { Core: [], Ena: ['wrong'] } },
    ],
  );
});

test('a status that is missing is read behind its link, one that is there is not', async () => {
  const _links = { submissionStatus: { href: '/s{?projection}', templated: true } };
  const seen: unknown[] = [];
  for (const given of [{}, { submissionStatus: null }, { submissionStatus: 'Draft' }]) {
    const document = { ...given, _links };
    const usi = answerWith({ '/api/submissions/x': document, '/s': { status: 'Completed' } });
    seen.push((await usi.submission('x')).status);
  }
  const inDocument = { submissionStatus: { status: 'Submitted', other: 1 }, _links };
  seen.push((await answerWith({ '/api/submissions/x': inDocument }).submission('x')).status);
  assert.deepEqual(seen, ['Completed', 'Completed', 'Draft', 'Submitted']);
});

test('a status behind a link that leads nowhere is not an unknown submission', async () => {
  const document = { _links: { submissionStatus: { href: '/s' } } };
  await fails(answerWith({ '/api/submissions/x': document }).submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}/s: USI refused it with status 404`,
    httpStatus: 404,
  });
});

test('a wrong type is a data error that says where', async () => {
  const what = "the samples of submission 'x' in an unknown shape";
  const text = 'Invalid input: expected string, received';
  const pages: [unknown, string][] = [
    [[], 'as a whole: Invalid input: expected object, received array'],
    ['text', 'as a whole: Invalid input: expected object, received string'],
    [null, 'as a whole: Invalid input: expected object, received null'],
    [{ _embedded: [] }, '_embedded: Invalid input: expected record, received array'],
    [{ _embedded: { samples: {} } }, 'items: Invalid input: expected array, received object'],
    [{ _embedded: { samples: [{}] } }, `items.0.alias: ${text} undefined`],
    [{ _embedded: { samples: [{ alias: 7 }] } }, `items.0.alias: ${text} number`],
    [
      { _embedded: { samples: [{ alias: 'a' }, { alias: 'b', accession: 12 }] } },
      `items.1.accession: ${text} number`,
    ],
    [{ _links: { next: '/x' } }, '_links.next: Invalid input: expected object, received string'],
    [{ _links: { next: { href: 5 } } }, `_links.next.href: ${text} number`],
    [
      { _links: { next: { href: '' } } },
      '_links.next.href: Too small: expected string to have >=1 characters',
    ],
  ];
  for (const [page, problem] of pages) {
    await fails(collect(answerWith({ [SAMPLES]: page }).samples(X)), {
      name: 'UsiDataError',
      message: `USI answered ${what}: ${problem}`,
    });
  }
  const results: [unknown, string][] = [
    [{ validationStatus: 3 }, `items.0.validationStatus: ${text} number`],
    [
      { validationStatus: 'Complete', errorMessages: { Core: 'wrong' } },
      'items.0.errorMessages.Core: Invalid input: expected array, received string',
    ],
    [
      { validationStatus: 'Complete', errorMessages: { Core: ['wrong', null] } },
      `items.0.errorMessages.Core.1: ${text} null`,
    ],
    [
      { validationStatus: 'Complete', overallValidationOutcomeByAuthor: { Core: false } },
      `items.0.overallValidationOutcomeByAuthor.Core: ${text} boolean`,
    ],
  ];
  for (const [result, problem] of results) {
    const page = { _embedded: { validationResults: [result] } };
    await fails(collect(answerWith({ '/results': page }).validationResults(X)), {
      name: 'UsiDataError',
      message: `USI answered the validation results of submission 'x' in an unknown shape: ${problem}`,
    });
  }
});

test('of many problems the first are named, and the others counted', async () => {
  const page = { _embedded: { samples: Array.from({ length: 3_000 }, () => ({})) } };
  const problem = (index: number) =>
    `items.${index}.alias: Invalid input: expected string, received undefined`;
  await fails(collect(answerWith({ [SAMPLES]: page }).samples(X)), {
    name: 'UsiDataError',
    message: `USI answered the samples of submission 'x' in an unknown shape: ${[0, 1, 2, 3, 4].map(problem).join('; ')}; 2995 more`,
  });
});

test('the result of a sample is taken from where it is whole', async () => {
  const short = { validationStatus: 'Complete' };
  const embedded = { ...short, errorMessages: { Core: ['embedded'] } };
  const linked = { ...short, errorMessages: { Core: ['linked'] } };
  const read = async (result: unknown, link?: string) =>
    (await answerWith({ '/r': linked }).validationResult(sample(result, link)))?.errorMessages;
  assert.deepEqual(await read(embedded, '/r{?projection}'), { Core: ['embedded'] });
  assert.deepEqual(await read({ ...short, errorMessages: null }, '/r'), {});
  for (const result of [undefined, null, short, 'Complete', { validationStatus: 4 }]) {
    assert.deepEqual(await read(result, '/r{?projection}'), { Core: ['linked'] });
  }
  assert.deepEqual(await read(short), {});
  assert.equal(await read(undefined), undefined);
  assert.equal(await read(null), undefined);
  await fails(read('Complete'), {
    name: 'UsiDataError',
    message:
      "USI answered the validation result of sample 'IMAGEA000000001' in an unknown shape: as a whole: Invalid input: expected object, received string",
  });
});

test('names that every object has are names like others', async () => {
  const errors =
    '{"constructor": ["a"], "toString": ["b"], "hasOwnProperty": null, "__proto__": ["c"]}';
  const result = `{"validationStatus": "valueOf", "errorMessages": ${errors}, "__proto__": {"polluted": 1}}`;
  const page: unknown = JSON.parse(
    `{"__proto__": {"_links": {"next": {"href": "/evil"}}}, "constructor": {"prototype": {"polluted": 1}},
      "_embedded": {"constructor": [], "validationResults": [${result}]}}`,
  );
  const read = await collect(answerWith({ '/results': page }).validationResults(X));
  assert.deepEqual(read, [
    {
      validationStatus: 'valueOf',
      errorMessages: { constructor: ['a'], toString: ['b'], hasOwnProperty: [] },
      overallValidationOutcomeByAuthor: {},
    },
  ]);
  assert.equal(Reflect.get({}, 'polluted'), undefined);
  assert.deepEqual(asked(), ['GET /results']);
});

test('characters that PostgreSQL cannot store are replaced', async () => {
  const result: unknown = JSON.parse(
    String.raw`{"validationStatus": "\u0000Complete", "errorMessages": {"En\ud800a": ["a\u0000b", "\udc00 \ud83d\ude00"]}}`,
  );
  const page = { _embedded: { validationResults: [result] } };
  assert.deepEqual(await collect(answerWith({ '/results': page }).validationResults(X)), [
    {
      validationStatus: '\uFFFDComplete',
      errorMessages: { 'En\uFFFDa': ['a\uFFFDb', '\uFFFD \u{1F600}'] },
      overallValidationOutcomeByAuthor: {},
    },
  ]);
});

test('the next page is followed to the last', async () => {
  const next = (href: string) => ({ _links: { next: { href, templated: true } } });
  const page = (alias: string) => ({ _embedded: { samples: [{ alias }] } });
  const usi = answerWith({
    [SAMPLES]: { ...page('a'), ...next(`${server.url}${SAMPLES}?page=1{&size,sort}`) },
    [`${SAMPLES}?page=1`]: next(`${SAMPLES}?page=2`),
    [`${SAMPLES}?page=2`]: { ...page('b'), ...next('/elsewhere') },
    '/elsewhere': page('c'),
  });
  const aliases = (await collect(usi.samples(X))).map(({ alias }) => alias);
  assert.deepEqual(aliases, ['a', 'b', 'c']);
});

test('pages that lead back are a data error at once', async () => {
  const next = (href: string) => ({ _links: { next: { href } } });
  const what = "USI answered the samples of submission 'x'";
  await fails(collect(answerWith({ [SAMPLES]: next(SAMPLES) }).samples(X)), {
    name: 'UsiDataError',
    message: `${what}: page 1 leads back to an earlier one`,
  });
  assert.equal(asked().length, 1);
  const circle = { [SAMPLES]: next('/2'), '/2': next('/3'), '/3': next('/2') };
  await fails(collect(answerWith(circle).samples(X)), {
    name: 'UsiDataError',
    message: `${what}: page 3 leads back to an earlier one`,
  });
});

test('pages without end are a data error', async () => {
  const last = { _embedded: { samples: [{ alias: 'last' }] } };
  const next = (page: number) => ({ _links: { next: { href: `/${page}` } } });
  const pages = { [SAMPLES]: next(2), '/2': next(3), '/3': next(4), '/4': next(5), '/5': last };
  await fails(collect(answerWith(pages).samples(X)), {
    name: 'UsiDataError',
    message: "USI answered the samples of submission 'x': expected at most 4 pages, got more",
  });
  assert.equal(asked().length, MAX_PAGES);
  assert.equal((await collect(answerWith({ ...pages, '/4': last }).samples(X))).length, 1);
});

test('a name never leaves its place in the path', async () => {
  const names: Record<string, string> = {
    'a/b': 'a%2Fb',
    '../../auth': '..%2F..%2Fauth',
    '..\\..\\auth': '..%5C..%5Cauth',
    '%2e%2e': '%252e%252e',
    '%2E.': '%252E.',
    '...': '...',
    'a b': 'a%20b',
    '100%': '100%25',
    'x?projection#top': 'x%3Fprojection%23top',
    'x{?projection}': 'x%7B%3Fprojection%7D',
    'x;v=1,2': 'x%3Bv%3D1%2C2',
    '//elsewhere.example': '%2F%2Felsewhere.example',
    'http://elsewhere.example': 'http%3A%2F%2Felsewhere.example',
    'x\r\nHost: elsewhere': 'x%0D%0AHost%3A%20elsewhere',
    Größe: 'Gr%C3%B6%C3%9Fe',
  };
  for (const [name, inPath] of Object.entries(names)) {
    world.reset();
    await fails(world.connect().submission(name), {
      name: 'UnknownSubmissionError',
      message: `USI knows no submission '${name}'`,
      httpStatus: 404,
    });
    assert.deepEqual(asked(), [`GET /api/submissions/${inPath}`]);
  }
  for (const name of ['', '.', '..', 'half \uD800']) {
    world.reset();
    await fails(world.connect().submission(name), {
      name: 'UsiDataError',
      message: `'${name}' cannot be the name of a submission at USI`,
      httpStatus: undefined,
    });
    assert.deepEqual(world.lines(), []);
  }
});

test("a submission with an odd name is followed over all the project's own server's links", async () => {
  for (const name of ['a/b c?d#e%2F&f=g+{h}', '100%', '..%2f']) {
    const samples = [1, 2, 3].map((id) => ({
      alias: `IMAGEA00000000${id}`,
      title: `animal ${id}`,
      taxonId: 9913,
      taxon: 'Bos taurus',
    }));
    server.addSubmission({ name, samples });
    const usi = world.connect();
    const draft = await usi.submission(name);
    assert.equal((await collect(usi.validationResults(draft))).length, 3);
    assert.equal(await usi.finalize(draft), true);
    for (const status of ['Submitted', 'Processing', 'Completed']) {
      assert.equal((await usi.submission(name)).status, status);
    }
    const results = [];
    for await (const sample of usi.samples(draft)) results.push(await usi.validationResult(sample));
    assert.deepEqual(
      results.map((result) => result?.validationStatus),
      Array(3).fill('Complete'),
    );
  }
});

test("the project's own server knows no name that does not decode", async () => {
  const href = '/api/submissionStatuses/100%';
  world.answerAt('/submissions/x', sendJson({ _links: { submissionStatus: { href } } }));
  await fails(world.connect().submission('x'), {
    name: 'UsiDataError',
    message: `GET ${server.url}${href}: USI refused it with status 404`,
    httpStatus: 404,
  });
});
