import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecordedAudio } from '../../../src/sinks/recorder/files/recorded-audio.js';
import { repairRecordings } from '../../../src/sinks/recorder/repair.js';
import { hasFlac } from '../../support/recorder/flac-program.js';
import { decodeOpusFile, faultsOf, hasOpusPrograms } from '../../support/recorder/opus-programs.js';

if (!hasFlac || !hasOpusPrograms)
  console.warn('flac, opus-tools or ffmpeg is missing: files are read by our own readers alone');

/** Of a WAV file; in an Opus file, 300 are more than what stands in front of the audio. */
const HEADER_BYTES = 300;

let dir = '';
let program = '';
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-killed-'));
  program = join(dir, 'live-recorder.mjs');
  const input = new URL('../../support/recorder/live-recorder.ts', import.meta.url).pathname;
  const bundle = await rolldown({ input, platform: 'node', external: ['libopus-wasm'] });
  await bundle.write({ file: program, format: 'esm', codeSplitting: false });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/**
 * Kills the process once each stream has had so many frames of 20 ms, and a part of each is in its file: how soon that is
 * depends on the machine. Returns the bytes of audio that were there.
 */
async function killAfter(format: string, frames: number): Promise<{ out: string; bytes: number }> {
  const out = join(dir, `${format}-${frames}`);
  const child = spawn(process.execPath, [program, out, '3', '0', format], {
    env: { ...process.env, NODE_PATH: join(process.cwd(), 'node_modules') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    if (Number(chunk.toString().trim().split('\n').at(-1)) < frames * 160) return;
    const file = `audio.${format === 'opus' ? 'opus' : 'wav'}`;
    const sizes = [0, 1, 2].map((n) => statSync(join(out, `call-${n}`, file), { throwIfNoEntry: false })?.size ?? 0);
    bytes = Math.min(...sizes) - HEADER_BYTES;
    if (bytes > 0) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return { out, bytes };
}

/** 61 frames, and others where there is time: wherever between two writes that is. */
const FRAMES = process.env['TRUNKLINE_E2E'] === 'full' ? [47, 61, 83, 117, 151] : [61];

describe.each(FRAMES.flatMap((frames) => [['flac', frames] as const, ['opus', frames] as const]))(
  'kill -9 of a process that records as %s, after %i frames',
  (format, frames) => {
    it('leaves recordings that a repair completes, that open, and have all that was in the file', async () => {
      const { out, bytes } = await killAfter(format, frames);
      const report = await repairRecordings(out);
      expect(report).toMatchObject({ recordings: 3, live: [], failed: [] });
      expect(report.repaired).toHaveLength(3);
      for (const folder of report.repaired) {
        const path = join(out, folder, `audio.${format}`);
        expect(readdirSync(join(out, folder)).toSorted()).toEqual([`audio.${format}`, 'session.json']);
        const reader = readRecordedAudio(join(out, folder));
        const pcm = new Int16Array(reader.samples + 1);
        let done = 0;
        for (let got = 1; got > 0; done += got) got = reader.read(pcm.subarray(done));
        reader.close();
        expect(done).toBe(reader.samples);
        expect(done).toBeGreaterThan(0);
        if (format === 'flac') {
          expect(2 * done).toBeGreaterThanOrEqual(bytes);
          expect(pcm.subarray(0, done)).toEqual(Int16Array.from({ length: done }, (_, i) => i + 1));
          if (hasFlac) expect(spawnSync('flac', ['-t', '-s', path]).status).toBe(0);
        } else if (hasOpusPrograms) {
          expect(faultsOf(path)).toEqual([]);
          expect(decodeOpusFile(path).length).toBe(done);
        }
        const { spans, endReason } = JSON.parse(readFileSync(join(out, folder, 'session.json'), 'utf8'));
        expect(endReason).toBe('interrupted');
        expect(spans.at(-1).endMs).toBe((1000 * done) / reader.sampleRate);
      }
    });
  },
);
