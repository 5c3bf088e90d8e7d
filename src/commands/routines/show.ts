import type { Command } from 'commander';
import type { Sedano } from '../../app.ts';
import { readDefinition } from '../../routines/definition.ts';
import { toRow } from '../../routines/list.ts';
import { provenanceOf } from '../../routines/sync.ts';
import { readSchedule } from '../../routines/write.ts';
import { loadApp } from '../load-app.ts';
import { print, printJson } from '../output.ts';
import { fieldLines, shownChanges, shownField } from './fields.ts';
import { resultOf, type SharedOptions } from './list.ts';

/** `sedano routines show NAME` */
export function addShowCommand(routines: Command): Command {
  return routines
    .command('show')
    .description('all of a routine: its fields, its runs, who edited it')
    .argument('<name>', 'the name of the routine')
    .action(async (name: string, { app: module, json }: SharedOptions) => {
      await using app = await loadApp(module);
      const shown = await read(app, name);
      if (json) printJson(shown);
      else printRoutine(shown);
    });
}

async function read(app: Sedano, name: string) {
  const schedule = await readSchedule(app, name);
  // loaded here: no other command reads a history
  const { outsideEdits } = await import('../../routines/edit-history.ts');
  return {
    ...(await toRow(app, name, schedule)),
    definition: readDefinition(schedule.description),
    diff: (provenanceOf(app, name, schedule)?.fields ?? []).filter(({ state }) => state !== 'same'),
    release: schedule.memo?.release ?? null,
    edits: schedule.memo?.edits ?? [],
    outsideEdits: await outsideEdits(app, name, schedule),
  };
}

type Shown = Awaited<ReturnType<typeof read>>;

function printRoutine(shown: Shown): void {
  const { name, origin, words, definition, note, next, nextLocal, last, runs, skips, misses } =
    shown;
  print(`${name} (${origin}): ${words}`);
  for (const line of fieldLines(definition)) print(`  ${line}`);
  if (note !== '') print(`Note     ${note}`);
  const times = nextLocal.slice(0, 3).join(', ');
  print(`Next     ${definition.enabled && next.length > 0 ? times : '-'}`);
  print(`Last     ${last ? `${last.at.toISOString()}  ${last.id}  ${resultOf(last)}` : '-'}`);
  print(`Counts   ${runs} runs, ${skips} skipped, ${misses} missed`);
  printDiff(shown);
  printEdits(shown);
}

function printDiff({ diff }: Shown): void {
  if (diff.length === 0) return;
  print('Against the code:');
  for (const { field, state, server, code } of diff) {
    print(
      `  ${field} ${state}: ${shownField(field, server)}, the code says ${shownField(field, code)}`,
    );
  }
}

function printEdits({ edits, outsideEdits }: Shown): void {
  if (edits.length + outsideEdits.length === 0) return;
  const lines = [
    ...edits.map(({ at, by, ...edit }) => ({ at, by, what: shownChanges(edit) })),
    ...outsideEdits.map(({ at, by, action, ...edit }) => ({
      at,
      by,
      what: `${action}${edit.fields.length === 0 ? '' : `: ${shownChanges(edit)}`}`,
    })),
  ];
  print('Edits, the latest first:');
  for (const { at, by, what } of lines.toSorted((a, b) => b.at.localeCompare(a.at))) {
    print(`  ${at}  ${by}  ${what}`);
  }
}
