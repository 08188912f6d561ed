import { z } from 'zod';
import { boundedAttributes, isEmptyAttributes, readAttributes } from '../../core/attributes/attributes.js';
import { isCodec } from '../../core/codec.js';
import type { MarkedState, StreamInfo } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { MARK, RECORD } from '../../ring/layout.js';
import type { RingConsumer } from '../../ring/ring.js';
import type { Manifest } from './files/manifest.js';
import { optionalCounts } from './files/optional-counts.js';
import { type ManifestQuality, qualitySchema } from './files/quality.js';
import { SLOT } from './recorder-memory.js';

/** How the stream ended. Counts that are absent are worked out from the frames where that is possible. */
export interface RecordingEnd {
  readonly endReason: string;
  readonly endedAtMs: number;
  readonly packetsReceived?: number | undefined;
  readonly bytesReceived?: number | undefined;
  readonly packetsLost?: number | undefined;
  readonly packetsLate?: number | undefined;
  readonly packetsDuplicate?: number | undefined;
  readonly packetsForeign?: number | undefined;
  readonly packetsReordered?: number | undefined;
  readonly quality?: readonly ManifestQuality[] | undefined;
  /** Records that the ring to the recorder had no space for. */
  readonly recorderRefused?: number | undefined;
  /** The recorder ended it: the end of the stream never came, or was lost with a thread. */
  readonly isInterrupted?: true;
}

const infoSchema = z.object({
  stream: z.number().int().nonnegative(),
  interactionId: z
    .string()
    .min(1)
    .refine((id) => Buffer.byteLength(id) <= LIMITS.maxNameBytes),
  codec: z.custom<StreamInfo['codec']>(isCodec),
  clockRate: z.number().positive(),
  sampleRate: z.number().int().min(1000).max(192_000),
  channels: z.union([z.literal(1), z.literal(2)]),
  startedAtMs: z.number().min(0).max(8.64e15),
  organizationId: z.string().max(LIMITS.maxNameBytes).exactOptional(),
  segment: z
    .object({
      number: z.number().int().positive(),
      firstStartedAtMs: z.number().min(0).max(8.64e15),
      startMs: z.number().nonnegative(),
    })
    .optional(),
  attributes: z.unknown().transform(readAttributes).optional(),
});

const count = z.number().nonnegative().optional().catch(undefined);
const endSchema = z.object({
  endReason: z.string().catch('ended'),
  endedAtMs: z.number().min(0).max(8.64e15),
  packetsReceived: count,
  bytesReceived: count,
  packetsLost: count,
  packetsLate: count,
  packetsDuplicate: count,
  packetsForeign: count.optional(),
  packetsReordered: count,
  quality: z.array(qualitySchema).optional().catch(undefined),
});

/** The text behind the header of an OPEN or CLOSE. */
export function payloadText(ring: RingConsumer, at: number): string {
  const from = at + RECORD.OUTPUT_HEADER_BYTES;
  const available = ring.view.getInt32(at + RECORD.LENGTH, true) - RECORD.OUTPUT_HEADER_BYTES;
  const length = Math.max(0, Math.min(ring.view.getInt32(at + RECORD.PAYLOAD_LENGTH, true), available));
  return Buffer.from(ring.bytes.buffer, from, length).toString('utf8');
}

/** The end that a manifest gives; undefined while it gives none. */
export function knownEnd(manifest: Manifest | undefined): RecordingEnd | undefined {
  if (manifest === undefined || manifest.endReason === null) return undefined;
  const { endReason, endedAt, startedAt } = manifest;
  return { endReason, endedAtMs: Date.parse(endedAt ?? startedAt) };
}

/** Undefined when the text cannot be that of a stream. */
export function parseInfo(json: string): StreamInfo | undefined {
  const parsed = parseJson(infoSchema, json);
  if (parsed === undefined) return undefined;
  const { segment, attributes, ...info } = parsed;
  return {
    ...info,
    ...(segment === undefined ? {} : { segment }),
    ...(attributes === undefined || isEmptyAttributes(attributes) ? {} : { attributes: boundedAttributes(attributes) }),
  };
}

/** Undefined when the text cannot be that of an end. */
export function parseEnd(json: string): RecordingEnd | undefined {
  return parseJson(endSchema, json);
}

function parseJson<T>(schema: z.ZodType<T>, json: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

/** What a MARK of ring/layout.ts says. */
export function markedState(mark: number): MarkedState | 'notRecorded' {
  if (mark === MARK.NOT_RECORDED) return 'notRecorded';
  return mark === MARK.PAUSED ? 'paused' : 'discarded';
}

/**
 * The counts of a manifest; `slot` gives the recorder's own. `packetsLost` are those that never arrived, as the reception
 * counts them; before the end, what is lost of the frames and has not been repaired. So the lost spans are these, and the
 * late packets that were not repaired.
 */
export function countsOf(end: RecordingEnd | undefined, frames: number, slot: (field: number) => number) {
  const repaired = slot(SLOT.REPAIRED);
  const lost = Math.max(0, slot(SLOT.FRAMES_LOST) - repaired);
  return {
    packetsReceived: end?.packetsReceived ?? frames - lost,
    bytesReceived: end?.bytesReceived ?? null,
    packetsLost: end?.packetsLost ?? lost,
    packetsLate: end?.packetsLate ?? null,
    packetsRepaired: repaired,
    packetsDuplicate: end?.packetsDuplicate ?? null,
    packetsReordered: end?.packetsReordered ?? null,
    decodeErrors: slot(SLOT.DECODE_ERRORS),
    ...optionalCounts({ packetsForeign: end?.packetsForeign, packetsRecoveredByFec: slot(SLOT.FEC) }),
  };
}
