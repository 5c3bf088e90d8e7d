import { testApplication } from './fixtures/injecttool-application.ts';

// on the embedded database; injecttool-tasks-postgres.test.ts does the same on PostgreSQL
await testApplication();
