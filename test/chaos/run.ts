// The proof under faults:
//   npm run chaos -- --minutes 10 --seed 1
import { Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from '../../src/commands/arguments.ts';
import { EXIT } from '../../src/commands/exit.ts';
import { print, printJson } from '../../src/commands/output.ts';
import { runScript } from '../../scripts/script.ts';
import { SERVER_FAULTS, SUBJECT_FAULTS } from './faults.ts';
import { runChaos, type ChaosOutcome } from './orchestrator.ts';
import { countFaults, faultsFound, tableOf } from './report.ts';

interface Options {
  minutes: number;
  seed: number;
  lease: number;
  guard: 'on' | 'off';
  inline: number;
  workers: number;
  only: string;
  json?: boolean;
}

// what breaks is told in the table
process.env['SEDANO_LOG_LEVEL'] ??= 'silent';

const program = new Command('npm run chaos --')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT.ok : EXIT.usage))
  .description('takes one lock in many processes while they and their servers break')
  .option('--minutes <number>', 'how long', minutesOf, 10)
  .option('--seed <number>', 'repeats the faults of a run', wholeNumber, newSeed())
  .option('--lease <ms>', 'lease of the lock', wholeNumber, 1_500)
  .addOption(new Option('--guard <on|off>', 'recovery guard').choices(['on', 'off']).default('on'))
  .option('--inline <number>', 'processes that call inline', wholeNumber, 4)
  .option('--workers <number>', 'processes that are workers', wholeNumber, 2)
  .option('--only <text>', 'only faults whose name holds this', faultText, '')
  .option('--json', 'print one JSON object at the end');

const options = program.parse().opts<Options>();
await runScript((signal) => run(options, signal));

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (minutes > 0 && minutes <= 24 * 60) return minutes;
  throw new InvalidArgumentError('Expected a number above 0, at most 1440.');
}

function faultText(text: string): string {
  const names = [...SERVER_FAULTS, ...SUBJECT_FAULTS].map(({ name }) => name);
  if (names.some((name) => name.includes(text))) return text;
  throw new InvalidArgumentError(`Expected a part of one of: ${names.join('; ')}.`);
}

function newSeed(): number {
  return 1 + Math.floor(Math.random() * 999_999);
}

async function run(options: Options, signal: AbortSignal): Promise<number> {
  const { minutes, seed, lease, guard, inline, workers, only } = options;
  const report = (line: string) => {
    if (!options.json) print(`# ${line}`);
  };
  report(
    `seed ${seed}, ${minutes} min, lease ${lease} ms, recovery guard ${guard}, ${inline} inline processes, ${workers} workers`,
  );
  const outcome = await runChaos({
    ms: minutes * 60_000,
    seed,
    leaseMs: lease,
    recoveryGuard: guard === 'on',
    inline,
    workers,
    only,
    report,
    signal,
  });
  return show(outcome, options);
}

function show(outcome: ChaosOutcome, { seed, json }: Options): number {
  const found = faultsFound(outcome);
  if (json) {
    const { faults, inline, verdict, ...rest } = outcome;
    printJson({
      seed,
      faults: Object.fromEntries(countFaults(faults)),
      inline: Object.fromEntries(inline),
      overlaps: verdict.overlaps.length,
      regressions: verdict.regressions.length,
      longestGapMs: Number(verdict.longestGap.end - verdict.longestGap.begin) / 1e6,
      ...rest,
      found,
    });
  } else {
    print(`\n${tableOf(outcome)}`);
    for (const line of found) print(`FOUND: ${line}`);
  }
  return found.length > 0 ? EXIT.failed : EXIT.ok;
}
