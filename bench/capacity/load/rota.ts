/** Items that are due once in each period, each at its own phase. */
export class Rota<Item> {
  readonly #items: readonly { readonly item: Item; readonly phaseUs: number }[];
  readonly #startUs: number;
  readonly #periodUs: number;
  #place = 0;
  #round = 0;

  /**
   * @param phaseOf when within the period an item's turn is, 0 to below 1.
   * @param gridUs turns are at multiples of it only, so that one wake-up serves all turns of that moment.
   */
  constructor(
    items: readonly Item[],
    startUs: number,
    periodUs: number,
    phaseOf: (item: Item) => number,
    gridUs: number,
  ) {
    this.#startUs = startUs;
    this.#periodUs = periodUs;
    this.#items = items
      .map((item) => ({ item, phaseUs: Math.floor((phaseOf(item) * periodUs) / gridUs) * gridUs }))
      .sort((a, b) => a.phaseUs - b.phaseUs);
  }

  /** When the next turn is due, in whole microseconds if the start and the period are. */
  get dueUs(): number {
    const next = this.#items[this.#place];
    return next === undefined ? Number.POSITIVE_INFINITY : this.#startUs + next.phaseUs + this.#round * this.#periodUs;
  }

  /** Whose turn it is; the next one's comes after it. @throws RangeError without items. */
  take(): Item {
    const next = this.#items[this.#place];
    if (next === undefined) throw new RangeError('This rota has no items.');
    this.#place = (this.#place + 1) % this.#items.length;
    if (this.#place === 0) this.#round++;
    return next.item;
  }
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Phases that lie evenly however many there are, and for which neighbours in number are none in time. */
export function evenPhase(index: number): number {
  return (index * GOLDEN) % 1;
}
