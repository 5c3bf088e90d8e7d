import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option } from 'commander';
import { Sedano } from '../app.ts';
import { projectHome } from '../embedded/home.ts';
import { ConfigError, SedanoError } from '../errors.ts';

/** The option that all commands share. */
export function appOption(): Option {
  return new Option('-a, --app <module>', 'module that exports the app').env('SEDANO_APP');
}

/**
 * The path of the app's module: the option, else SEDANO_APP, else `sedano.app` in the nearest package.json upward.
 *
 * @throws {ConfigError} when none names a file.
 */
export function appPath(option: string | undefined): string {
  // an empty variable is one that is not set
  const path = option ? resolve(option) : packageApp();
  if (path === undefined) {
    throw new ConfigError(
      'no app: expected --app, SEDANO_APP, or "sedano": { "app": … } in package.json',
      { hint: 'For example: sedano worker --app app.ts' },
    );
  }
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new ConfigError(`app module ${shownPath(path)}: there is no such file`, {
      hint: 'Paths are relative to the working directory; those in package.json to its folder.',
    });
  }
  return path;
}

function packageApp(): string | undefined {
  // the project's data lies beside its package.json
  const folder = dirname(projectHome({}));
  const file = join(folder, 'package.json');
  if (!existsSync(file)) return undefined;
  const app = readSedanoApp(file);
  if (app === undefined) return undefined;
  if (typeof app === 'string' && app !== '') return resolve(folder, app);
  throw new ConfigError(
    `${shownPath(file)}: "sedano.app": expected the path of a module, got ${JSON.stringify(app)}`,
    { hint: 'For example: "sedano": { "app": "app.ts" }' },
  );
}

function readSedanoApp(file: string): unknown {
  try {
    const contents = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')) as {
      sedano?: { app?: unknown };
    } | null;
    return contents?.sedano?.app;
  } catch (error) {
    throw new ConfigError(`${shownPath(file)}: cannot be read as JSON`, {
      cause: error,
      hint: 'Mend it, or name the app with --app.',
    });
  }
}

function shownPath(path: string): string {
  return relative(process.cwd(), path);
}

/**
 * Imports the app and its task modules.
 *
 * @throws {ConfigError} when the module cannot be loaded, or does not export exactly one Sedano.
 */
export async function loadApp(option: string | undefined): Promise<Sedano> {
  const path = appPath(option);
  if (/\.[cm]?ts$/.test(path)) await registerTypeScript();
  const app = onlyApp(await importModule(path), shownPath(path));
  await app.loadTasks();
  return app;
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const what = error instanceof SedanoError ? error.message : `failed to load: ${String(error)}`;
    const hint =
      (error instanceof SedanoError && error.hint) ||
      'Run with --debug to see where it was thrown.';
    throw new ConfigError(`app module ${shownPath(path)}: ${what}`, { cause: error, hint });
  }
}

function onlyApp(module: Record<string, unknown>, name: string): Sedano {
  const apps = new Set(Object.values(module).filter((value) => value instanceof Sedano));
  const [app] = apps;
  if (app !== undefined && apps.size === 1) return app;
  const others = Object.values(module).some((value) => value?.constructor.name === Sedano.name);
  if (apps.size === 0 && others) {
    throw new ConfigError(`app module ${name}: its app was made by another copy of Sedano`, {
      hint: "Run the project's own command line: npx sedano",
    });
  }
  throw new ConfigError(`app module ${name}: expected one exported Sedano, got ${apps.size}`, {
    hint:
      apps.size === 0
        ? "Export it: export const app = new Sedano('name')"
        : 'Export one app from this module.',
  });
}

/** Node 20 does not read TypeScript, and no Node knows decorators: tsx does both. */
async function registerTypeScript(): Promise<void> {
  // from source this very file runs under tsx
  if (import.meta.url.endsWith('.ts')) return;
  try {
    const { register } = await import('tsx/esm/api');
    register();
  } catch (error) {
    throw new ConfigError('a TypeScript app needs tsx, which cannot be loaded', {
      cause: error,
      hint: 'Install it: npm install --save-dev tsx',
    });
  }
}
