import { EventEmitter } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { decodePcmu } from '../../../src/audio/codecs/g711.js';
import { OpusDecoder } from '../../../src/audio/codecs/opus.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { systemClock } from '../../../src/core/clock.js';
import { LIMITS } from '../../../src/core/limits.js';
import { OPUS_SAMPLE_RATE } from './plan.js';

interface Packet {
  readonly interactionId: string;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly payload: string;
}

const SILENCE_THRESHOLD = 0.01;
const FULL_SCALE = 32_768;
const LONGEST_FRAME = 5_760;

/**
 * The work that the source document does for each packet, in its own form and order, on one thread: JSON.parse,
 * base64, decode, energy, events, an audit line, a monitor line. What its text promises and its code misses is put
 * right where that is needed to compare like with like: it decodes before it measures, takes a true RMS, counts
 * sequence numbers by interaction, and its monitor is read. What its example prints for each packet besides the audit
 * is left out, and so is its jitter buffer, which its code never calls.
 */
export class Tutorial extends EventEmitter<{ mediaChunk: [chunk: unknown]; metadataSync: [sync: unknown] }> {
  readonly monitor = new Readable({ read() {} });
  readonly #audit: WriteStream;
  readonly #decoders: ReadonlyMap<string, OpusDecoder>;
  readonly #lastSequence = new Map<string, number>();
  /** One packet, and one frame. */
  readonly #encoded = new SampleMemory(new ArrayBuffer(LIMITS.maxPayloadBytes));
  readonly #pcm = new SampleMemory(new ArrayBuffer(2 * LONGEST_FRAME));
  packetsReceived = 0;
  bytesReceived = 0;
  packetLossCount = 0;

  /** @param opusIds interactions whose packets are Opus. */
  constructor(auditFile: string, opusIds: readonly string[]) {
    super();
    this.#audit = createWriteStream(auditFile);
    this.#decoders = new Map(opusIds.map((id) => [id, new OpusDecoder(OPUS_SAMPLE_RATE)]));
  }

  /** Returns the packet, so that the caller need not parse it again; undefined for another message. */
  message(data: Buffer): Packet | undefined {
    const packet = JSON.parse(data.toString()) as Packet;
    if (typeof packet.payload !== 'string') return undefined;
    const { interactionId, sequenceNumber, timestamp, payload } = packet;
    const encoded = Buffer.from(payload, 'base64');
    this.packetsReceived++;
    this.bytesReceived += encoded.length;
    const last = this.#lastSequence.get(interactionId);
    if (last !== undefined && sequenceNumber !== last + 1) this.packetLossCount += sequenceNumber - last - 1;
    this.#lastSequence.set(interactionId, sequenceNumber);

    const samples = this.#decode(interactionId, encoded);
    const isSilent = this.#rms(samples) < SILENCE_THRESHOLD;
    const processed = {
      payload: encoded,
      metadata: { interactionId, sequenceNumber, timestamp },
      isSilent,
      processedAt: systemClock.wallMs(),
    };
    if (!isSilent) this.emit('mediaChunk', processed);
    this.emit('metadataSync', { interactionId, timestamp, sequenceNumber });
    this.#audit.write(
      `${JSON.stringify({
        timestamp: new Date(systemClock.wallMs()).toISOString(),
        action: 'media_capture',
        interactionId,
        sequenceNumber,
        signalDetected: !isSilent,
        privacyCompliant: true,
        region: 'us-east-1',
      })}\n`,
    );
    this.monitor.push(`${JSON.stringify({ type: 'monitor', ...processed })}\n`);
    return packet;
  }

  close(): Promise<void> {
    for (const decoder of this.#decoders.values()) decoder.free();
    return new Promise((resolve) => this.#audit.end(resolve));
  }

  #decode(interactionId: string, encoded: Buffer): number {
    this.#encoded.bytes.set(encoded);
    const decoder = this.#decoders.get(interactionId);
    if (decoder !== undefined) return Math.max(0, decoder.decode(this.#encoded, 0, encoded.length, this.#pcm, 0));
    decodePcmu(this.#encoded, 0, encoded.length, this.#pcm, 0);
    return encoded.length;
  }

  #rms(samples: number): number {
    let sum = 0;
    for (let i = 0; i < samples; i++) sum += (this.#pcm.samples[i] as number) ** 2;
    return Math.sqrt(sum / Math.max(1, samples)) / FULL_SCALE;
  }
}
