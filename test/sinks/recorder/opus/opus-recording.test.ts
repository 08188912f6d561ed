import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isConcealment, isSilencePacket } from '../../../../src/audio/ogg/opus.js';
import { readCheckpoint, writeCheckpoint } from '../../../../src/sinks/recorder/files/manifest-file.js';
import { readRecordedAudio } from '../../../../src/sinks/recorder/files/recorded-audio.js';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { CaptureRig, type SentPacket } from '../../../support/engine/capture-rig.js';
import { type OpusPacket, opusStream } from '../../../support/engine/opus-loss.js';
import { nativeMissing } from '../../../support/engine/shard-rig.js';
import { mulberry32 } from '../../../support/random.js';
import { decodeOpusFile, faultsOf, hasOpusPrograms, readOgg } from '../../../support/recorder/opus-programs.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);
if (!hasOpusPrograms)
  console.warn('skipped: opus-tools or ffmpeg with libopus is missing; Opus files are read by our own reader alone');
const BACKENDS = missing === undefined ? (['js', 'native'] as const) : (['js'] as const);

const ID = 'call';
const RATE = 48_000;
const VOICE = await opusStream(mulberry32(3), 150, { sampleRate: 48_000, ms: [20] });
const MIXED = await opusStream(mulberry32(4), 90, { sampleRate: 16_000, ms: [20, 40, 10, 60] });

const rigs: CaptureRig[] = [];
afterEach(() => {
  for (const rig of rigs.splice(0)) rig.remove();
});
function makeRig(backend: 'js' | 'native', format: 'wav' | 'opus' = 'opus'): CaptureRig {
  const rig = new CaptureRig(backend, { format });
  rigs.push(rig);
  return rig;
}

/** The packets as they are sent, each with its delay in ms; undefined for one that never comes. */
function arrivals(
  packets: readonly OpusPacket[],
  delayOf: (i: number) => number | undefined,
  channel: 0 | 1 = 0,
): SentPacket[] {
  return packets.flatMap(({ sequence, position, payload }, i) => {
    const delayMs = delayOf(i);
    if (delayMs === undefined) return [];
    const arrivalUs = 2_000_000 + (position * 1e6) / RATE + delayMs * 1000;
    return [{ channel, sequence, timestamp: position, arrivalUs, payload }];
  });
}

function play(rig: CaptureRig, sent: readonly SentPacket[], channels: 1 | 2 = 1): CaptureRig {
  const stream = rig.open(ID, { codec: 'opus', clockRate: RATE, sampleRate: RATE, channels });
  for (const packet of sent.toSorted((a, b) => a.arrivalUs - b.arrivalUs)) rig.take(stream, packet);
  rig.advanceTo(rig.clock.nowUs() + 1_000_000);
  rig.end(stream);
  rig.work();
  return rig;
}

const pathOf = (rig: CaptureRig, file = 'audio.opus') => join(rig.outDir, ID, file);
const oggOf = (rig: CaptureRig, file?: string) => readOgg(readFileSync(pathOf(rig, file)));
const received = (packets: readonly Buffer[]) =>
  packets.filter((one) => !isConcealment(one, 0, one.length) && !isSilencePacket(one, 0, one.length));
const payloadsOf = (packets: readonly OpusPacket[]) => packets.map(({ payload }) => Buffer.from(payload));
const lengthOf = (packets: readonly OpusPacket[]) => packets.reduce((sum, { ticks }) => sum + ticks, 0);

/** Frames whose delay is usual, so that the playout delay is what it is. */
const inTime = () => 0;
/** One in seven is lost; of these every second one comes a second and a half late. */
const withLosses = (i: number) => (i % 7 !== 5 ? 0 : i % 14 === 5 ? undefined : 1_500);

