/**
 * The framing of an Opus packet (RFC 6716 §3): enough to know how long it is before a decoder sees it, and to turn
 * malformed ones away cheaply. The rules R1 to R7 of §3.4 are named where they are checked.
 */

/** What the functions on Opus packets return instead of a count; the numbers are libopus's own. */
export const OPUS_ERROR = {
  /** The samples do not fit into `out`. */
  OUTPUT_FULL: -2,
  /** The framing was sound, but the decoder could not make sense of a frame. */
  BAD_FRAME: -3,
  /** The packet breaks a rule of RFC 6716 §3.4. */
  BAD_PACKET: -4,
  /** The decoder was freed. */
  FREED: -6,
} as const;

const MAX_FRAME_BYTES = 1275;
// Durations are counted in units of 2.5 ms, the shortest frame: every one is a whole number of them.
const UNITS_A_SECOND = 400;
const MAX_PACKET_UNITS = 48;
const FIRST_CELT_CONFIG = 16;
const STEREO_BIT = 4;

// §3.1 table 2: configurations 0–11 are SILK (10, 20, 40, 60 ms), 12–15 hybrid (10, 20 ms), 16–31 CELT (2.5 to 20 ms).
const FRAME_UNITS = Uint8Array.from({ length: 32 }, (_, config) => {
  if (config < 12) return [4, 8, 16, 24][config & 3] as number;
  if (config < 16) return config & 1 ? 8 : 4;
  return 1 << (config & 3);
});

/**
 * Samples that the Opus packet of `length` bytes at `bytes[at]` decodes to at `sampleRate`, a channel: 2.5 to 120 ms.
 * OPUS_ERROR.BAD_PACKET when it is malformed.
 */
export function opusPacketSamples(bytes: Uint8Array, at: number, length: number, sampleRate: number): number {
  if (length < 1) return OPUS_ERROR.BAD_PACKET; // R1
  const toc = bytes[at] as number;
  const frameUnits = FRAME_UNITS[toc >> 3] as number;
  let frames = 2;
  let sound: boolean;
  switch (toc & 3) {
    case 0:
      frames = 1;
      sound = length - 1 <= MAX_FRAME_BYTES; // R2
      break;
    case 1:
      sound = (length - 1) % 2 === 0 && (length - 1) / 2 <= MAX_FRAME_BYTES; // R3, R2
      break;
    case 2:
      sound = areFramesSound(bytes, at + 1, at + length, 2); // R4
      break;
    default:
      frames = length < 2 ? 0 : (bytes[at + 1] as number) & 0x3f;
      sound = frames > 0 && frames * frameUnits <= MAX_PACKET_UNITS && isCode3Sound(bytes, at + 1, at + length, frames);
  }
  return sound ? frames * frameUnits * (sampleRate / UNITS_A_SECOND) : OPUS_ERROR.BAD_PACKET;
}

/** Samples of one frame of a packet with that first byte; a packet may have several. */
export function opusFrameSamples(toc: number, sampleRate: number): number {
  return (FRAME_UNITS[toc >> 3] as number) * (sampleRate / UNITS_A_SECOND);
}

/** Whether a packet with that first byte is CELT alone, which has no redundancy (§2.1.7). */
export function isOpusCelt(toc: number): boolean {
  return toc >> 3 >= FIRST_CELT_CONFIG;
}

/**
 * Whether a packet carries in-band FEC (LBRR): a second, coarser version of the frame before its first one. It is said in
 * the first bits of the first frame, as §4.2.3 and §4.2.4 have it: a bit of voice activity for each 20 ms, and then the
 * bit in question; in stereo the same once more for the side channel.
 */
export function hasOpusRedundancy(bytes: Uint8Array, at: number, length: number): boolean {
  if (opusPacketSamples(bytes, at, length, UNITS_A_SECOND) < 0) return false;
  const toc = bytes[at] as number;
  if (isOpusCelt(toc)) return false;
  const frame = firstFrame(bytes, at, length);
  if (frame < 0) return false;
  const silkFrames = Math.max(1, (FRAME_UNITS[toc >> 3] as number) >> 3);
  const first = bytes[frame] as number;
  const inMid = (first >> (7 - silkFrames)) & 1;
  const inSide = (toc & STEREO_BIT) === 0 ? 0 : (first >> (6 - 2 * silkFrames)) & 1;
  return (inMid | inSide) === 1;
}

/** Where the first frame of a sound packet begins; −1 when it is empty. */
function firstFrame(bytes: Uint8Array, at: number, length: number): number {
  const end = at + length;
  const code = (bytes[at] as number) & 3;
  if (code === 0 || code === 1) return length > 1 ? at + 1 : -1;
  let next = at + 1;
  let isVariable = true;
  let frames = 2;
  let paddedEnd = end;
  if (code === 3) {
    const flags = bytes[next++] as number;
    isVariable = (flags & 0x80) !== 0;
    frames = flags & 0x3f;
    if (flags & 0x40) {
      let padding: number;
      do {
        padding = bytes[next++] as number;
        paddedEnd -= padding === 255 ? 254 : padding;
      } while (padding === 255);
    }
  }
  if (!isVariable || frames === 1) return paddedEnd > next ? next : -1;
  if (bytes[next] === 0) return -1;
  // The lengths of all frames but the last.
  for (let i = 1; i < frames; i++) next += (bytes[next] as number) < 252 ? 1 : 2;
  return next;
}

/** §3.2.5, R6 and R7. `at` is the frame count byte: v (frames differ in length), p (padding), six bits of count. */
function isCode3Sound(bytes: Uint8Array, at: number, end: number, frames: number): boolean {
  const flags = bytes[at] as number;
  let next = at + 1;
  let paddedEnd = end;
  if (flags & 0x40) {
    let padding: number;
    do {
      if (next >= end) return false;
      padding = bytes[next++] as number;
      // 255 stands for 254 bytes of padding, and another length byte.
      paddedEnd -= padding === 255 ? 254 : padding;
    } while (padding === 255);
  }
  if (paddedEnd < next) return false;
  if (flags & 0x80) return areFramesSound(bytes, next, paddedEnd, frames);
  const total = paddedEnd - next;
  return total % frames === 0 && total / frames <= MAX_FRAME_BYTES;
}

/** All frames but the last are led by their length (§3.2.1); the last takes what is left. */
function areFramesSound(bytes: Uint8Array, at: number, end: number, frames: number): boolean {
  let next = at;
  let claimed = 0;
  for (let i = 1; i < frames; i++) {
    if (next >= end) return false;
    const first = bytes[next++] as number;
    if (first < 252) {
      claimed += first;
      continue;
    }
    if (next >= end) return false;
    claimed += first + 4 * (bytes[next++] as number);
  }
  const last = end - next - claimed;
  return last >= 0 && last <= MAX_FRAME_BYTES;
}
