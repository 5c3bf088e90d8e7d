// npm run trial-database: makes InjectTool's tables and some rows in the empty database that DATABASE_URL names, so that
// npm start can be tried on PostgreSQL.
import { SedanoError } from 'sedano';
import { projectHome } from 'sedano/dev';
import { openPostgres } from './database/postgres.ts';
import { createTrial } from './database/trial.ts';
import { readSettings } from './settings.ts';

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const { databaseUrl } = readSettings(process.env, projectHome());
    if (databaseUrl === undefined) {
      console.error('Error: DATABASE_URL is not set\nHint: npm start alone makes an embedded one.');
      return 2;
    }
    const database = openPostgres(databaseUrl);
    try {
      await createTrial(database);
    } finally {
      await database.close();
    }
    console.log('The tables are there, with some rows. Now: npm start');
    return 0;
  } catch (error) {
    const { message, hint } =
      error instanceof SedanoError ? error : { message: String(error), hint: undefined };
    console.error(`Error: ${message}${hint === undefined ? '' : `\nHint: ${hint}`}`);
    return 1;
  }
}
