import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wavHeader } from '../../src/audio/wav.js';
import type { Manifest } from '../../src/sinks/recorder/files/manifest.js';
import { thisWriter, type Writer } from '../../src/sinks/recorder/files/writer.js';

export interface WrittenRecording {
  /** Of the manifest. */
  readonly manifest?: Partial<Manifest>;
  /** Interleaved; default one second of silence on one channel. */
  readonly pcm?: Int16Array;
  /** It is still being written, or its process was killed. */
  readonly unfinished?: 'alive' | 'dead';
}

export const STARTED_MS = Date.parse('2026-03-01T10:00:00.000Z');

/** A recording as the recorder leaves it; `id` is its folder and, unless the manifest says otherwise, its interaction. */
export function writeRecording(directory: string, id: string, options: WrittenRecording = {}): void {
  const { manifest = {}, unfinished } = options;
  const { sampleRate = 8000, channels = 1 } = manifest;
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
  // A recording that is being written has a header without a length.
  const header = wavHeader({ sampleRate, channels }, unfinished === undefined ? pcm.length * 2 : 0);
  writeFileSync(join(folder, 'audio.wav'), Buffer.concat([header, Buffer.from(pcm.buffer)]));
}

function writerOf(state: 'alive' | 'dead'): Writer {
  const writer = thisWriter();
  return state === 'alive' ? writer : { ...writer, startTicks: '1' };
}
