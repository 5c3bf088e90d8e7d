import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { text as readText } from 'node:stream/consumers';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { UsiClientOptions, UsiSubmission } from '../injecttool/usi/index.ts';
import {
  fails,
  openRawServer,
  openUsiWorld,
  type RawServer,
  type UsiWorld,
} from './fixtures/injecttool-usi.ts';

const SHORT_MS = 300;
const MAX_BYTES = 20_000;
const DOCUMENT = JSON.stringify({ submissionStatus: 'Draft', _links: {} });
const HTML = '<html><h1>Sorry</h1></html>';

let world: UsiWorld;
/** Stands where USI's API is; the tokens come from the project's own server. */
let usi: RawServer;
before(async () => {
  world = await openUsiWorld();
  usi = await openRawServer();
});
after(async () => {
  await usi.close();
  await world.close();
});
beforeEach(() => world.reset());

const connect = (options: Partial<UsiClientOptions> = {}) =>
  world.connect({ url: usi.url, ...options });

const askedFor = (method = 'GET', path = '/api/submissions/x') => `${method} ${usi.url}${path}`;

function head(status: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status}`, ...lines, '', ''].join('\r\n');
}

function whole(status: string, type: string, body: string): string {
  return `${head(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })}${body}`;
}

/** Sends `piece` again and again until the client has had enough. */
function trickle(socket: Socket, piece: string): void {
  const timer = setInterval(() => socket.write(piece), SHORT_MS / 20);
  socket.once('close', () => clearInterval(timer));
}

const json = { 'Content-Type': 'application/hal+json' };
const chunked = { ...json, 'Transfer-Encoding': 'chunked' };

const BROKEN: Record<string, { treat: (socket: Socket) => void; reason: string }> = {
  'is reset before anything is answered': {
    treat: (socket) => socket.resetAndDestroy(),
    reason: 'no connection (ECONNRESET)',
  },
  'is closed before anything is answered': {
    treat: (socket) => socket.destroy(),
    reason: 'no connection (UND_ERR_SOCKET)',
  },
  'is half closed before anything is answered': {
    treat: (socket) => socket.end(),
    reason: 'no connection (UND_ERR_SOCKET)',
  },
  'is closed within the headers': {
    treat: (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Type: appli'),
    reason: 'no connection (UND_ERR_SOCKET)',
  },
  'brings something else than HTTP': {
    treat: (socket) => socket.end('220 mail.example ESMTP, Basic eyJhbGciOi\r\n'),
    reason: 'no connection (HPE_INVALID_CONSTANT)',
  },
  'brings two lengths': {
    treat: (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\neyJ'),
    reason: 'no connection (HPE_UNEXPECTED_CONTENT_LENGTH)',
  },
  'is closed half-way through a body': {
    treat: (socket) =>
      socket.end(`${head('200 OK', { ...json, 'Content-Length': 5_000 })}${DOCUMENT}`),
    reason: 'the answer broke off (UND_ERR_SOCKET)',
  },
  'is closed after a chunk': {
    treat: (socket) => socket.end(`${head('200 OK', chunked)}5\r\n{"a":\r\n`),
    reason: 'the answer broke off (UND_ERR_SOCKET)',
  },
  'is closed within a chunk': {
    treat: (socket) => socket.end(`${head('200 OK', chunked)}ff\r\n${DOCUMENT}`),
    reason: 'the answer broke off (UND_ERR_SOCKET)',
  },
  'brings a chunk without a length': {
    treat: (socket) => socket.write(`${head('200 OK', chunked)}none\r\n`),
    reason: 'the answer broke off (HPE_INVALID_CHUNK_SIZE)',
  },
  'brings a compressed body that is none': {
    treat: (socket) =>
      socket.write(
        `${head('200 OK', { ...json, 'Content-Encoding': 'gzip', 'Content-Length': 5 })}hello`,
      ),
    reason: 'the answer broke off (Z_DATA_ERROR)',
  },
  'is closed within JSON that has no length': {
    treat: (socket) => socket.end(`${head('200 OK', json)}${DOCUMENT.slice(0, 9)}`),
    reason: 'the answer broke off (no complete JSON)',
  },
};

for (const [what, { treat, reason }] of Object.entries(BROKEN)) {
  test(`a connection that ${what} is a connection error`, async () => {
    usi.treat = treat;
    await fails(connect().submission('x'), {
      name: 'UsiConnectionError',
      message: `${askedFor()}: ${reason}`,
    });
  });
}

test('a server that is away is a connection error', async () => {
  const gone = await openRawServer();
  await gone.close();
  await fails(connect({ authUrl: gone.url }).submission('x'), {
    name: 'UsiConnectionError',
    message: `GET ${gone.url}/auth: no connection (ECONNREFUSED)`,
  });
});

const SLOW: Record<string, (socket: Socket) => void> = {
  'that never comes': () => {},
  'whose headers never end': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    trickle(socket, 'X: y\r\n');
  },
  'that is announced for ever': (socket) => trickle(socket, head('103 Early Hints')),
  'whose body never begins': (socket) =>
    void socket.write(head('200 OK', { ...json, 'Content-Length': 50 })),
  'whose body trickles': (socket) => {
    socket.write(head('200 OK', { ...json, 'Content-Length': 5_000 }));
    trickle(socket, 'x');
  },
  'whose chunks trickle': (socket) => {
    socket.write(head('200 OK', chunked));
    trickle(socket, '1\r\nx\r\n');
  },
};

for (const [what, treat] of Object.entries(SLOW)) {
  test(`an answer ${what} is a connection error, and its connection is given up`, async () => {
    usi.treat = treat;
    await fails(connect({ timeoutMs: SHORT_MS }).submission('x'), {
      name: 'UsiConnectionError',
      message: `${askedFor()}: no complete answer within 0.3 s`,
    });
    await usi.closed();
  });
}

/** Error pages as proxies make them, whose status must count however their body goes on. */
const PAGES: Record<string, (socket: Socket, status: string) => void> = {
  'an HTML page': (socket, status) => void socket.write(whole(status, 'text/html', HTML)),
  'no page': (socket, status) => void socket.write(head(status, { 'Content-Length': 0 })),
  'a page that is too large': (socket, status) =>
    void socket.write(whole(status, 'text/html', 'x'.repeat(MAX_BYTES * 10))),
  'a page that is cut off': (socket, status) =>
    socket.end(`${head(status, { 'Content-Length': 5_000 })}${HTML}`),
  'a page that never ends': (socket, status) => {
    socket.write(head(status, { 'Content-Length': 5_000 }));
    trickle(socket, 'x');
  },
};

for (const [what, send] of Object.entries(PAGES)) {
  test(`${what} with 5xx is a connection error, with 4xx a data error`, async () => {
    const ask = (status: string) => {
      usi.treat = (socket) => send(socket, status);
      return connect({ maxBytes: MAX_BYTES }).submission('x');
    };
    for (const status of [500, 502, 503, 504]) {
      await fails(ask(`${status} Failed`), {
        name: 'UsiConnectionError',
        message: `${askedFor()}: the server failed with ${status}`,
      });
    }
    // also "try later" and "too slow": injecttool.md counts every 4xx among the refusals
    for (const status of [400, 403, 405, 408, 409, 410, 429]) {
      await fails(ask(`${status} Refused`), {
        name: 'UsiDataError',
        message: `${askedFor()}: USI refused it with status ${status}`,
        httpStatus: status,
      });
    }
    await fails(ask('404 Not Found'), {
      name: 'UnknownSubmissionError',
      message: "USI knows no submission 'x'",
      httpStatus: 404,
    });
  });
}

const NOT_JSON: Record<string, [answer: string, got: string]> = {
  'an HTML page': [whole('200 OK', 'text/html; charset=utf-8', HTML), '27 characters of text/html'],
  'an HTML page without a length': [
    `${head('200 OK', { 'Content-Type': 'text/html', Connection: 'close' })}${HTML}`,
    '27 characters of text/html',
  ],
  'an HTML page that calls itself JSON': [
    whole('200 OK', 'application/hal+json', HTML),
    '27 characters of application/hal+json',
  ],
  'an empty page': [whole('200 OK', 'application/json', ''), '0 characters of application/json'],
  'half of a document with a right length': [
    whole('200 OK', 'application/json', DOCUMENT.slice(0, 9)),
    '9 characters of application/json',
  ],
  'a type that repeats what was sent': [
    whole('200 OK', 'Bearer eyJhbGciOi', HTML),
    '27 characters of no content type',
  ],
  'no content': [head('204 No Content'), '0 characters of no content type'],
};

for (const [what, [answer, got]] of Object.entries(NOT_JSON)) {
  test(`${what} with status 200 is a data error`, async () => {
    usi.treat = (socket) =>
      answer.includes('Connection: close') ? socket.end(answer) : socket.write(answer);
    await fails(connect().submission('x'), {
      name: 'UsiDataError',
      message: `${askedFor()}: expected JSON, got ${got}`,
    });
  });
}

const gzip = gzipSync(Buffer.alloc(20_000_000));
const LARGE: Record<string, { encoding?: string; body: Buffer }> = {
  'as it is': { body: Buffer.alloc(MAX_BYTES + 1, ' ') },
  'once it is unpacked with gzip': { encoding: 'gzip', body: gzip },
  'once it is unpacked with Brotli': {
    encoding: 'br',
    body: brotliCompressSync(Buffer.alloc(20_000_000), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    }),
  },
  'once it is unpacked twice': { encoding: 'gzip, gzip', body: gzipSync(gzip) },
};

for (const [what, { encoding, body }] of Object.entries(LARGE)) {
  for (const ends of ['a length', 'chunks']) {
    test(`an answer that is too large ${what}, sent with ${ends}, is a data error`, async () => {
      const coded = encoding === undefined ? json : { ...json, 'Content-Encoding': encoding };
      usi.treat = (socket) => {
        if (ends === 'a length') {
          socket.write(head('200 OK', { ...coded, 'Content-Length': body.length }));
          socket.write(body);
        } else {
          socket.write(head('200 OK', { ...coded, 'Transfer-Encoding': 'chunked' }));
          socket.write(`${body.length.toString(16)}\r\n`);
          socket.write(body);
          socket.write('\r\n0\r\n\r\n');
        }
      };
      await fails(connect({ maxBytes: MAX_BYTES }).submission('x'), {
        name: 'UsiDataError',
        message: `${askedFor()}: expected an answer of at most 20000 bytes, got more`,
      });
    });
  }
}

test('an answer that would never end is a data error, and its connection is given up', async () => {
  const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
  usi.treat = (socket) => {
    socket.write(head('200 OK', chunked));
    const fill = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', fill);
    fill();
  };
  await fails(connect({ maxBytes: MAX_BYTES }).submission('x'), {
    name: 'UsiDataError',
    message: `${askedFor()}: expected an answer of at most 20000 bytes, got more`,
  });
  await usi.closed();
});

const GOOD: Record<string, (socket: Socket) => void> = {
  'in chunks of one byte': (socket) => {
    const chunks = DOCUMENT.split('').map((character) => `1\r\n${character}\r\n`);
    for (const piece of [head('200 OK', chunked), ...chunks, '0\r\n\r\n']) socket.write(piece);
  },
  compressed: (socket) => {
    const body = gzipSync(DOCUMENT);
    socket.write(
      head('200 OK', { ...json, 'Content-Encoding': 'gzip', 'Content-Length': body.length }),
    );
    socket.write(body);
  },
  'ended by a half-closed connection': (socket) =>
    socket.end(`${head('200 OK', { ...json, Connection: 'close' })}${DOCUMENT}`),
  'with a byte order mark': (socket) =>
    void socket.write(whole('200 OK', 'application/json', `\uFEFF${DOCUMENT}`)),
  'of exactly the largest size': (socket) =>
    void socket.write(whole('200 OK', 'application/json', DOCUMENT.padEnd(MAX_BYTES))),
};

for (const [what, treat] of Object.entries(GOOD)) {
  test(`an answer ${what} is read`, async () => {
    usi.treat = treat;
    const { status } = await connect({ maxBytes: MAX_BYTES }).submission('x');
    assert.equal(status, 'Draft');
  });
}

test('a caller that ends its side of the connection still gets its answer', async () => {
  const socket = createConnection(Number(new URL(world.server.url).port), '127.0.0.1');
  socket.end('GET /api/submissions/x HTTP/1.1\r\nHost: usi\r\nConnection: close\r\n\r\n');
  assert.match(await readText(socket), /^HTTP\/1\.1 401 Unauthorized\r\n/);
  if (!socket.closed) await once(socket, 'close');
});

/** USI offers to take the submission; what it does with the PUT is `treat`'s. */
function finalizeWith(treat: (socket: Socket) => void): Promise<boolean> {
  usi.treat = (socket) => {
    usi.treat = treat;
    const _embedded = { statusDescriptions: [{ statusName: 'Submitted' }] };
    socket.write(whole('200 OK', 'application/hal+json', JSON.stringify({ _embedded })));
  };
  const submission: UsiSubmission = {
    name: 'x',
    status: 'Draft',
    createdAt: undefined,
    modifiedAt: undefined,
    links: { self: '/api/submissions/x', status: '/status/x', validationResults: undefined },
  };
  return connect({ maxBytes: MAX_BYTES, timeoutMs: SHORT_MS * 10 }).finalize(submission);
}

test('whatever comes with the good status of a PUT does not matter', async () => {
  for (const answer of [
    whole('200 OK', 'text/html', HTML),
    whole('200 OK', 'application/json', 'x'.repeat(MAX_BYTES * 2)),
    `${head('200 OK', { 'Content-Length': 5_000 })}{`,
    head('204 No Content'),
  ]) {
    assert.equal(await finalizeWith((socket) => void socket.write(answer)), true);
  }
});

test('a PUT that is not answered is a connection error, one that is refused a data error', async () => {
  await fails(
    finalizeWith((socket) => socket.resetAndDestroy()),
    {
      name: 'UsiConnectionError',
      message: `${askedFor('PUT', '/status/x')}: no connection (ECONNRESET)`,
    },
  );
  await fails(
    finalizeWith((socket) => void socket.write(whole('503 Busy', 'text/html', HTML))),
    {
      name: 'UsiConnectionError',
      message: `${askedFor('PUT', '/status/x')}: the server failed with 503`,
    },
  );
  await fails(
    finalizeWith((socket) => void socket.write(whole('409 Conflict', 'text/html', HTML))),
    {
      name: 'UsiDataError',
      message: `${askedFor('PUT', '/status/x')}: USI refused it with status 409`,
      httpStatus: 409,
    },
  );
  await fails(
    finalizeWith((socket) => void socket.write(head('303 See Other', { Location: '/else' }))),
    {
      name: 'UsiDataError',
      message: `${askedFor('PUT', '/status/x')}: got a redirect, expected none`,
      httpStatus: undefined,
    },
  );
});
