/** A repeatable stream of random numbers (xorshift32, George Marsaglia, "Xorshift RNGs", 2003). */
export class Random {
  #state: number;

  constructor(seed: number) {
    // never 0, from which there is no way on; seeds that are neighbours are far apart
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  /** At least `from`, less than `to`. */
  between(from: number, to: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return from + ((this.#state >>> 0) / 2 ** 32) * (to - from);
  }

  /** One of them, each as often as its weight says. */
  pick<T extends { weight: number }>(choices: readonly T[]): T {
    const total = choices.reduce((sum, { weight }) => sum + weight, 0);
    let left = this.between(0, total);
    for (const choice of choices) {
      left -= choice.weight;
      if (left < 0) return choice;
    }
    throw new Error('nothing to pick from');
  }
}
