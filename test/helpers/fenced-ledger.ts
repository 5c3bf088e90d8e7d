import { Redis } from 'ioredis';

const WRITE = `
local last = redis.call('LINDEX', KEYS[1], -1)
if last and tonumber(last) > tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], 3600)
return 1
`;

/** A resource that takes no write with a smaller fence than the last one. It knows nothing of locks. */
export class FencedLedger implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #key: string;

  private constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  static open(name: string): FencedLedger {
    const redis = new Redis(process.env['REDIS_URL'] ?? 'redis://localhost:6379');
    return new FencedLedger(redis, `ledger:${name}`);
  }

  /** @returns whether it was taken */
  async write(fence: string): Promise<boolean> {
    return (await this.#redis.eval(WRITE, 1, this.#key, fence)) === 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis.quit();
  }
}