describe.each(BACKENDS)('a recording of Opus packets, by the %s backend', (backend) => {
  it.each([
    ['20 ms', VOICE],
    ['mixed durations', MIXED],
  ])('has the packets that were sent, byte for byte, and their length: %s', (_, packets) => {
    const rig = play(makeRig(backend), arrivals(packets, inTime));
    expect(readdirSync(join(rig.outDir, ID)).sort()).toEqual(['audio.opus', 'session.json']);
    const { packets: stored, granule } = oggOf(rig);
    expect(stored).toEqual(payloadsOf(packets));
    expect(granule).toBe(lengthOf(packets));
    expect(rig.manifest(ID)).toMatchObject({ file: 'audio.opus', codec: 'opus', endReason: 'ended', packetsLost: 0 });
    if (!hasOpusPrograms) return;
    expect(faultsOf(pathOf(rig))).toEqual([]);
    const { samples } = play(makeRig(backend, 'wav'), arrivals(packets, inTime)).wav(ID);
    const decoded = decodeOpusFile(pathOf(rig));
    expect(decoded.length).toBe(samples.length);
    expect(decoded.findIndex((sample, i) => Math.abs(sample - (samples[i] as number)) > 1)).toBe(-1);
  });

  it('is decoded to what a recording as WAV has, from the start and from anywhere', () => {
    const rig = play(makeRig(backend), arrivals(VOICE, inTime));
    const { samples } = play(makeRig(backend, 'wav'), arrivals(VOICE, inTime)).wav(ID);
    const reader = readRecordedAudio(join(rig.outDir, ID));
    expect(reader).toMatchObject({ sampleRate: RATE, channels: 1, samples: samples.length });
    const decoded = new Int16Array(samples.length + 1);
    expect(reader.read(decoded)).toBe(samples.length);
    expect(decoded.findIndex((sample, i) => Math.abs(sample - (samples[i] ?? 0)) > 1)).toBe(-1);
    for (const at of [samples.length, 100_000, 0, 61_111]) {
      reader.seek(at);
      const part = new Int16Array(20_000);
      expect(reader.read(part)).toBe(Math.min(20_000, samples.length - at));
      // A decoder that begins in the middle comes close to the others, not all the way.
      const power = (from: (i: number) => number) => part.reduce((sum, _, i) => sum + from(i) ** 2, 0);
      const error = power((i) => (part[i] as number) - (decoded[at + i] ?? 0));
      expect(error).toBeLessThanOrEqual(0.01 * power((i) => decoded[at + i] ?? 0));
    }
    reader.close();
  });

  it('conceals what was lost, keeps its length, and has late packets in their places', () => {
    const rig = play(makeRig(backend), arrivals(VOICE, withLosses));
    expect(readdirSync(join(rig.outDir, ID)).sort()).toEqual(['audio.opus', 'session.json']);
    const { packets: stored, granule } = oggOf(rig);
    const came = VOICE.filter((_, i) => withLosses(i) !== undefined);
    expect(received(stored)).toEqual(payloadsOf(came));
    expect(stored).toHaveLength(VOICE.length);
    expect(granule).toBe(lengthOf(VOICE));
    const late = VOICE.filter((_, i) => withLosses(i) === 1_500).length;
    expect(rig.manifest(ID)).toMatchObject({ packetsLost: VOICE.length - came.length, packetsRepaired: late });
    if (!hasOpusPrograms) return;
    expect(faultsOf(pathOf(rig))).toEqual([]);
    expect(decodeOpusFile(pathOf(rig)).length).toBe(lengthOf(VOICE));
  });

  it('has a file for each of two channels, of the same length, whose packets need not be aligned', () => {
    const second = MIXED.map((packet) => ({ ...packet, position: packet.position + 12_345 }));
    const rig = play(makeRig(backend), [...arrivals(VOICE, inTime), ...arrivals(second, inTime, 1)], 2);
    const files = ['audio-external.opus', 'audio-internal.opus'];
    expect(readdirSync(join(rig.outDir, ID)).sort()).toEqual([...files, 'session.json']);
    expect(rig.manifest(ID)).toMatchObject({ file: files[0], channelFiles: files });
    expect(received(oggOf(rig, files[0]).packets)).toEqual(payloadsOf(VOICE));
    expect(received(oggOf(rig, files[1]).packets)).toEqual(payloadsOf(MIXED));
    const { durationMs } = { durationMs: Math.max(...rig.manifest(ID).spans.map(({ endMs }) => endMs)) };
    const both = readRecordedAudio(join(rig.outDir, ID));
    expect(both.channels).toBe(2);
    const pcm = new Int16Array(2 * 30_000);
    let done = 0;
    for (let got = 1; got > 0 && done < 30_000; done += got) got = both.read(pcm.subarray(2 * done));
    for (const channel of [0, 1] as const) {
      const one = readRecordedAudio(join(rig.outDir, ID), 1, channel);
      expect(Math.abs(one.samples - both.samples)).toBeLessThan(120);
      const alone = new Int16Array(done);
      one.read(alone);
      expect(alone).toEqual(pcm.subarray(0, 2 * done).filter((_, i) => i % 2 === channel));
      one.close();
    }
    both.close();
    for (const file of files) {
      expect(oggOf(rig, file).granule).toBe(Math.round(durationMs * 48));
      if (hasOpusPrograms) expect(faultsOf(pathOf(rig, file))).toEqual([]);
    }
  });
});

