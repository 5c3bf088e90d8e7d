import { lstatSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { resolveAppOptions } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { installCommand, installPackages } from './npm-install.ts';
import { print } from './output.ts';
import { planPackage, type Obstacle } from './package-json.ts';
import { missingOptions, starterFiles, TSCONFIG } from './starter.ts';

interface InitOptions {
  name?: string;
  skipInstall?: boolean;
}

/** `sedano init [FOLDER]` */
export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description('write an app with one task and one routine, and install what it needs')
    .argument('[folder]', 'where; created if absent (default: this folder)')
    .option('-n, --name <app>', "the app's name (default: the folder's)", appName)
    .option('--skip-install', 'write only')
    .option('--debug', 'print the stack of an error')
    .action(init);
}

function appName(text: string): string {
  try {
    resolveAppOptions(text, {});
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

async function init(folder: string | undefined, options: InitOptions): Promise<void> {
  const root = resolve(folder ?? '');
  const plan = planProject(root, options.name ?? nameOf(root));
  if (plan.obstacles.length > 0) throw refusal(root, plan.obstacles);
  for (const file of plan.files) await write(root, file);
  if (plan.lacking.length > 0) {
    print(`Kept     ${TSCONFIG_PATH}; to check app.ts it needs ${plan.lacking.join(', ')}`);
  }
  const enter = root === process.cwd() ? [] : [`cd ${shellWord(relative(process.cwd(), root))}`];
  const install = plan.missing.length > 0 ? [installCommand()] : [];
  if (options.skipInstall || install.length === 0) return printNext([...enter, ...install]);
  const again = [...enter, ...install].join(' && ');
  await installPackages({ folder: root, missing: plan.missing, again });
  printNext(enter);
}

/** The folder's name, as far as an app may have it. */
function nameOf(root: string): string {
  const printable = basename(root).replaceAll(/\p{C}/gu, '');
  return /^.{0,100}/su.exec(printable)?.[0].trim() || 'app';
}

/** As one word of a POSIX shell, which is no option either. */
function shellWord(path: string): string {
  const named = path.startsWith('-') ? `./${path}` : path;
  return `'${named.replaceAll("'", String.raw`'\''`)}'`;
}

const TSCONFIG_PATH = 'tsconfig.json';

interface Project {
  files: PlannedFile[];
  /** Packages that are not installed. */
  missing: string[];
  /** What the project's own tsconfig.json lacks. */
  lacking: string[];
  obstacles: Obstacle[];
}

interface PlannedFile {
  path: string;
  text: string;
  /** What is added to a file that exists; absent for a new one. */
  added?: string[];
}

/** Everything is looked at before anything is written. */
function planProject(root: string, name: string): Project {
  // from the top: below a file nothing can be looked at
  const other = [...upward(root).toReversed(), join(root, 'tasks')].find(isNoFolder);
  if (other !== undefined) {
    const obstacle = { what: `${shown(other)} is not a folder`, hint: ELSEWHERE };
    return { files: [], missing: [], lacking: [], obstacles: [obstacle] };
  }
  const { missing, obstacles, ...manifest } = planPackage(root);
  const starter = Object.entries(starterFiles(name)).map(([path, text]) => ({ path, text }));
  const taken = starter.filter(({ path }) => isThere(root, path));
  return {
    // those that exist first: they may be read-only
    files: [
      ...changes(root, { path: 'package.json', ...manifest }),
      ...changes(root, planIgnore(root)),
      ...starter,
      ...(isThere(root, TSCONFIG_PATH) ? [] : [{ path: TSCONFIG_PATH, text: TSCONFIG }]),
    ],
    missing,
    lacking: missingOptions(textOf(join(root, TSCONFIG_PATH)) ?? TSCONFIG),
    obstacles: [
      ...taken.map(({ path }) => ({ what: `${path} exists`, hint: ELSEWHERE })),
      ...obstacles,
    ],
  };
}

const ELSEWHERE = 'Name another folder: sedano init FOLDER.';

/** The folder and all it lies in. */
function upward(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...upward(above)];
}

function isNoFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

/** Also a link that leads nowhere. */
function isThere(root: string, path: string): boolean {
  return lstatSync(join(root, path), { throwIfNoEntry: false }) !== undefined;
}

/** Undefined where there is none to read. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** The file, new or changed; none when nothing is added to it. */
function changes(root: string, file: Required<PlannedFile>): PlannedFile[] {
  if (!isThere(root, file.path)) return [{ path: file.path, text: file.text }];
  return file.added.length === 0 ? [] : [file];
}

const IGNORED = ['node_modules/', '.sedano/'];

function planIgnore(root: string): Required<PlannedFile> {
  const path = '.gitignore';
  const before = isThere(root, path) ? readFileSync(join(root, path), 'utf8') : '';
  const ignored = before.split('\n').map(withoutSlashes);
  const added = IGNORED.filter((line) => !ignored.includes(withoutSlashes(line)));
  const start = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  return { path, added, text: start + added.map((line) => `${line}\n`).join('') };
}

function withoutSlashes(line: string): string {
  return line.trim().replaceAll(/^\/|\/$/g, '');
}

function refusal(root: string, obstacles: Obstacle[]): ConfigError {
  const hints = new Set(obstacles.map(({ hint }) => hint));
  return new ConfigError(
    `${shown(root)} cannot become a project: ${obstacles.map(({ what }) => what).join('; ')}`,
    { hint: `Nothing was written. ${[...hints].join(' ')}` },
  );
}

function shown(path: string): string {
  return relative(process.cwd(), path) || 'this folder';
}

async function write(root: string, { path, text, added }: PlannedFile): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  // a new file never takes the place of one that has come meanwhile
  await writeFile(file, text, { flag: added ? 'w' : 'wx' });
  print(added ? `Changed  ${path}: ${added.join(', ')}` : `Wrote    ${path}`);
}

function printNext(first: string[]): void {
  print(`
Start it:
${[...first, 'npx sedano dev'].map((line) => `  ${line}`).join('\n')}
and call the task in another terminal, in the same folder:
  npx sedano call hello '"Ada"' --wait`);
}
