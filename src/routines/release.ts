const VERSION = /^v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/;

/**
 * Less than 0 when `one` is older than `other`, more when it is newer. Dotted numbers (`1.10`, `v2.0.0-rc.1`, `2026.11.24`)
 * compare number by number, and what follows a `-` comes before the release itself; anything else compares as text.
 */
export function compareReleases(one: string, other: string): number {
  const [left, right] = [VERSION.exec(one), VERSION.exec(other)];
  if (!left || !right) return compareTexts(one, other);
  const [, numbers = '', before] = left;
  const [, otherNumbers = '', otherBefore] = right;
  return (
    compareParts(numbers, otherNumbers) ||
    Number(before === undefined) - Number(otherBefore === undefined) ||
    compareParts(before ?? '', otherBefore ?? '')
  );
}

function compareParts(one: string, other: string): number {
  const [left, right] = [one.split('.'), other.split('.')];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    // 1.2 is 1.2.0
    const [a, b] = [left[index] ?? '0', right[index] ?? '0'];
    const numeric = /^\d+$/.test(a) && /^\d+$/.test(b);
    const order = numeric ? Number(a) - Number(b) : compareTexts(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