it.skipIf(missing !== undefined)('is the same file by both backends', () => {
  const [js, native] = BACKENDS.map((backend) => play(makeRig(backend), arrivals(MIXED, withLosses))) as [
    CaptureRig,
    CaptureRig,
  ];
  expect(readFileSync(pathOf(native)).equals(readFileSync(pathOf(js)))).toBe(true);
  expect(native.manifest(ID).spans).toEqual(js.manifest(ID).spans);
});

/** Whether all of `some` are in `all`, in that order. */
function isWithin(some: readonly Buffer[], all: readonly Buffer[]): boolean {
  let next = 0;
  for (const one of all) if (some[next]?.equals(one)) next++;
  return next === some.length;
}

/** The recorder of a killed process left the folder as it is now. */
function kill(outDir: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'trunkline-killed-'));
  cpSync(outDir, dir, { recursive: true });
  const checkpoint = readCheckpoint(join(dir, ID));
  const writer = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
  if (checkpoint !== undefined) writeCheckpoint(join(dir, ID), { ...checkpoint, writer }, 0o600);
  return dir;
}

describe('a recording of Opus packets after a kill', () => {
  const runs = process.env['TRUNKLINE_E2E'] === 'full' ? 100 : 6;

  it('opens after a repair, with all that had reached the file, whole pages and late packets (seeded)', async () => {
    for (let seed = 1; seed <= runs; seed++) {
      const random = mulberry32(seed);
      const rig = makeRig('js');
      const stream = rig.open(ID, { codec: 'opus', clockRate: RATE, sampleRate: RATE, channels: 1 });
      const sent = arrivals(VOICE, withLosses).toSorted((a, b) => a.arrivalUs - b.arrivalUs);
      const until = 60 + Math.floor(random() * (sent.length - 60));
      for (const packet of sent.slice(0, until)) rig.take(stream, packet);
      rig.work();
      const dir = kill(rig.outDir);
      const path = join(dir, ID, 'audio.opus');
      try {
        const before = readFileSync(path);
        // A kill may come in the middle of a write.
        const left = Math.floor(before.length * (0.5 + random() / 2));
        truncateSync(path, left);
        const whole = readOgg(before.subarray(0, left));
        expect((await repairRecordings(dir)).failed, `seed ${seed}`).toEqual([]);
        expect(readdirSync(join(dir, ID)).sort(), `seed ${seed}`).toEqual(['audio.opus', 'session.json']);
        const { packets, granule, bytes } = readOgg(readFileSync(path));
        expect(bytes).toBe(readFileSync(path).length);
        expect(granule).toBe(whole.granule);
        const kept = received(whole.packets);
        const found = received(packets);
        // Late packets may have come between them, and each is where it was sent.
        expect(isWithin(kept, found)).toBe(true);
        expect(isWithin(found, payloadsOf(VOICE))).toBe(true);
        const manifest = JSON.parse(readFileSync(join(dir, ID, 'session.json'), 'utf8'));
        expect(manifest).toMatchObject({ file: 'audio.opus', endReason: 'interrupted' });
        expect(Math.max(0, ...manifest.spans.map((span: { endMs: number }) => span.endMs))).toBeCloseTo(
          granule / 48,
          3,
        );
        if (hasOpusPrograms && seed <= 3) expect(faultsOf(path)).toEqual([]);
        expect((await repairRecordings(dir)).repaired).toEqual([]);
      } finally {
        rmSync(dir, { recursive: true });
      }
    }
  });
});
