/**
 * What Ogg Opus (RFC 7845) asks for beside packets: two headers, and packets in the place of those that are missing.
 * Times are in samples at 48 kHz, in which it counts whatever a stream was sampled at.
 */
export const OPUS_RATE = 48_000;
/** 2.5 ms, of which every duration of a packet is a multiple. */
export const OPUS_UNIT = OPUS_RATE / 400;
const VENDOR = Buffer.from('trunkline');
const MAX_PACKET = 48 * OPUS_UNIT;
const MAX_FRAMES = 48;
/** Frames of each configuration (RFC 6716 §3.1), in units. */
const FRAME_UNITS = Uint8Array.from({ length: 32 }, (_, config) => {
  if (config < 12) return [4, 8, 16, 24][config & 3] as number;
  if (config < 16) return config & 1 ? 8 : 4;
  return 1 << (config & 3);
});
/** Which CELT configurations begin the same audio bandwidth as each SILK or hybrid one: NB, WB for medium band, WB, SWB, FB. */
const CELT_OF = [16, 20, 20, 24, 28] as const;

/**
 * What a decoder skips at the beginning: the shortest packet there is, which is empty. Programs take a file that has nothing
 * to skip for a broken one, and libopus decodes nothing of this one, so that it begins with the first packet that came.
 */
export const PRE_SKIP = OPUS_UNIT;
export const PRE_SKIP_PACKET = Uint8Array.of(28 << 3);

/** §5.1 and §5.2. There are no comments, which might identify people. */
export function opusHead(sampleRate: number): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead', 0, 'latin1');
  head[8] = 1;
  head[9] = 1;
  // Then the rate before it was coded, a gain of 0, and mapping family 0, which is one channel.
  head.writeUInt16LE(PRE_SKIP, 10);
  head.writeUInt32LE(sampleRate, 12);
  return head;
}

export function opusTags(): Buffer {
  const tags = Buffer.alloc(8 + 4 + VENDOR.length + 4);
  tags.write('OpusTags', 0, 'latin1');
  tags.writeUInt32LE(VENDOR.length, 8);
  VENDOR.copy(tags, 12);
  return tags;
}

/** Length of a packet that a recorder has taken, in samples at 48 kHz; 0 of an empty one. */
export function opusDuration(bytes: Uint8Array, at: number, length: number): number {
  if (length < 1) return 0;
  const toc = bytes[at] as number;
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : length < 2 ? 0 : (bytes[at + 1] as number) & 0x3f;
  return frames * (FRAME_UNITS[toc >> 3] as number) * OPUS_UNIT;
}

/** Whether all frames of a packet are empty, so that a decoder conceals: it stands where nothing came. */
export function isConcealment(bytes: Uint8Array, at: number, length: number): boolean {
  const code = (bytes[at] as number) & 3;
  return length === 1 ? code < 2 : length === 2 && code === 3 && ((bytes[at + 1] as number) & 0xc0) === 0;
}

/**
 * Packets for a gap (§4.1) of `samples`, a multiple of OPUS_UNIT: a decoder conceals them. They have the configuration of
 * the packet before, with `toc` as its first byte, as long as the gap is a multiple of its frames, and shorter frames at the
 * end; SILK and hybrid have none shorter than 10 ms, so that CELT of the same bandwidth ends such a gap. Without a packet
 * before there is nothing to conceal from: silence.
 */
export function* concealmentPackets(toc: number | undefined, samples: number): Generator<Uint8Array> {
  if (toc === undefined) {
    yield* silencePackets(samples);
    return;
  }
  let rest = samples / OPUS_UNIT;
  for (const config of configsFrom(toc >> 3)) {
    const units = FRAME_UNITS[config] as number;
    const first = (config << 3) | (toc & 4);
    const most = Math.min(MAX_FRAMES, MAX_PACKET / OPUS_UNIT / units);
    while (rest >= units) {
      const frames = Math.min(most, Math.floor(rest / units));
      rest -= frames * units;
      // The code of one frame, of two, or of any number, then that number.
      yield frames === 1 ? Uint8Array.of(first) : Uint8Array.of(first | 3, frames);
    }
  }
}

/** The configuration, then the shorter ones of its mode and bandwidth, then those of CELT. */
function configsFrom(config: number): number[] {
  const isCelt = config >= 16;
  const start = isCelt ? config & ~3 : config < 12 ? config & ~3 : config & ~1;
  const own = Array.from({ length: config - start + 1 }, (_, i) => config - i);
  if (isCelt) return own;
  const band = config < 12 ? config >> 2 : 3 + ((config - 12) >> 1);
  const celt = CELT_OF[band] as number;
  return [...own, celt + 3, celt + 2, celt + 1, celt];
}

/** 20, 10, 5 and 2.5 ms of CELT over the whole bandwidth, whose first bit says that all is zero (RFC 6716 §4.3). */
const SILENT_CONFIGS = [31, 30, 29, 28] as const;
const SILENT_FRAME = [0xff, 0xfe] as const;

/** Packets for `samples` of digital silence, a multiple of OPUS_UNIT: where it was decided that nothing is recorded. */
export function* silencePackets(samples: number): Generator<Uint8Array> {
  let rest = samples / OPUS_UNIT;
  for (const config of SILENT_CONFIGS) {
    const units = FRAME_UNITS[config] as number;
    while (rest >= units) {
      const frames = Math.min(6, Math.floor(rest / units));
      rest -= frames * units;
      const payload = Array.from({ length: frames }, () => SILENT_FRAME).flat();
      yield frames === 1
        ? Uint8Array.of(config << 3, ...payload)
        : Uint8Array.of((config << 3) | 3, frames, ...payload);
    }
  }
}

/** Whether silencePackets() made it. */
export function isSilencePacket(bytes: Uint8Array, at: number, length: number): boolean {
  const toc = bytes[at] as number;
  const head = (toc & 3) === 3 ? 2 : 1;
  if (toc >> 3 < 28 || (toc & 4) !== 0 || length < head + 2 || (length - head) % 2 !== 0) return false;
  for (let i = at + head; i < at + length; i += 2) if (bytes[i] !== 0xff || bytes[i + 1] !== 0xfe) return false;
  return true;
}
