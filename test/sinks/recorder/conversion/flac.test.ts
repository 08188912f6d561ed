import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FLAG, MARK } from '../../../../src/ring/layout.js';
import { conversionThread } from '../../../../src/sinks/recorder/conversion/convert.js';
import { readCheckpoint, writeCheckpoint } from '../../../../src/sinks/recorder/files/manifest-file.js';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { decodeFlac, hasFlac } from '../../../support/recorder/flac-program.js';
import { RecorderRig, readWav, tone } from '../../../support/recorder/recorder-rig.js';
import { mountTiny, unmount } from '../../../support/recorder/tiny-disk.js';

const ID = streamInfo().interactionId;
const rigs: RecorderRig[] = [];
function rig(setup: ConstructorParameters<typeof RecorderRig>[0] = {}): RecorderRig {
  const made = new RecorderRig({ ...setup, options: { format: 'flac', ...setup.options } });
  rigs.push(made);
  return made;
}
afterEach(() => {
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

/** Each look at the clock takes so long that a turn of the recorder has time for one step of a conversion only. */
function slowDown(r: RecorderRig): void {
  const nowUs = r.clock.nowUs.bind(r.clock);
  r.clock.nowUs = () => {
    r.clock.advanceUs(6_000);
    return nowUs();
  };
}

const FRAMES = 300;
const SAMPLES = FRAMES * 160;

/** Six seconds of one or two channels. */
function feed(r: RecorderRig, stream = 0, channels: 1 | 2 = 1, frames = FRAMES): void {
  for (let i = 0; i < frames; i++) {
    for (let channel = 0; channel < channels; channel++) r.frame(stream, channel, i * 160, tone(i * 160, 160, channel));
  }
}

const filesOf = (r: RecorderRig, folder = ID) => readdirSync(join(r.outDir, folder)).sort();
const pathOf = (r: RecorderRig, file: string, folder = ID) => join(r.outDir, folder, file);

/** The recorder of a killed process left the folder in that state. */
function kill(r: RecorderRig): string {
  const dir = mkdtempSync(join(tmpdir(), 'trunkline-killed-'));
  cpSync(r.outDir, dir, { recursive: true });
  for (const folder of readdirSync(dir).filter((name) => !name.startsWith('.'))) {
    const checkpoint = readCheckpoint(join(dir, folder));
    const writer = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
    if (checkpoint !== undefined) writeCheckpoint(join(dir, folder), { ...checkpoint, writer }, 0o600);
  }
  return dir;
}

describe.skipIf(!hasFlac)('a recording as FLAC (needs flac)', () => {
  it('has the samples bit for bit, late packets included, and names its file in session.json', () => {
    const r = rig();
    r.open(streamInfo({ channels: 2 }));
    feed(r, 0, 2, 50);
    r.frame(0, 0, 8000, new Int16Array(160), FLAG.LOST | FLAG.CONCEALED);
    r.frame(0, 1, 8000, tone(8000, 160, 1));
    r.mark(0, 0, 8160, 800, MARK.PAUSED);
    r.work(1_000_000);
    r.correction(0, 0, 8000, tone(8000, 160));
    r.closeStream(0);
    r.work();
    expect(filesOf(r)).toEqual(['audio.flac', 'session.json']);
    const manifest = r.manifest(ID);
    expect(manifest).toMatchObject({ file: 'audio.flac', endReason: 'ended', packetsRepaired: 1 });
    expect(manifest).not.toHaveProperty('notConverted');
    const pcm = decodeFlac(readFileSync(pathOf(r, 'audio.flac')));
    const channel = (which: number) => pcm.filter((_, i) => i % 2 === which);
    expect(channel(0)).toEqual(Int16Array.of(...tone(0, 8160), ...new Int16Array(800)));
    expect(channel(1)).toEqual(Int16Array.of(...tone(0, 8160, 1), ...new Int16Array(800)));
    expect(r.status.counters()).toMatchObject({ recordingsFinished: 1, recordingsNotConverted: 0 });
  });

  it('has a seek table that leads to frames', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 1, 1500);
    r.closeStream(0);
    r.work();
    const file = pathOf(r, 'audio.flac');
    const list = execFileSync('metaflac', ['--list', '--block-type=SEEKTABLE', file], { encoding: 'utf8' });
    const points = [...list.matchAll(/sample_number=(\d+), stream_offset=(\d+)/g)].map(([, ...found]) =>
      found.map(Number),
    );
    expect(points.map(([sample]) => sample)).toEqual([0, 79_872, 159_744, 239_616].filter((at) => at < 240_000));
    for (const [sample = 0] of points) {
      const from = execFileSync(
        'flac',
        ['-d', '-c', '-s', `--skip=${sample}`, '--force-raw-format', '--endian=little', '--sign=signed', file],
        { maxBuffer: 1 << 24 },
      );
      expect(new Int16Array(from.buffer, from.byteOffset, 200)).toEqual(tone(sample, 200));
    }
  });

  it('is made of all files of a call that changed its format, at its end', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.closeStream(0, { endReason: 'formatChanged' });
    const segment = { number: 2, firstStartedAtMs: streamInfo().startedAtMs, startMs: 6000 };
    r.open(streamInfo({ stream: 1, codec: 'l16', sampleRate: 16_000, clockRate: 16_000, segment }));
    r.work();
    expect(filesOf(r)).toContain('audio.wav');
    feed(r, 1);
    r.closeStream(1);
    r.work();
    expect(filesOf(r)).toEqual(['audio-2.flac', 'audio.flac', 'session.json']);
    expect(r.manifest(ID).segments?.map(({ file }) => file)).toEqual(['audio.flac', 'audio-2.flac']);
    expect(decodeFlac(readFileSync(pathOf(r, 'audio.flac')))).toEqual(tone(0, SAMPLES));
    expect(decodeFlac(readFileSync(pathOf(r, 'audio-2.flac')))).toEqual(tone(0, SAMPLES));
  });

  it('delays no other recording: a turn of the recorder codes a share, and takes what has come', () => {
    const r = rig();
    r.open(streamInfo());
    r.open(streamInfo({ stream: 1, interactionId: 'other' }));
    feed(r);
    r.closeStream(0);
    r.work();
    expect(filesOf(r)).toContain('audio.flac');
    r.open(streamInfo({ stream: 2, interactionId: 'third' }));
    feed(r, 2);
    r.work();
    slowDown(r);
    r.closeStream(2);
    let turns = 0;
    for (; !filesOf(r, 'third').includes('session.json'); turns++) {
      r.frame(1, 0, turns * 160, tone(0, 160));
      const head = r.head;
      r.recorder.doWork(r.clock.nowUs());
      expect(r.head).not.toBe(head);
    }
    expect(turns).toBeGreaterThan(2);
    expect(decodeFlac(readFileSync(pathOf(r, 'audio.flac', 'third')))).toEqual(tone(0, SAMPLES));
  });

  it('goes on when the thread dies in the middle, with the end that the call had', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.work();
    slowDown(r);
    r.closeStream(0, { endReason: 'hangup' });
    for (let i = 0; i < 2; i++) r.recorder.doWork(r.clock.nowUs());
    expect(filesOf(r)).toEqual(['audio.flac', 'audio.wav', 'session.json.partial']);
    r.crash();
    r.work();
    expect(filesOf(r)).toEqual(['audio.flac', 'session.json']);
    expect(r.manifest(ID)).toMatchObject({ endReason: 'hangup', file: 'audio.flac' });
    expect(decodeFlac(readFileSync(pathOf(r, 'audio.flac')))).toEqual(tone(0, SAMPLES));
    expect(r.folders()).toEqual([ID]);
  });

  it.each([0, 1, 2, 3, 5])('is made by a repair after a kill, %i turns after the end of the call', async (turns) => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.work();
    slowDown(r);
    r.closeStream(0, { endReason: 'hangup' });
    for (let i = 0; i < turns; i++) r.recorder.doWork(r.clock.nowUs());
    const dir = kill(r);
    try {
      const report = await repairRecordings(dir, turns % 2 === 0 ? { convert: conversionThread() } : {});
      expect(report.failed).toEqual([]);
      expect(readdirSync(join(dir, ID)).sort()).toEqual(['audio.flac', 'session.json']);
      const manifest = JSON.parse(readFileSync(join(dir, ID, 'session.json'), 'utf8'));
      expect(manifest).toMatchObject({ file: 'audio.flac', endReason: turns === 0 ? 'interrupted' : 'hangup' });
      expect(manifest).not.toHaveProperty('writer');
      const pcm = decodeFlac(readFileSync(join(dir, ID, 'audio.flac')));
      expect(pcm).toEqual(tone(0, pcm.length));
      // What was still in memory is gone with the process.
      expect(pcm.length).toBeGreaterThan(turns === 0 ? SAMPLES - 4096 : SAMPLES - 1);
      expect((await repairRecordings(dir)).repaired).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('loses its WAV file, if a kill came just before that was removed', async () => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.closeStream(0);
    r.work();
    writeFileSync(pathOf(r, 'audio.wav'), 'what was left');
    await repairRecordings(r.outDir);
    expect(filesOf(r)).toEqual(['audio.flac', 'session.json']);
  });
});

