import { Buffer } from 'node:buffer';
import type { StreamFormat } from '../../../core/codec.js';
import type { UndecidedPacket } from '../interaction-table.js';
import { FormatEvidence } from '../protocol/format-evidence.js';
import type { FormatPreferences } from '../protocol/formats.js';

// Two packets settle it as a rule, within 20 ms. More are kept only when numbers or payloads contradict each other.
const MOST_PACKETS = 32;
const MOST_BYTES = 65_536;

/**
 * The first packets of an interaction whose format nobody announced: kept until they show their codec, so that none is
 * decoded by a wrong guess and none is lost.
 */
export class FirstPackets {
  readonly #evidence: FormatEvidence;
  #kept: UndecidedPacket[] = [];
  #bytes = 0;

  constructor(preferences: FormatPreferences) {
    this.#evidence = new FormatEvidence(preferences);
  }

  get size(): number {
    return this.#kept.length;
  }

  /** Keeps a copy. Returns the format as soon as it is certain, or the most likely one when no more can be kept. */
  add(packet: UndecidedPacket): StreamFormat | undefined {
    this.#evidence.add(packet);
    this.#kept.push({ ...packet, payload: Buffer.from(packet.payload) });
    this.#bytes += packet.payload.length;
    const isFull = this.#kept.length >= MOST_PACKETS || this.#bytes >= MOST_BYTES;
    return this.#evidence.certain() ?? (isFull ? this.#evidence.likely() : undefined);
  }

  /** Looks at a packet that is not kept. Returns the format once it is certain. */
  observe(packet: UndecidedPacket): StreamFormat | undefined {
    this.#evidence.add(packet);
    return this.#evidence.certain();
  }

  get isCertain(): boolean {
    return this.#evidence.certain() !== undefined;
  }

  likely(): StreamFormat {
    return this.#evidence.likely();
  }

  /** Gives up the packets, oldest first. */
  release(): UndecidedPacket[] {
    const released = this.#kept;
    this.#kept = [];
    this.#bytes = 0;
    return released;
  }
}
