import { Client } from 'pg';

/**
 * What the sections write to: a table that takes no write of a fence smaller than the last one. It knows nothing of
 * locks, so it tells whether their fences are any good.
 */
export class Ledger implements AsyncDisposable {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<Ledger> {
    const client = new Client({ connectionString: url });
    // told by the query that fails
    client.on('error', () => {});
    await client.connect();
    return new Ledger(client);
  }

  async create(): Promise<void> {
    await this.#client.query(`
      CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL, fence numeric NOT NULL);
      INSERT INTO account VALUES (1, 0, 0);
      CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY, fence numeric NOT NULL);
    `);
  }

  /** @returns whether it was taken */
  async write(fence: string): Promise<boolean> {
    // the row's lock puts the entries in the order of the updates
    const { rowCount } = await this.#client.query(
      `WITH written AS (
         UPDATE account SET balance = balance + 1, fence = $1 WHERE id = 1 AND fence <= $1 RETURNING fence
       )
       INSERT INTO entry (fence) SELECT fence FROM written`,
      [fence],
    );
    return rowCount === 1;
  }

  /** The fences of all writes that were taken, in their order. */
  async fences(): Promise<bigint[]> {
    const { rows } = await this.#client.query<{ fence: string }>(
      'SELECT fence FROM entry ORDER BY id',
    );
    return rows.map(({ fence }) => BigInt(fence));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}
