import { InvalidArgumentsError } from './errors.ts';

/** What arguments and results are made of; at most 2 MB and 64 levels deep. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

type NotJson = bigint | symbol | ((...args: never[]) => unknown) | Date | RegExp | Error;
type Collection = ReadonlyMap<never, unknown> | ReadonlySet<unknown> | ArrayBufferView;

/**
 * `T` where it is JSON all through, `never` at each place where it is not, so that
 * `T extends Jsonable<T>` tells. Works for interfaces, which a plain index signature refuses.
 */
export type Jsonable<T> = unknown extends T
  ? T
  : T extends NotJson | Collection
    ? never
    : T extends object
      ? { [Key in keyof T]: Jsonable<T[Key]> }
      : T;

/** Temporal refuses a larger payload (`limit.blobSize.error`, 2 MB by default). */
const MAX_BYTES = 2_000_000;
// deeper values overflow the stack of some JSON readers
const MAX_DEPTH = 64;

/**
 * `value` as Temporal will carry it: undefined members dropped, undefined itself `null`.
 *
 * @param where names the value in the error, for example `"argument 1 of task 'add'"`.
 * @throws {InvalidArgumentsError} with the path of what JSON cannot hold, or with the size above 2 MB.
 */
export function toJson(value: unknown, where: string): Json {
  const json = copy(value, where, '', []);
  const bytes = Buffer.byteLength(JSON.stringify(json));
  if (bytes > MAX_BYTES) {
    throw new InvalidArgumentsError(`${where}: expected at most 2 MB of JSON, got ${bytes} bytes`, {
      hint: 'Store the data yourself and pass a reference to it.',
    });
  }
  return json;
}

/**
 * The arguments of a call as JSON. `of` names whose they are in the error, for example `"task 'add'"`.
 *
 * @throws {InvalidArgumentsError} as {@link toJson}; the limit holds for all arguments together.
 */
export function toJsonArguments(args: readonly unknown[], of: string): Json[] {
  const json = args.map((arg, index) => copy(arg, `argument ${index + 1} of ${of}`, '', []));
  toJson(json, `arguments of ${of}`);
  return json;
}

function copy(value: unknown, where: string, path: string, ancestors: object[]): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      break;
    case 'undefined':
      return null;
    case 'object':
      if (value === null) return null;
      if (ancestors.includes(value)) throw refusal(where, path, 'a cycle');
      if (ancestors.length >= MAX_DEPTH)
        throw refusal(where, path, `more than ${MAX_DEPTH} levels`);
      if (Array.isArray(value)) {
        return value.map((item, index) =>
          copy(item, where, `${path}[${index}]`, [...ancestors, value]),
        );
      }
      if (isPlainObject(value)) return copyObject(value, where, path, [...ancestors, value]);
      break;
    default:
  }
  throw refusal(where, path, describe(value));
}

function copyObject(value: object, where: string, path: string, ancestors: object[]): Json {
  const json: { [key: string]: Json } = {};
  for (const [key, member] of Object.entries(value)) {
    // JSON.parse keeps it as an own key; whoever merges the value later would change a prototype
    if (key === '__proto__') throw refusal(where, path, "a key '__proto__'");
    if (member !== undefined) json[key] = copy(member, where, `${path}.${key}`, ancestors);
  }
  return json;
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // by the constructor's name, so that objects of another realm pass
  return (
    prototype === null || (Object.getPrototypeOf(prototype) === null && 'hasOwnProperty' in value)
  );
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') return 'a BigInt';
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const { constructor } = value;
  return `an instance of ${typeof constructor === 'function' ? constructor.name : 'a class'}`;
}

function refusal(where: string, path: string, got: string): InvalidArgumentsError {
  return new InvalidArgumentsError(
    `${where}${path === '' ? '' : `, at ${path.replace(/^\./, '')}`}: expected JSON, got ${got}`,
    { hint: 'Pass strings, finite numbers, booleans, null, arrays and plain objects.' },
  );
}
