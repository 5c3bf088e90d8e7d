import type { Command } from 'commander';
import type { Sedano } from '../../app.ts';
import { printable } from '../../logger.ts';
import { Redactor } from '../../redactor.ts';
import type { Definition } from '../../routines/definition.ts';
import type { Import, ImportedRoutine } from '../../routines/django/import.ts';
import { appOption, loadApp } from '../load-app.ts';
import { print, printJson, printTable } from '../output.ts';

interface ImportOptions {
  app?: string;
  fromDjango: string;
  apply: boolean;
  json?: boolean;
}

/** `sedano routines import --from-django URL` */
export function addImportCommand(routines: Command): void {
  routines
    .command('import')
    .description("create routines of django-celery-beat's tables; without --apply only show them")
    .requiredOption('--from-django <url>', "the Django project's PostgreSQL database")
    .option('--apply', 'create what is shown', false)
    .addOption(appOption())
    .option('--json', 'print JSON')
    .option('--debug', 'print the stack of an error')
    .action(runImport);
}

async function runImport(options: ImportOptions): Promise<void> {
  // loaded here: no other command needs it
  const { planImport, applyImport } = await import('../../routines/django/import.ts');
  await using app = await loadApp(options.app);
  const plan = await planImport(app, options.fromDjango);
  const done = options.apply ? await applyImport(app, plan) : plan;
  const shown = { ...done, routines: done.routines.map((routine) => redacted(app, routine)) };
  if (options.json) printJson(shown);
  else printImport(app, shown, options.apply);
}

/** Without what the task's `redact` names. */
function redacted(app: Sedano, routine: ImportedRoutine): ImportedRoutine {
  const { definition } = routine;
  const redact = app.registered(definition.task)?.task.redact ?? [];
  const redactor = new Redactor(redact, definition.args);
  const shown = {
    args: redactor.args as Definition['args'],
    description: redactor.text(definition.description),
  };
  return { ...routine, definition: { ...definition, ...shown } };
}

function printImport(app: Sedano, { routines, refused }: Import, isApplied: boolean): void {
  const created = routines.filter(({ state }) => state === (isApplied ? 'created' : 'absent'));
  const existing = routines.filter(({ state }) => state === 'exists');
  if (created.length > 0) {
    print(`${isApplied ? 'Created' : 'To be created'}:\n`);
    printTable(
      ['ROUTINE', 'TASK', 'WHEN', 'ZONE', 'ON', 'ARGUMENTS', 'ALSO'],
      created.map(({ name, definition }) => toCells(app, name, definition)),
    );
    print('\nHow they differ from what beat does:\n');
    printReasons('NOTE', [
      { name: '(all)', text: SKIPS },
      ...created.flatMap(({ name, notes }) => notes.map((text) => ({ name, text }))),
    ]);
  }
  if (existing.length > 0) {
    print('Exist already, and are left as they are:\n');
    for (const { name } of existing) print(`  ${oneLine(name)}`);
    print('');
  }
  if (refused.length > 0) {
    print('Not translated:\n');
    printReasons(
      'REASON',
      refused.map(({ name, refused: text }) => ({ name, text })),
    );
  }
  const counts = `${created.length} ${isApplied ? 'created' : 'to be created'}, ${existing.length} existing, ${refused.length} not translated.`;
  print(isApplied ? counts : `${counts} Nothing is written without --apply.`);
}

const SKIPS = 'a time is skipped while the run before goes on; beat starts another';

function toCells(app: Sedano, name: string, definition: Definition): string[] {
  const { task, schedule, timezone, enabled, args } = definition;
  return [
    name,
    task,
    schedule,
    timezone,
    enabled ? 'yes' : 'no',
    args.length === 0 ? '-' : args.map((arg) => JSON.stringify(arg)).join(', '),
    alsoOf(app, definition),
  ];
}

/** The fields that few routines have. */
function alsoOf(app: Sedano, definition: Definition): string {
  const { task, queue, startAt, endAt, expiresMs } = definition;
  const usual = app.registered(task)?.task.queue ?? app.options.queue;
  const also = [
    ...(queue === usual ? [] : [`queue ${queue}`]),
    ...(startAt === null ? [] : [`from ${startAt}`]),
    ...(endAt === null ? [] : [`until ${endAt}`]),
    ...(expiresMs === null ? [] : [`expires ${expiresMs / 1_000}s`]),
  ];
  return also.join(', ');
}

function printReasons(head: string, reasons: readonly { name: string; text: string }[]): void {
  printTable(
    ['ROUTINE', head],
    reasons.map(({ name, text }) => [oneLine(name), oneLine(text)]),
  );
  print('');
}

/** What anybody may have typed into Django's pages cannot pass for a line of ours. */
function oneLine(text: string): string {
  return printable(text.replaceAll(/\s+/g, ' '));
}
