import { type AttributeRule, withRules } from '../../core/attributes/attribute-rule.js';
import {
  type AttributeChange,
  boundedAttributes,
  type CallAttributes,
  changedAttributes,
  withoutIdentities,
} from '../../core/attributes/attributes.js';

/** Interactions whose attributes are kept; those that were changed longest ago are forgotten first. */
const MAX_CALLS = 32_768;

export interface AttributeOptions {
  /** Applied in this order, each time that more is known. */
  readonly attributeRules?: readonly AttributeRule[] | undefined;
  /** Telephone numbers and names are kept; default false. */
  readonly keepIdentities?: boolean | undefined;
}

interface Known {
  readonly bySource: CallAttributes;
  readonly byOperator: AttributeChange;
}

const NOTHING: Known = { bySource: {}, byOperator: {} };

/**
 * What is known of each interaction: what its source says, over that what was set by the API, over that the rules. It is
 * kept by interaction, since it may be known before there is a stream, and a call that was cut off comes back with another.
 * Here telephone numbers and names end, unless they are to be kept: nothing behind this point has to know of them.
 */
export class KnownAttributes {
  readonly #rules: readonly AttributeRule[];
  readonly #keepsIdentities: boolean;
  readonly #calls = new Map<string, Known>();

  constructor({ attributeRules = [], keepIdentities = false }: AttributeOptions) {
    this.#rules = attributeRules;
    this.#keepsIdentities = keepIdentities;
  }

  /** Returns what is known of the interaction with it. */
  bySource(interactionId: string, attributes: CallAttributes): CallAttributes {
    const bySource = boundedAttributes(this.#keepsIdentities ? attributes : withoutIdentities(attributes));
    return this.#keep(interactionId, { ...this.#known(interactionId), bySource });
  }

  /** Returns what is known of the interaction with it. */
  byOperator(interactionId: string, change: AttributeChange): CallAttributes {
    const known = this.#known(interactionId);
    return this.#keep(interactionId, { ...known, byOperator: { ...known.byOperator, ...change } });
  }

  of(interactionId: string): CallAttributes {
    return this.#resolve(this.#known(interactionId));
  }

  #known(interactionId: string): Known {
    return this.#calls.get(interactionId) ?? NOTHING;
  }

  #keep(interactionId: string, known: Known): CallAttributes {
    // The newest last.
    this.#calls.delete(interactionId);
    this.#calls.set(interactionId, known);
    const [oldest] = this.#calls.keys();
    if (oldest !== undefined && this.#calls.size > MAX_CALLS) this.#calls.delete(oldest);
    return this.#resolve(known);
  }

  /** What was set by the API stands over what a rule sets, except that rules add their tags. */
  #resolve({ bySource, byOperator }: Known): CallAttributes {
    const ruled = withRules(changedAttributes(bySource, byOperator), this.#rules);
    const { tags: _, ...fixed } = byOperator;
    return boundedAttributes(changedAttributes(ruled, fixed));
  }
}
