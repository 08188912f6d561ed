import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { PcmReader } from '../../../src/audio/files/pcm-reader.js';
import { readPcm } from '../../../src/audio/files/read-pcm.js';
import { loadClips } from '../../../src/simulator/sound/speech.js';
import { mulberry32 } from '../../support/random.js';
import { flacFile } from '../../support/recorder/flac-file.js';
import { hasFlac } from '../../support/recorder/flac-program.js';
import { memorySource } from '../../support/recorder/memory-source.js';

if (!hasFlac) console.warn('skipped: flac is missing; files of other encoders are not read');

const SEED = 11;

/** All that is left, in blocks of odd lengths. */
function readAll(reader: PcmReader): Int16Array {
  const blocks: Int16Array[] = [];
  for (let length = 1; ; length = (length * 7) % 5003) {
    const block = new Int16Array(length * reader.channels);
    const got = reader.read(block);
    if (got === 0) break;
    blocks.push(block.subarray(0, got * reader.channels));
  }
  return Int16Array.from(blocks.flatMap((block) => [...block]));
}

/** Noise, tones, silence and constants in turn, with some zero bits. */
function randomAudio(random: () => number, samples: number): Int16Array {
  const pcm = new Int16Array(samples);
  for (let at = 0; at < samples; ) {
    const end = Math.min(samples, at + 1 + Math.floor(random() * 3000));
    const [kind, peak, step] = [Math.floor(random() * 4), 2 ** (random() * 15), 2 ** Math.floor(random() * 5)];
    for (; at < end; at++) {
      const value = kind === 0 ? 2 * random() - 1 : kind === 1 ? Math.sin(at / 7) : kind === 2 ? 1 : 0;
      pcm[at] = Math.round((value * peak) / step) * step;
    }
  }
  return pcm;
}

