/** The files of a new project, by path: an app, one task and one routine. */
export function starterFiles(appName: string): Record<string, string> {
  return { 'app.ts': appModule(appName), 'tasks/hello.ts': TASK_MODULE };
}

function appModule(name: string): string {
  return `import { crontab, Sedano } from 'sedano';

export const app = new Sedano(${quoted(name)});

// imported when a worker or a command starts, not now: the modules in it import this one
app.autodiscoverTasks(new URL('./tasks/', import.meta.url));

// a worker creates those that Temporal does not have yet; edits in its Web UI are not overwritten
app.routines({
  'hello-every-minute': { task: 'hello', schedule: crontab({ minute: '*' }), args: ['World'] },
});
`;
}

/** As a text in TypeScript. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

const TASK_MODULE = `import { getTaskLogger } from 'sedano';
import { app } from '../app.ts';

const logger = getTaskLogger('hello');

// hello.run('Ada') runs it in this process; hello.delay('Ada') has a worker run it and returns at once
export const hello = app.task(
  { name: 'hello', description: 'Greets someone' },
  async (whom: string) => {
    logger.info(\`Hello, \${whom}!\`);
    return \`Hello, \${whom}!\`;
  },
);
`;

/** For a project that has none of its own. */
export const TSCONFIG = `{
  "compilerOptions": {
    "module": "nodenext",
    "target": "es2023",
    "lib": ["es2023"],
    "types": ["node"],
    "strict": true,
    "noEmit": true,
    "allowImportingTsExtensions": true,
    // Temporal's types need it. Leave experimentalDecorators out: @exclusiveTask is a standard decorator
    "skipLibCheck": true
  }
}
`;
