/** Whether `version` is `oldest` or newer, number by number; what follows the numbers does not count. */
export function isAtLeast(version: string, oldest: string): boolean {
  const have = numbers(version);
  for (const [index, wanted] of numbers(oldest).entries()) {
    const part = have[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

/** `1.31` of `1.31.2`. */
export function majorMinor(version: string): string {
  return numbers(version).slice(0, 2).join('.');
}

function numbers(version: string): number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10) || 0);
}