/** A file by the reference encoder, of raw samples. */
function byFlac(raw: Uint8Array, bits: number, channels: number, args: readonly string[]): Buffer {
  const format = ['--endian=little', '--sign=signed', '--sample-rate=44100', `--bps=${bits}`, `--channels=${channels}`];
  const all = ['-c', '-s', '--force-raw-format', ...format, ...args, '-'];
  const { status, stdout, stderr } = spawnSync('flac', all, { input: raw, maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}

const bytesOf = (pcm: Int16Array) => new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);

describe('a FLAC file', () => {
  it.each([1, 2] as const)(`of ${'%i'} channels has the samples that were coded (seed ${SEED})`, (channels) => {
    const random = mulberry32(SEED + channels);
    for (let round = 0; round < 12; round++) {
      const pcm = randomAudio(random, channels * (1 + Math.floor(random() * 9000)));
      const sampleRate = [8000, 16_000, 48_000][round % 3] as number;
      const reader = readPcm(memorySource(flacFile(pcm, { sampleRate, channels })));
      expect(reader).toMatchObject({ sampleRate, channels, samples: pcm.length / channels });
      expect(readAll(reader)).toEqual(pcm);
      reader.close();
    }
  });

  it('goes on at any sample', () => {
    const random = mulberry32(SEED);
    const pcm = randomAudio(random, 2 * 30_000);
    const reader = readPcm(memorySource(flacFile(pcm, { sampleRate: 8000, channels: 2 })));
    for (const at of [29_999, 0, 1024, 1023, 15_000, 15_001, 30_000, 7, 99_999]) {
      reader.seek(at);
      const block = new Int16Array(2 * 3000);
      const got = reader.read(block);
      expect(got).toBe(Math.max(0, Math.min(3000, 30_000 - at)));
      expect(block.subarray(0, 2 * got)).toEqual(pcm.subarray(2 * at, 2 * (at + got)));
    }
    reader.close();
  });

  it('that is damaged or cut off anywhere is refused, and never gives other samples', () => {
    const random = mulberry32(SEED);
    const pcm = randomAudio(random, 6000);
    const file = flacFile(pcm, { sampleRate: 8000, channels: 1 });
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      const bytes = round % 3 === 0 ? file.slice(0, Math.floor(random() * file.length)) : file.slice();
      const at = Math.floor(random() * bytes.length);
      if (round % 3 !== 0) bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
      try {
        const got = readAll(readPcm(memorySource(bytes)));
        // What says how long it is, and of what, has no checksum.
        if (at > 80) expect(got).toEqual(pcm);
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'FILE_INVALID' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(200);
  });

  it('may have a seek table of any length', () => {
    const pcm = randomAudio(mulberry32(SEED), 5000);
    const file = Buffer.from(flacFile(pcm, { sampleRate: 8000, channels: 1 }));
    // Behind STREAMINFO, the first block.
    const [at, points] = [42, 800_000];
    const table = Buffer.alloc(4 + 18 * points);
    table.writeUInt32BE(0x0300_0000 + 18 * points);
    for (let n = 0; n < points; n++) table.writeBigUInt64BE(BigInt(1_000_000 + n), 4 + 18 * n);
    const reader = readPcm(memorySource(Buffer.concat([file.subarray(0, at), table, file.subarray(at)])));
    expect(readAll(reader)).toEqual(pcm);
  });

  it('says where it is damaged', () => {
    const file = flacFile(randomAudio(mulberry32(SEED), 80_000), { sampleRate: 8000, channels: 1 });
    const last = file.length - 20;
    file[last] = (file[last] as number) ^ 1;
    expect(() => readAll(readPcm(memorySource(file)))).toThrow(
      /damaged at 9\.\d{3} s: the FLAC frame has a wrong checksum/,
    );
  });
});

describe.skipIf(!hasFlac)('a FLAC file of the reference encoder (needs flac)', () => {
  const speech = loadClips()[0]?.pcm.slice(0, 20_000) ?? new Int16Array(0);
  const stereo = Int16Array.from({ length: 40_000 }, (_, i) => {
    const sample = speech[i >> 1] as number;
    return i % 2 === 0 ? sample : (sample >> 1) + ((i * 7) % 5);
  });

  it.each([
    ['linear prediction of order 32', 1, ['-l', '32', '-b', '4608', '--lax']],
    ['the best that it can do', 1, ['-8', '-e', '-p']],
    ['a channel and the difference', 2, ['-8']],
    ['no difference of channels', 2, ['-3', '--no-mid-side']],
    ['blocks of 192 samples', 2, ['-5', '-b', '192']],
  ] as const)('with %s', (_, channels, args) => {
    const pcm = channels === 1 ? speech : stereo;
    expect(readAll(readPcm(memorySource(byFlac(bytesOf(pcm), 16, channels, args))))).toEqual(pcm);
  });

  it('of 24 bits and of 8 bits becomes 16', () => {
    const wide = new Uint8Array(speech.length * 3);
    const view = new DataView(wide.buffer);
    for (const [i, sample] of speech.entries()) {
      view.setUint8(3 * i, i % 251);
      view.setInt16(3 * i + 1, sample, true);
    }
    expect(readAll(readPcm(memorySource(byFlac(wide, 24, 1, ['-8']))))).toEqual(speech);
    const narrow = Int8Array.from(speech, (sample) => sample >> 8);
    const read = readAll(readPcm(memorySource(byFlac(new Uint8Array(narrow.buffer), 8, 1, ['-8']))));
    expect(read).toEqual(Int16Array.from(narrow, (sample) => sample << 8));
  });

  it('whose length is not known, as a pipe leaves it', () => {
    const file = byFlac(bytesOf(speech), 16, 1, ['-5']);
    // The 36 bits of the number of samples.
    file[21] = (file[21] as number) & 0xf0;
    file.fill(0, 22, 26);
    const reader = readPcm(memorySource(file));
    expect(reader.samples).toBe(speech.length);
    expect(readAll(reader)).toEqual(speech);
  });
});
