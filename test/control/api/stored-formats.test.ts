import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { parseWav } from '../../../src/audio/wav.js';
import { readManifest, writeManifest } from '../../../src/sinks/recorder/files/manifest-file.js';
import { startControlNode } from '../../support/control/control-node.js';
import { writeRecording } from '../../support/recordings.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-formats-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

/** Two channels that differ, each half a second of tones at 48 kHz. */
const PCM = Int16Array.from({ length: 48_000 }, (_, i) =>
  Math.round(8000 * Math.sin((i >> 1) / (i % 2 === 0 ? 20 : 31))),
);
const RATE = 48_000;
const pathOf = (id: string, rest = ''): string => `/api/v1/recordings/${encodeURIComponent(id)}${rest}`;

async function startWith(formats: readonly ('flac' | 'opus' | 'wav')[]) {
  for (const format of formats) {
    const stored = format === 'wav' ? {} : { format };
    writeRecording(folder, format, { pcm: PCM, manifest: { channels: 2, sampleRate: RATE }, ...stored });
  }
  const { control, ask } = await startControlNode({ recordings: folder });
  const get = async (path: string, range?: string) => {
    const response = await fetch(`${control.url}${path}`, range === undefined ? {} : { headers: { range } });
    return { response, bytes: Buffer.from(await response.arrayBuffer()) };
  };
  return { ask, get };
}

function samplesOf(wav: Buffer): Int16Array {
  const { dataOffset, dataLength } = parseWav(wav);
  return new Int16Array(wav.buffer.slice(wav.byteOffset + dataOffset, wav.byteOffset + dataOffset + dataLength));
}

/** toEqual() takes a second for so many. */
const isSame = (a: Int16Array, b: Int16Array): boolean =>
  a.length === b.length && a.every((sample, i) => sample === b[i]);

describe('a recording that is stored as FLAC', () => {
  it('has the waveform that it has as WAV', async () => {
    const { ask } = await startWith(['flac', 'wav']);
    const waveform = (await ask(pathOf('flac', '/waveform?points=50'))).json;
    expect(waveform).toEqual((await ask(pathOf('wav', '/waveform?points=50'))).json);
    expect(waveform).toMatchObject({ sampleRate: RATE, durationSeconds: 0.5 });
  });

  it('is answered as it is stored, or decoded, with ranges of either', async () => {
    const { get } = await startWith(['flac', 'wav']);
    const stored = readFileSync(join(folder, 'flac', 'audio.flac'));
    const wav = readFileSync(join(folder, 'wav', 'audio.wav'));
    const asStored = await get(pathOf('flac', '/audio.wav'));
    expect(asStored.response.headers.get('content-type')).toBe('audio/flac');
    expect(asStored.bytes.equals(stored)).toBe(true);
    const decoded = await get(pathOf('flac', '/audio.wav?format=wav'));
    expect(decoded.response.headers.get('content-type')).toBe('audio/wav');
    expect(decoded.response.headers.get('content-disposition')).toContain('flac-audio.wav');
    expect(decoded.bytes.equals(wav)).toBe(true);
    for (const [range, start, end] of [
      ['bytes=0-9', 0, 10],
      ['bytes=40-48', 40, 49],
      ['bytes=50001-', 50_001, wav.length],
      ['bytes=-7', wav.length - 7, wav.length],
      ['bytes=95999-999999999', 95_999, wav.length],
    ] as const) {
      const part = await get(pathOf('flac', '/audio.wav?format=wav'), range);
      expect(part.response.status, range).toBe(206);
      expect(part.response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${wav.length}`);
      expect(part.bytes.equals(wav.subarray(start, end)), range).toBe(true);
    }
    const beyond = await get(pathOf('flac', '/audio.wav?format=wav'), `bytes=${wav.length}-`);
    expect(beyond.response.status).toBe(416);
    for (const range of ['bytes=9-3', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=-']) {
      expect((await get(pathOf('flac', '/audio.wav?format=wav'), range)).bytes.length, range).toBe(wav.length);
    }
  });

  it('has each channel alone, as that of WAV has', async () => {
    const { get, ask } = await startWith(['flac', 'wav']);
    for (const id of ['flac', 'wav']) {
      for (const channel of [0, 1]) {
        const { bytes } = await get(pathOf(id, `/audio.wav?format=wav&channel=${channel}`));
        expect(parseWav(bytes).channels).toBe(1);
        expect(
          isSame(
            samplesOf(bytes),
            PCM.filter((_, i) => i % 2 === channel),
          ),
        ).toBe(true);
      }
      expect((await ask(pathOf(id, '/audio.wav?format=wav&channel=2'))).status).toBe(400);
    }
    writeRecording(folder, 'mono', { format: 'flac' });
    expect((await ask(pathOf('mono', '/audio.wav?format=wav&channel=1'))).status).toBe(409);
  });

  it('is refused, and says why, where it is damaged or names files of others', async () => {
    const { get, ask } = await startWith(['flac']);
    truncateSync(join(folder, 'flac', 'audio.flac'), 10_000);
    const refused = await ask(pathOf('flac', '/waveform'));
    expect(refused).toMatchObject({ status: 409, json: { error: { code: 'fileInvalid' } } });
    expect(JSON.stringify(refused.json)).toContain('It is damaged at 0.');
    await expect(get(pathOf('flac', '/audio.wav?format=wav'))).rejects.toThrow();
    mkdirSync(join(folder, 'evil'));
    cpSync(join(folder, 'flac'), join(folder, 'evil'), { recursive: true });
    const manifest = readManifest(join(folder, 'evil'));
    if (manifest === undefined) throw new Error('There is no manifest.');
    writeManifest(join(folder, 'evil'), { ...manifest, file: '../flac/audio.flac' }, 0o600);
    expect((await ask(pathOf('evil', '/waveform'))).status).toBe(404);
    expect((await ask(pathOf('evil', '/audio.wav?format=wav'))).status).toBe(404);
  });
});

describe('a recording that is stored as Opus', () => {
  it('has both channels in its waveform and as WAV, and each alone', async () => {
    const { get, ask } = await startWith(['opus']);
    const waveform = (await ask(pathOf('opus', '/waveform?points=10'))).json as { channels: { max: number[] }[] };
    expect(waveform.channels).toHaveLength(2);
    for (const { max } of waveform.channels) for (const value of max.slice(2)) expect(value).toBeGreaterThan(0.15);
    const { bytes } = await get(pathOf('opus', '/audio.wav?format=wav'));
    expect(parseWav(bytes)).toMatchObject({ channels: 2, sampleRate: RATE });
    const both = samplesOf(bytes);
    expect(both.length).toBe(PCM.length);
    for (const channel of [0, 1]) {
      const alone = await get(pathOf('opus', `/audio.wav?format=wav&channel=${channel}`));
      expect(
        isSame(
          samplesOf(alone.bytes),
          both.filter((_, i) => i % 2 === channel),
        ),
      ).toBe(true);
      const stored = await get(pathOf('opus', `/audio.wav?channel=${channel}`));
      const file = `audio-${channel === 0 ? 'external' : 'internal'}.opus`;
      expect(stored.bytes.equals(readFileSync(join(folder, 'opus', file)))).toBe(true);
    }
    const part = await get(pathOf('opus', '/audio.wav?format=wav'), 'bytes=75000-75099');
    expect([part.response.status, part.bytes.length]).toEqual([206, 100]);
  });
});
