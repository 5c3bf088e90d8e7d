import { Sedano } from 'sedano';
import { projectHome } from 'sedano/dev';
import { readSettings, routines } from './settings.ts';

export const settings = readSettings(process.env, projectHome());

export const app = new Sedano('injecttool', {
  timezone: settings.timeZone,
  mail: settings.mail,
});
app.autodiscoverTasks(new URL('./tasks/', import.meta.url));
app.routines(routines);
app.onWorkerStart(async () => {
  // imported here, because it reads the settings of this module
  const { checkDatabase } = await import('./resources.ts');
  await checkDatabase();
});