describe('a recording that cannot become FLAC', () => {
  it('remains WAV when the disk is full, says so, and is counted and reported', () => {
    const disk = mountTiny(116);
    if (disk === undefined) return;
    const full = new RecorderRig({ options: { format: 'flac', outDir: disk } });
    try {
      full.open(streamInfo());
      feed(full);
      full.closeStream(0);
      full.work();
      expect(readdirSync(join(disk, ID)).sort()).toEqual(['audio.wav', 'session.json']);
      expect(readWav(readFileSync(join(disk, ID, 'audio.wav'))).samples).toEqual(tone(0, SAMPLES));
      const manifest = JSON.parse(readFileSync(join(disk, ID, 'session.json'), 'utf8'));
      expect(manifest).toMatchObject({ notConverted: 'failed', endReason: 'ended' });
      expect(manifest).not.toHaveProperty('incomplete');
      expect(full.status.counters()).toMatchObject({ recordingsFinished: 1, recordingsNotConverted: 1 });
      expect(full.status.takeReport()).toMatch(/ENOSPC.*not converted/);
    } finally {
      full.recorder.close();
      full.remove();
      unmount(disk);
    }
  });

  it('remains WAV when the recorder is told to stop and has no time for it', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.work();
    slowDown(r);
    r.closeStream(0);
    r.recorder.doWork(r.clock.nowUs());
    expect(r.recorder.finish(r.clock.nowUs())).toBe(1);
    r.clock.advanceUs(2_000_000);
    while (r.recorder.doWork(r.clock.nowUs()) > 0);
    expect(r.recorder.finish(r.clock.nowUs())).toBe(0);
    expect(filesOf(r)).toEqual(['audio.wav', 'session.json']);
    expect(r.manifest(ID)).toMatchObject({ notConverted: 'pending', endReason: 'ended' });
    expect(readWav(readFileSync(pathOf(r, 'audio.wav'))).samples).toEqual(tone(0, SAMPLES));
  });

  it('begins again in a new folder when its own is removed meanwhile, and says what is lost', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r);
    r.work();
    slowDown(r);
    r.closeStream(0);
    for (let i = 0; i < 2; i++) r.recorder.doWork(r.clock.nowUs());
    rmSync(join(r.outDir, ID), { recursive: true });
    for (let i = 0; i < 40; i++) r.work(1_000_000);
    expect(r.manifest(ID)).toMatchObject({ incomplete: true, notRecordedMs: 6000 });
  });

  it('gives its slot to another call when there is no other', () => {
    const r = rig({ recordings: 1 });
    r.open(streamInfo());
    feed(r);
    r.work();
    slowDown(r);
    r.closeStream(0);
    r.open(streamInfo({ stream: 1, interactionId: 'next' }));
    r.frame(1, 0, 0, tone(0, 160));
    r.work(2_000_000);
    expect(r.manifest(ID)).toMatchObject({ notConverted: 'pending', endReason: 'ended' });
    expect(filesOf(r, 'next')).toContain('audio.wav');
  });
});
