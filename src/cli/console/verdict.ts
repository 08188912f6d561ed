import type { Config } from '../../config/schema.js';
import type { ComposedNode } from './compose-node.js';

/** Calls that the summary names one by one. */
const MAX_NAMED = 20;

interface GivenUpCall {
  readonly interactionId: string;
  readonly reason: string;
  readonly detail: string;
}

/** Watches a node for what decides the exit code of a command, and for the calls that were given up. */
export class Verdict {
  readonly engineFailed: Promise<void>;
  /** Set when every source has connected or listens. */
  hasStarted = false;
  readonly #node: ComposedNode['node'];
  readonly #opened = new Set<string>();
  readonly #givenUp = new Map<string, GivenUpCall>();
  #hasFailed = false;

  constructor({ node }: ComposedNode) {
    this.#node = node;
    this.engineFailed = new Promise((resolve) => {
      node.once('failed', () => {
        this.#hasFailed = true;
        resolve();
      });
    });
    node.on('streamOpened', ({ interactionId }) => this.#opened.add(interactionId));
    // Calls that the platform ended or that were unsubscribed are not given up.
    node.on('interactionEnded', (ended) => {
      const { interactionId, reason, detail } = ended;
      if (reason !== 'lost' && reason !== 'mediaNotAvailable' && reason !== 'error') return;
      this.#givenUp.set(interactionId, { interactionId, reason, detail });
    });
  }

  /** The part of the summary that is about calls that were given up. */
  summary(): { readonly callsGivenUp: number; readonly givenUp: readonly GivenUpCall[] } {
    return { callsGivenUp: this.#givenUp.size, givenUp: [...this.#givenUp.values()].slice(0, MAX_NAMED) };
  }

  /** Why the command failed; undefined when it did not. */
  failure({ interactions }: Config, wasInterrupted: boolean): string | undefined {
    if (this.#hasFailed) return 'the engine failed; the log says why';
    const refused = this.#refusedPackets();
    if (refused !== undefined) return `nothing was captured: everything that arrived was refused (${refused})`;
    if (wasInterrupted) return undefined;
    if (!this.hasStarted)
      return 'nothing was captured: the start had not succeeded when the time was over; the log says why';
    if (this.#opened.size === 0 && interactions.length > 0) {
      return `nothing was captured: no media came from the interactions that were given (${interactions.length})`;
    }
    const allLost = this.#opened.size > 0 && [...this.#opened].every((id) => this.#givenUp.has(id));
    return allLost ? 'every interaction was lost before its end; the log says why' : undefined;
  }

  /** What the subscription refused, when no packet at all was taken. */
  #refusedPackets(): string | undefined {
    const { counts, refused } = this.#node.stats();
    if (counts.packetsReceived > 0) return undefined;
    const reasons = Object.entries(refused).filter(([reason]) => reason.startsWith('genesys.'));
    return reasons.length === 0 ? undefined : reasons.map(([reason, count]) => `${reason} ${count}`).join(', ');
  }
}
