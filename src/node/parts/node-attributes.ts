import { checkChange } from '../../core/attributes/attribute-change.js';
import { type AttributeChange, type CallAttributes, isEmptyAttributes } from '../../core/attributes/attributes.js';
import { TrunklineError } from '../../core/errors.js';
import type { Engine } from '../../engine/engine.js';
import { type AttributeOptions, KnownAttributes } from '../streams/call-attributes.js';
import type { NodeSources } from './node-sources.js';

/** Brings what is known of interactions to their streams. */
export class NodeAttributes {
  readonly #known: KnownAttributes;
  readonly #engine: Engine;
  readonly #sources: NodeSources;

  constructor(options: AttributeOptions, engine: Engine, sources: NodeSources) {
    this.#known = new KnownAttributes(options);
    this.#engine = engine;
    this.#sources = sources;
  }

  /** What a source says of an interaction; returns all that is known of it. */
  bySource(interactionId: string, attributes: CallAttributes): CallAttributes {
    return this.#apply(interactionId, this.#known.bySource(interactionId, attributes));
  }

  /** Of a stream that opens. */
  of(interactionId: string): CallAttributes | undefined {
    const known = this.#known.of(interactionId);
    return isEmptyAttributes(known) ? undefined : known;
  }

  /** @throws TrunklineError STREAM_UNKNOWN when nobody captures it, CONFIG_INVALID for values that cannot be right. */
  set(interactionId: string, change: AttributeChange): CallAttributes {
    checkChange(change);
    const isCaptured =
      this.#engine.find(interactionId) !== undefined ||
      this.#sources.list.some((source) =>
        [...(source.interactions?.() ?? [])].some((one) => one.interactionId === interactionId),
      );
    if (!isCaptured) {
      throw new TrunklineError(
        'STREAM_UNKNOWN',
        `Interaction ${interactionId} is not being captured. Its attributes can be set while it is; afterwards, those of its recording.`,
      );
    }
    return this.#apply(interactionId, this.#known.byOperator(interactionId, change));
  }

  #apply(interactionId: string, attributes: CallAttributes): CallAttributes {
    const open = this.#engine.find(interactionId);
    if (open !== undefined) this.#engine.setAttributes(open.stream, attributes);
    return attributes;
  }
}
