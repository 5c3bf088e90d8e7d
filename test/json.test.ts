import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentsError } from 'sedano';
import { toJson, toJsonArguments } from '../src/json.ts';

const HINT = 'Pass strings, finite numbers, booleans, null, arrays and plain objects.';

function refused(value: unknown): string {
  try {
    toJson(value, 'argument 1');
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentsError);
    assert.equal(error.hint, HINT);
    return error.message;
  }
  throw new Error('not refused');
}

test('keeps JSON as it is', () => {
  const value = { a: [1, 'two', true, null, { b: -0.5 }], c: {} };
  assert.deepEqual(toJson(value, 'argument 1'), value);
});

test('drops undefined members and makes undefined null', () => {
  assert.deepEqual(toJson({ a: undefined, b: 1 }, 'argument 1'), { b: 1 });
  assert.equal(toJson(undefined, 'argument 1'), null);
  assert.deepEqual(toJson([undefined], 'argument 1'), [null]);
});

test('takes an object without a prototype', () => {
  assert.deepEqual(toJson(Object.assign(Object.create(null), { a: 1 }), 'argument 1'), { a: 1 });
});

const cycle: unknown[] = [];
cycle.push({ again: cycle });
const cases: [string, unknown, string][] = [
  ['a BigInt', { a: [1n] }, 'argument 1, at a[0]: expected JSON, got a BigInt'],
  ['NaN', NaN, 'argument 1: expected JSON, got NaN'],
  ['Infinity', [-Infinity], 'argument 1, at [0]: expected JSON, got -Infinity'],
  ['a Date', { on: new Date(0) }, 'argument 1, at on: expected JSON, got an instance of Date'],
  ['a Map', new Map(), 'argument 1: expected JSON, got an instance of Map'],
  ['a Set', new Set(), 'argument 1: expected JSON, got an instance of Set'],
  [
    'a class instance',
    new (class Animal {
      name = 'Ada';
    })(),
    'argument 1: expected JSON, got an instance of Animal',
  ],
  ['a function', { f: () => 1 }, 'argument 1, at f: expected JSON, got a function'],
  ['a symbol', Symbol('s'), 'argument 1: expected JSON, got a symbol'],
  ['a cycle', cycle, 'argument 1, at [0].again: expected JSON, got a cycle'],
  [
    'a key __proto__',
    JSON.parse('{"a":{"__proto__":1}}'),
    "argument 1, at a: expected JSON, got a key '__proto__'",
  ],
];
for (const [name, value, message] of cases) {
  test(`refuses ${name} with its path`, () => assert.equal(refused(value), message));
}

test('refuses more than 64 levels', () => {
  let deep: unknown = 1;
  for (let level = 0; level < 65; level++) deep = [deep];
  assert.equal(
    refused(deep),
    `argument 1, at ${'[0]'.repeat(64)}: expected JSON, got more than 64 levels`,
  );
});

test('refuses more than 2 MB, all arguments together', () => {
  const half = 'x'.repeat(1_100_000);
  assert.equal(toJson(half, 'argument 1'), half);
  assert.throws(() => toJsonArguments([half, half], "task 'add'"), {
    name: 'InvalidArgumentsError',
    message: "arguments of task 'add': expected at most 2 MB of JSON, got 2200007 bytes",
    hint: 'Store the data yourself and pass a reference to it.',
  });
});

test('names the argument that is not JSON', () => {
  assert.throws(() => toJsonArguments([1, { when: new Date(0) }], "task 'add'"), {
    message: "argument 2 of task 'add', at when: expected JSON, got an instance of Date",
  });
});

test('takes the same object twice, which is no cycle', () => {
  const shared = { a: 1 };
  assert.deepEqual(toJson([shared, shared], 'argument 1'), [shared, shared]);
});
