import type { Interaction } from '../interaction/interaction.js';
import { idKey } from '../interaction-table.js';

/** The interactions on one connection. Each owns its state; here is only which there are. */
export class ConnectionInteractions {
  readonly #byKey = new Map<string, Interaction>();
  readonly #onEnded: (interaction: Interaction) => void;

  /** @param onEnded called once for each that ends, when it is no longer here. */
  constructor(onEnded: (interaction: Interaction) => void) {
    this.#onEnded = onEnded;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** When the first of them is due; infinity for never. */
  get deadlineUs(): number {
    let dueUs = Number.POSITIVE_INFINITY;
    for (const interaction of this.#byKey.values()) dueUs = Math.min(dueUs, interaction.dueUs);
    return dueUs;
  }

  all(): Interaction[] {
    return [...this.#byKey.values()];
  }

  has(interaction: Interaction): boolean {
    return this.#byKey.get(idKey(interaction.id)) === interaction;
  }

  add(interaction: Interaction): void {
    this.#byKey.set(idKey(interaction.id), interaction);
  }

  find(id: string): Interaction | undefined {
    return this.#byKey.get(idKey(id));
  }

  /** Gives interactions an input, and removes those that have ended by it. */
  act(interactions: Iterable<Interaction>, input: (interaction: Interaction) => void): void {
    for (const interaction of interactions) {
      if (!this.has(interaction)) continue;
      input(interaction);
      if (interaction.state !== 'ended') continue;
      this.#byKey.delete(idKey(interaction.id));
      this.#onEnded(interaction);
    }
  }
}
