import { isSection, parseObject } from './package-json.ts';

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

/** Options that are on or off; any of those named does. */
const SWITCHES = [
  ['allowImportingTsExtensions', 'rewriteRelativeImportExtensions'],
  ['noEmit', 'emitDeclarationOnly', 'rewriteRelativeImportExtensions'],
  ['skipLibCheck'],
];

/**
 * What a project's own tsconfig.json lacks for app.ts to check. Nothing where its options lie in another file, or where
 * it is no JSON, which TypeScript says itself.
 */
export function missingOptions(tsconfig: string): string[] {
  const config = parseObject(withoutComments(tsconfig));
  if (config === undefined || 'extends' in config || 'references' in config) return [];
  const options = isSection(config['compilerOptions']) ? config['compilerOptions'] : {};
  const off = SWITCHES.filter((names) => !names.some((name) => options[name] === true));
  return [
    ...missingModule(lower(options['module']), lower(options['moduleResolution'])),
    ...off.map(([name]) => `"${name}": true`),
  ];
}

const NODE_MODULES = ['node16', 'node18', 'node20', 'nodenext'];
/** Those of the others that know import.meta. */
const BUNDLER_MODULES = ['es2020', 'es2022', 'esnext', 'preserve'];

/** Sedano is found by the `exports` of its package only. What TypeScript does where nothing is said depends on its version. */
function missingModule(module = '', resolution = ''): string[] {
  const asNode = ['', 'node16', 'nodenext'].includes(resolution);
  const asBundler = resolution === 'bundler' || (resolution === '' && module === 'preserve');
  if (asNode && NODE_MODULES.includes(module)) return [];
  if (asBundler && BUNDLER_MODULES.includes(module)) return [];
  return ['"module": "nodenext"', ...(asNode ? [] : ['"moduleResolution": "nodenext"'])];
}

function lower(value: unknown): string | undefined {
  return typeof value === 'string' ? value.toLowerCase() : undefined;
}

/** Without what TypeScript allows and JSON does not: comments, and a comma after the last. Texts stay as they are. */
function withoutComments(text: string): string {
  return text
    .replaceAll(/("(?:[^"\\\n]|\\.)*")|\/\/.*|\/\*[^]*?\*\//g, '$1')
    .replaceAll(/("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])/g, '$1');
}
