import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OpusEncoder } from '../../src/audio/codecs/opus.js';
import { wavHeader } from '../../src/audio/wav.js';
import { channelFile, fileNames, type Manifest } from '../../src/sinks/recorder/files/manifest.js';
import { thisWriter, type Writer } from '../../src/sinks/recorder/files/writer.js';
import { oggOpus } from './ogg-opus.js';
import { flacFile } from './recorder/flac-file.js';

export interface WrittenRecording {
  /** Of the manifest. */
  readonly manifest?: Partial<Manifest>;
  /** Interleaved; default one second of silence on one channel. */
  readonly pcm?: Int16Array;
  /** It is still being written, or its process was killed. */
  readonly unfinished?: 'alive' | 'dead';
  /** It is stored as that instead of WAV; `opus` of speech at 48 kHz, a file for each channel. */
  readonly format?: 'flac' | 'opus';
}

export const STARTED_MS = Date.parse('2026-03-01T10:00:00.000Z');

/** A recording as the recorder leaves it; `id` is its folder and, unless the manifest says otherwise, its interaction. */
export function writeRecording(directory: string, id: string, options: WrittenRecording = {}): void {
  const { unfinished, format } = options;
  const { sampleRate = 8000, channels = 1 } = options.manifest ?? {};
  const manifest = { ...(format && namesOf(format, channels)), ...options.manifest };
  const pcm = options.pcm ?? new Int16Array(sampleRate * channels);
  const startedAt = manifest.startedAt ?? new Date(STARTED_MS).toISOString();
  const endedAt = new Date(Date.parse(startedAt) + (pcm.length * 1000) / channels / sampleRate).toISOString();
  const whole: Manifest = {
    interactionId: id,
    codec: 'pcmu',
    clockRate: sampleRate,
    sampleRate,
    channels,
    startedAt,
    endedAt: unfinished === undefined ? endedAt : null,
    endReason: unfinished === undefined ? 'ended' : null,
    ...{ packetsReceived: 50, bytesReceived: 8000, packetsLost: 0, packetsLate: 0, packetsRepaired: 0 },
    ...{ packetsDuplicate: 0, packetsReordered: 0, decodeErrors: 0 },
    spans: [],
    ...(unfinished === undefined ? {} : { writer: writerOf(unfinished) }),
    ...manifest,
  };
  const folder = join(directory, id);
  mkdirSync(folder, { recursive: true });
  const name = unfinished === undefined ? 'session.json' : 'session.json.partial';
  writeFileSync(join(folder, name), `${JSON.stringify(whole, null, 2)}\n`);
  if (format === 'flac') writeFileSync(join(folder, 'audio.flac'), flacFile(pcm, { sampleRate, channels }));
  if (format === 'opus') writeOpus(folder, pcm, channels);
  if (format !== undefined) return;
  // A recording that is being written has a header without a length.
  const header = wavHeader({ sampleRate, channels }, unfinished === undefined ? pcm.length * 2 : 0);
  writeFileSync(join(folder, 'audio.wav'), Buffer.concat([header, Buffer.from(pcm.buffer)]));
}

function namesOf(format: 'flac' | 'opus', channels: 1 | 2): Pick<Manifest, 'file' | 'channelFiles'> {
  return format === 'flac' ? { file: 'audio.flac' } : fileNames('audio.opus', channels);
}

/** Packets of 20 ms at 48 kHz, each channel for itself. */
function writeOpus(folder: string, pcm: Int16Array, channels: 1 | 2): void {
  for (const channel of channels === 1 ? ([0] as const) : ([0, 1] as const)) {
    const encoder = new OpusEncoder({ sampleRate: 48_000, complexity: 0 });
    const own = pcm.filter((_, i) => i % channels === channel);
    const packets: Uint8Array[] = [];
    for (let at = 0; at + 960 <= own.length; at += 960) packets.push(encoder.encode(own.slice(at, at + 960)));
    encoder.free();
    writeFileSync(join(folder, channelFile('audio.opus', channel, channels)), oggOpus(packets));
  }
}

function writerOf(state: 'alive' | 'dead'): Writer {
  const writer = thisWriter();
  return state === 'alive' ? writer : { ...writer, startTicks: '1' };
}
