import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAG } from '../../../src/ring/layout.js';
import { parseManifest } from '../../../src/sinks/recorder/files/manifest.js';
import { readCheckpoint } from '../../../src/sinks/recorder/files/manifest-file.js';
import { repairRecordings } from '../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, readWav, tone } from '../../support/recorder/recorder-rig.js';
import { mountTiny, unmount } from '../../support/recorder/tiny-disk.js';

// Real processes and real faults: what a kill and a full disk do cannot be shown by a stand-in.
let dir = '';
let program = '';
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-live-'));
  program = join(dir, 'live-recorder.mjs');
  const bundle = await rolldown({
    input: new URL('../../support/recorder/live-recorder.ts', import.meta.url).pathname,
    platform: 'node',
  });
  await bundle.write({ file: program, format: 'esm', codeSplitting: false });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the program under a shell's limits and gives the last line of its output. */
async function run(limits: string, out: string, streams: number, frames: number): Promise<Record<string, unknown>> {
  const script = `${limits}; exec "$@"`;
  const child = spawn('sh', ['-c', script, 'sh', process.execPath, program, out, `${streams}`, `${frames}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  return JSON.parse(text.trim().split('\n').at(-1) ?? '');
}

const wav = (folder: string) => readWav(readFileSync(join(folder, 'audio.wav')));
const manifest = (folder: string) => parseManifest(readFileSync(join(folder, 'session.json'), 'utf8'));
const ramp = (count: number) => Int16Array.from({ length: count }, (_, i) => i + 1);

describe('kill -9', () => {
  it('while recording loses less than the last second, and a repair does not touch what lives', async () => {
    const out = join(dir, 'killed');
    const child: ChildProcess = spawn(process.execPath, [program, out, '3', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let handedOver = 0;
    const halfway = new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        handedOver = Number(chunk.toString().trim().split('\n').at(-1));
        if (handedOver >= 8000) resolve();
        if (handedOver >= 20_000) child.kill('SIGKILL');
      });
    });
    await halfway;
    expect((await repairRecordings(out)).live).toEqual(['call-0', 'call-1', 'call-2']);
    await once(child, 'close');
    const report = await repairRecordings(out);
    expect(report).toEqual({ recordings: 3, repaired: ['call-0', 'call-1', 'call-2'], live: [], failed: [] });
    for (const folder of report.repaired) {
      const { samples } = wav(join(out, folder));
      expect(samples.length).toBeGreaterThan(handedOver - 8000);
      expect(samples).toEqual(ramp(samples.length));
      const mended = manifest(join(out, folder));
      expect(mended).toMatchObject({ endReason: 'interrupted', interactionId: folder });
      expect(mended?.spans.at(-1)?.endMs).toBe(samples.length / 8);
    }
  });
});

describe('limits of the system', () => {
  it('nothing goes wrong without them', async () => {
    const counted = await run('true', join(dir, 'free'), 2, 20);
    expect(counted).toMatchObject({ recordingsFinished: 2, recordingsFaulted: 0, framesRecorded: 40 });
    expect(wav(join(dir, 'free', 'call-1')).samples).toEqual(ramp(3200));
  });

  it('too few files: the streams that got none are counted, the others are whole, the reason is reported', async () => {
    // Longer than the time after which a recording is first written.
    const counted = await run('ulimit -n 40', join(dir, 'files'), 40, 75);
    expect(counted['recordingsFinished']).toBeGreaterThan(0);
    expect(counted['recordingsFaulted']).toBeGreaterThan(0);
    expect(counted['report']).toContain('ulimit -n');
    const folders = readdirSync(join(dir, 'files')).filter((name) => !name.startsWith('.'));
    const whole = folders.filter((folder) => {
      const found = manifest(join(dir, 'files', folder));
      return found?.endReason === 'ended' && found.incomplete === undefined;
    });
    expect(whole.length).toBeGreaterThan(0);
    for (const folder of whole) expect(wav(join(dir, 'files', folder)).samples).toEqual(ramp(75 * 160));
  });

  it('a file size that is not allowed: counted and reported, and the process lives on', async () => {
    const counted = await run("trap '' XFSZ; ulimit -f 16", join(dir, 'size'), 1, 80);
    expect(counted).toMatchObject({ recordingsFaulted: 1, framesRecorded: 80 });
    expect(counted['samplesDropped']).toBeGreaterThan(0);
    expect(counted['report']).toContain('EFBIG');
    expect(manifest(join(dir, 'size', 'call-0'))).toMatchObject({ endReason: 'ended', incomplete: true });
    expect(wav(join(dir, 'size', 'call-0')).samples.length).toBeGreaterThan(3000);
  });
});

describe('a folder that cannot be written', () => {
  it('fails that much of the recording only, and once it can, goes on', () => {
    const r = new RecorderRig({ options: { outDir: join(dir, 'late') } });
    writeFileSync(join(dir, 'late'), 'a file where the folder should be');
    r.open(streamInfo({ interactionId: 'call' }));
    for (let at = 0; at < 8000; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.work();
    expect(r.status.counters()).toMatchObject({ recordingsFaulted: 1, recordsInvalid: 0 });
    expect(r.status.takeReport()).toMatch(/cannot be written \((ENOTDIR|EEXIST)\)/);
    rmSync(join(dir, 'late'));
    r.work(2_000_000);
    for (let at = 8000; at < 16_000; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.closeStream(0);
    r.work();
    const dropped = r.status.counters().samplesDropped;
    const { samples } = wav(join(dir, 'late', 'call'));
    expect(samples.length).toBe(16_000);
    expect(samples.subarray(0, dropped)).toEqual(new Int16Array(dropped));
    expect(samples.subarray(dropped)).toEqual(tone(dropped, 16_000 - dropped));
    expect(manifest(join(dir, 'late', 'call'))).toMatchObject({ endReason: 'ended', incomplete: true });
    r.remove();
  });

  it('a full disk leaves gaps in its own streams only, and space that returns is used', (context) => {
    const r = new RecorderRig();
    const full = mountTiny(128, join(r.outDir, 'full'));
    if (full === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    try {
      writeFileSync(join(full, 'ballast'), Buffer.alloc(40_000));
      r.open(streamInfo({ stream: 0, interactionId: 'full' }));
      r.open(streamInfo({ stream: 1, interactionId: 'roomy' }));
      const feed = (from: number, to: number) => {
        for (let at = from; at < to; at += 160) {
          for (const stream of [0, 1]) r.frame(stream, 0, at, tone(at, 160));
          r.work(20_000);
        }
      };
      feed(0, 80_000);
      expect(r.status.counters()).toMatchObject({ recordingsFaulted: 1 });
      expect(r.status.takeReport()).toContain('ENOSPC');
      const dropped = r.status.counters().samplesDropped;
      expect(dropped).toBeGreaterThan(0);
      rmSync(join(full, 'ballast'));
      feed(80_000, 88_000);
      for (const stream of [0, 1]) r.closeStream(stream);
      r.work();
      expect(wav(join(r.outDir, 'roomy')).samples).toEqual(tone(0, 88_000));
      const { samples } = wav(join(r.outDir, 'full'));
      expect(samples.length).toBe(88_000);
      expect(samples.subarray(86_000)).toEqual(tone(86_000, 2000));
      expect(manifest(join(r.outDir, 'full'))?.incomplete).toBe(true);
      expect(r.status.counters().recordingsIncomplete).toBe(1);
    } finally {
      r.recorder.close();
      unmount(full);
      r.remove();
    }
  });
});

describe('a disk that is full to the end', () => {
  it('leaves no manifest with missing audio that does not say where', (context) => {
    const full = mountTiny();
    if (full === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    const r = new RecorderRig({ options: { outDir: full } });
    const streams = [0, 1, 2];
    try {
      for (const stream of streams) r.open(streamInfo({ stream, interactionId: `call-${stream}` }));
      for (let at = 0; at < 80_000; at += 160) {
        for (const stream of streams) r.frame(stream, 0, at, tone(at, 160), at % 1600 < 800 ? FLAG.SILENT : 0);
        r.work(20_000);
      }
      // What a kill would leave now.
      for (const stream of streams)
        expect(readCheckpoint(join(full, `call-${stream}`))?.incomplete, `call-${stream}`).toBe(true);
      r.closeStream(0);
      r.closeStream(1);
      for (let second = 0; second < 10; second++) r.work(1_000_001);
      r.recorder.close();
      expect(r.status.counters().recordingsIncomplete).toBe(streams.length);
      for (const stream of streams) {
        const folder = join(full, `call-${stream}`);
        const { samples } = wav(folder);
        expect(samples.length, folder).toBe(80_000);
        expect(readdirSync(folder).sort()).toEqual(['audio.wav', 'session.json']);
        const found = manifest(folder);
        expect(found, folder).toMatchObject({ incomplete: true });
        const written = samples.findIndex((sample, i) => sample !== tone(i, 1)[0]);
        const last = found?.spans.at(-1);
        expect(last, folder).toMatchObject({ state: 'lost', endMs: 10_000, notRecorded: true });
        // A write that failed halfway counts as lost from its beginning.
        expect(last?.startMs, folder).toBeLessThanOrEqual(written / 8);
        expect(found?.notRecordedMs, folder).toBe(10_000 - (last?.startMs ?? 0));
      }
    } finally {
      r.recorder.close();
      r.remove();
      unmount(full);
    }
  });
});
