import {
  type AttributeChange,
  type CallAttributes,
  isEmptyAttributes,
  MAX_ATTRIBUTE_LENGTH,
  MAX_TAG_LENGTH,
  MAX_TAGS,
  readAttributes,
} from '../../core/attributes/attributes.js';
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
        `Interaction ${interactionId} is not being captured. Its attributes can be set while it is.`,
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

function checkChange(change: AttributeChange): void {
  const { tags, ...others } = change;
  const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null && value !== undefined));
  const read = readAttributes({ ...given, tags: tags ?? [] });
  const isRead = Object.entries(given).every(([name, value]) => Reflect.get(read, name) === value);
  const hasTags = JSON.stringify(read.tags ?? []) === JSON.stringify([...new Set(tags ?? [])]);
  if (isRead && hasTags && read.identities === undefined) return;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `Attributes are queue, user and division (1 to ${MAX_ATTRIBUTE_LENGTH} characters), direction (inbound or outbound) ` +
      `and tags (at most ${MAX_TAGS}, of 1 to ${MAX_TAG_LENGTH}), without control characters or blanks at their ends.`,
  );
}
