// Makes docs/api.md of the package's exports and their doc comments: npm run docs
// With --check it writes nothing and fails when the page is not what the sources say. Both fail, naming each, when an
// export, a public member or an option has no doc comment.
//
// The compiler's own API reads src/, so nothing has to be built. It is new and may still change; only scripts/api-docs/ uses it.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { API } from 'typescript/unstable/sync';
import { renderPage } from './api-docs/page.ts';
import { Reader } from './api-docs/reader.ts';

const PAGE = 'docs/api.md';

async function main(root: string): Promise<void> {
  const { page, problems } = await describePackage(root);
  const path = join(root, PAGE);
  if (!process.argv.includes('--check')) await writeFile(path, page);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== page) {
    problems.push(`${PAGE} is not what the sources say: run npm run docs`);
  }
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

async function describePackage(root: string): Promise<{ page: string; problems: string[] }> {
  const api = new API({ cwd: root });
  try {
    const config = join(root, 'tsconfig.build.json');
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (!project) throw new Error(`${config}: expected a project of TypeScript`);
    const reader = new Reader(project);
    const page = renderPage(reader.read(await entryPoints(root)));
    const style = await resolveConfig(join(root, PAGE));
    return {
      page: await format(page, { ...style, parser: 'markdown' }),
      problems: reader.problems,
    };
  } finally {
    api.close();
  }
}

/** The source file of each entry of the package, by what users import. */
async function entryPoints(root: string): Promise<Map<string, string>> {
  const manifest: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { name, exports } = manifest as {
    name: string;
    exports: Record<string, { 'sedano-source'?: string }>;
  };
  const files = new Map<string, string>();
  for (const [path, { 'sedano-source': source }] of Object.entries(exports)) {
    if (source !== undefined) files.set(path.replace('.', name), join(root, source));
  }
  return files;
}

await main(process.cwd());
