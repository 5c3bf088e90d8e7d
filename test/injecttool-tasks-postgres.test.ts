import { after, test } from 'node:test';
import { openPostgres } from '../injecttool/database/postgres.ts';
import { seedRows } from '../injecttool/database/seed.ts';
import { testApplication } from './fixtures/injecttool-application.ts';
import { createPrivateSchema } from './fixtures/injecttool-private-schema.ts';

const { DATABASE_URL } = process.env;
if (DATABASE_URL) await testOn(DATABASE_URL);
else test('the application on PostgreSQL', { skip: 'DATABASE_URL is not set' });

async function testOn(url: string): Promise<void> {
  const schema = await createPrivateSchema(url);
  after(() => schema.drop());
  const database = openPostgres(schema.url);
  await database.transaction((tx) => seedRows(tx, new Date()));
  await database.close();
  await testApplication(schema.url);
}
