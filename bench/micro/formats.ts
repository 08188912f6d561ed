import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { decodePcmu, encodePcmu } from '../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { wavHeader } from '../../src/audio/wav.js';
import { nativeFlacEncoder } from '../../src/native/flac-encoder.js';
import { loadClips } from '../../src/simulator/sound/speech.js';
import { FlacJob } from '../../src/sinks/recorder/conversion/flac-job.js';
import { PlainFile } from '../../src/sinks/recorder/files/byte-file.js';
import { readRecordedAudio } from '../../src/sinks/recorder/files/recorded-audio.js';
import type { MicroCase } from './micro-case.js';

const FORMAT = { sampleRate: 8000, channels: 1 } as const;
const PACKET_SAMPLES = 160;
const PACKETS = 1_500;
const UNIT = '20 ms of speech at 8 kHz, PCMU';
const PLAIN = 'WAV file to FLAC file, JavaScript';

/**
 * What it takes to make a FLAC file of a recording once its call has ended, with the checksums and the files, in the
 * folder for temporary files; and to read it. An hour of one channel is 180,000 times that.
 */
export function formatCases(): MicroCase[] {
  const cases = [converting(PLAIN, false), reading()];
  const hasNative = nativeFlacEncoder(FORMAT, 1024, new Int16Array(1024), new Uint8Array(4096)) !== undefined;
  return hasNative ? [...cases, { ...converting('WAV file to FLAC file, native', true), beside: PLAIN }] : cases;
}

function converting(name: string, usesNative: boolean): MicroCase {
  let folder: string | undefined;
  return {
    name,
    unit: UNIT,
    steps: PACKETS,
    run() {
      folder ??= makeFolder();
      convert(folder, usesNative);
    },
  };
}

function reading(): MicroCase {
  let file: string | undefined;
  const block = new Int16Array(1 << 14);
  return {
    name: 'FLAC file to samples',
    unit: UNIT,
    steps: PACKETS,
    run() {
      file ??= convert(makeFolder(), false);
      const reader = readRecordedAudio(file);
      while (reader.read(block) > 0);
      reader.close();
    },
  };
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const clips = loadClips().filter(({ sampleRate }) => sampleRate === FORMAT.sampleRate);
  const all = clips.flatMap(({ pcm }) => [...pcm]);
  const speech = Int16Array.from({ length: PACKETS * PACKET_SAMPLES }, (_, i) => all[i % all.length] ?? 0);
  const out = SampleMemory.copyOf(speech);
  decodePcmu(SampleMemory.copyOf(encodePcmu(speech)), 0, speech.length, out, 0);
  const pcm = new Uint8Array(out.samples.buffer, 0, 2 * speech.length);
  writeFileSync(join(folder, 'audio.wav'), Buffer.concat([wavHeader(FORMAT, pcm.length), pcm]));
  return folder;
}

/** Returns the path of the file. */
function convert(folder: string, usesNative: boolean): string {
  const [source, target] = [new PlainFile(), new PlainFile()];
  const path = join(folder, 'audio.flac');
  rmSync(path, { force: true });
  source.reopen(join(folder, 'audio.wav'));
  target.create(path, 0o600);
  const job = new FlacJob(source, target, FORMAT, PACKETS * PACKET_SAMPLES, usesNative);
  while (!job.step());
  source.close();
  target.close();
  return path;
}
