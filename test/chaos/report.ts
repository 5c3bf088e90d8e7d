import type { ChaosOutcome, DoneFault } from './orchestrator.ts';
import type { Span } from './oracle.ts';

/** What calls may end with while everything breaks; anything else is a fault of ours. */
const EXPECTED = new Set([
  'ok',
  'section already running!',
  'LockLostError',
  'LockUnavailableError',
]);

/** From this many faults on a run without a late write has proved nothing of the fences. */
const PROVING_FAULTS = 400;

/** What a run must not show, one line each. */
export function faultsFound(outcome: ChaosOutcome): string[] {
  const { faults, sections, verdict, durable, stuck, ledger, inline } = outcome;
  const unexpected = [...inline].filter(([end]) => !EXPECTED.has(end));
  const nothing = [
    ...(faults.length === 0 ? ['no fault was done'] : []),
    ...(sections === 0 ? ['no section was entered'] : []),
    ...(durable.accepted === 0 ? ['no durable call was accepted'] : []),
    ...(ledger.rejected === 0 && faults.length >= PROVING_FAULTS
      ? ['the ledger had no late write to refuse']
      : []),
  ];
  return [
    ...nothing.map((what) => `it proves nothing: ${what}`),
    ...verdict.overlaps.map(
      ({ first, second, ns }) =>
        `overlap of ${milliseconds(ns)}: ${first.section} (fence ${first.fence}), ${second.section} (fence ${second.fence})`,
    ),
    ...verdict.regressions.map(({ section, fence }) => `fence ${fence} of ${section} is not new`),
    ...(ledger.regressions > 0 ? [`${ledger.regressions} writes taken with an old fence`] : []),
    ...durable.lost.map((call) => `${call} was accepted and has no result`),
    ...durable.wrong.map((line) => `not the result of its call: ${line}`),
    ...stuck.map((name) => `${name} did not come to an end`),
    ...unexpected.map(([end, count]) => `${count} inline calls ended with: ${end}`),
  ];
}

export function tableOf(outcome: ChaosOutcome): string {
  const { faults, verdict, sections, durable, stuck, ledger, inline } = outcome;
  const { longestGap } = verdict;
  const of = (end: string) => inline.get(end) ?? 0;
  return [
    ...rows([...countFaults(faults), ['faults', faults.length]]),
    '',
    ...rows([
      ['sections', sections],
      ['overlaps', verdict.overlaps.length],
      ['fence regressions', verdict.regressions.length + ledger.regressions],
      ['ledger: writes taken', ledger.taken],
      ['ledger: writes of zombies rejected', ledger.rejected],
      ['durable calls accepted', durable.accepted],
      ['durable calls lost', durable.lost.length + durable.wrong.length],
      ['inline calls that returned', of('ok')],
      ['inline calls told "already running!"', of('section already running!')],
      ['inline calls that lost their lock', of('LockLostError')],
      ['inline calls refused, Redis away', of('LockUnavailableError')],
      ['waiters never served', stuck.length],
    ]),
    `longest idle gap  ${milliseconds(longestGap.end - longestGap.begin)}`,
    ...shareIn(longestGap, faults),
  ].join('\n');
}

/** The most frequent first. */
export function countFaults(faults: readonly DoneFault[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { name } of faults) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].toSorted(([, a], [, b]) => b - a);
}

/** The faults of a time, each with its own. */
function shareIn({ begin, end }: Span, faults: readonly DoneFault[]): string[] {
  return faults
    .filter((fault) => fault.begin < end && fault.end > begin)
    .map(
      (fault) =>
        `  ${milliseconds(fault.begin - begin).padStart(10)} to ${milliseconds(fault.end - begin).padStart(10)}  ${fault.target}: ${fault.name}`,
    );
}

function rows(lines: readonly (readonly [string, number])[]): string[] {
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, count]) => `${name.padEnd(width)}  ${String(count).padStart(6)}`);
}

function milliseconds(ns: bigint): string {
  return `${(Number(ns) / 1e6).toFixed(1)} ms`;
}
