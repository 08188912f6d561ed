import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FLAG, MARK } from '../../../src/ring/layout.js';
import { AudioFile } from '../../../src/sinks/recorder/files/audio-file.js';
import { repairRecordings } from '../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../support/frames.js';
import { below, mulberry32 } from '../../support/random.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';

const rigs: RecorderRig[] = [];
function rig(): RecorderRig {
  const made = new RecorderRig();
  rigs.push(made);
  return made;
}
afterEach(() => {
  vi.restoreAllMocks();
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

const ID = streamInfo().interactionId;
const MADE_UP = FLAG.LOST | FLAG.CONCEALED;
const FLUSH_US = 1_000_000;
/** What the live line has made up. */
const concealed = (count: number) => new Int16Array(count).fill(-5);
const spans = (r: RecorderRig) => r.manifest(ID).spans.map(({ state, startMs, endMs }) => [state, startMs, endMs]);

/** Three frames of speech, of which the second is lost. */
function withLoss(r: RecorderRig, flush: boolean): void {
  r.open(streamInfo());
  r.frame(0, 0, 0, tone(0, 160));
  r.frame(0, 0, 160, concealed(160), MADE_UP);
  r.frame(0, 0, 320, tone(320, 160));
  r.work(flush ? FLUSH_US : 0);
}

describe('the audio of a late packet', () => {
  it.each([
    { where: 'the write buffer', flush: false },
    { where: 'the file', flush: true },
  ])('replaces what was lost in $where, and its span', ({ flush }) => {
    const r = rig();
    withLoss(r, flush);
    r.correction(0, 0, 160, tone(160, 160));
    r.closeStream(0, { packetsReceived: 3, packetsLost: 0, packetsLate: 1 });
    r.work();
    expect(r.wav(ID).samples).toEqual(tone(0, 480));
    expect(spans(r)).toEqual([['speech', 0, 60]]);
    expect(r.manifest(ID)).toMatchObject({ packetsLost: 0, packetsLate: 1, packetsRepaired: 1 });
  });

  it('replaces what lies partly in the file and partly in the write buffer', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, concealed(100), MADE_UP);
    r.work(FLUSH_US);
    r.frame(0, 0, 260, concealed(60), MADE_UP);
    r.frame(0, 0, 320, tone(320, 160));
    r.correction(0, 0, 160, tone(160, 160));
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples).toEqual(tone(0, 480));
    expect(spans(r)).toEqual([['speech', 0, 60]]);
  });

  it('is soon in a checkpoint when the last one says that it is lost, whether or not anything follows', () => {
    const r = rig();
    withLoss(r, true);
    r.work(21_000_000);
    r.frame(0, 0, 480, tone(480, 160));
    r.work(FLUSH_US);
    const lost = () => r.checkpoint(ID)?.spans.filter(({ state }) => state === 'lost').length;
    expect(lost()).toBe(1);
    r.correction(0, 0, 160, tone(160, 160));
    r.work();
    r.work(6_000_000);
    expect(lost()).toBe(0);
    r.closeStream(0);
    r.work();
  });

  it('waits for the usual checkpoint when none has said yet that it is lost', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.work(FLUSH_US);
    r.frame(0, 0, 160, concealed(160), MADE_UP);
    r.frame(0, 0, 320, tone(320, 160));
    r.work(FLUSH_US);
    const before = r.checkpoint(ID);
    r.correction(0, 0, 160, tone(160, 160));
    r.work();
    r.work(6_000_000);
    expect(r.checkpoint(ID)).toEqual(before);
    r.work(21_000_000);
    r.closeStream(0);
    r.work();
    expect(r.manifest(ID)).toMatchObject({ packetsRepaired: 1 });
  });

  it('leaves the audio of other packets, and of the other channel, as it is', () => {
    const r = rig();
    r.open({ ...streamInfo(), channels: 2 });
    for (const at of [0, 160, 320]) {
      r.frame(0, 1, at, tone(at, 160, 1));
      if (at === 160) r.frame(0, 0, at, concealed(160), MADE_UP);
      else r.frame(0, 0, at, tone(at, 160));
      if (at === 160) r.work(FLUSH_US);
    }
    r.correction(0, 0, 100, tone(1000, 300));
    r.closeStream(0);
    r.work();
    const { samples } = r.wav(ID);
    for (let i = 0; i < 480; i++) {
      expect(samples[2 * i], `sample ${i}`).toBe(i >= 160 && i < 320 ? tone(1000, 300)[i - 100] : tone(i, 1)[0]);
      expect(samples[2 * i + 1]).toBe(tone(i, 1, 1)[0]);
    }
  });

  it('before a frame of the other channel that is still to come, stays when it has come', () => {
    const r = rig();
    r.open({ ...streamInfo(), channels: 2 });
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, concealed(160), MADE_UP);
    r.frame(0, 0, 320, tone(320, 160));
    r.work(FLUSH_US);
    r.correction(0, 0, 160, tone(160, 160));
    r.frame(0, 1, 0, tone(0, 480, 1));
    r.closeStream(0);
    r.work();
    const { samples } = r.wav(ID);
    expect(samples.filter((_, i) => i % 2 === 0)).toEqual(tone(0, 480));
    expect(samples.filter((_, i) => i % 2 === 1)).toEqual(tone(0, 480, 1));
  });

  it('fills a jump of the time line', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 640, tone(640, 160));
    r.correction(0, 0, 320, tone(320, 160));
    r.closeStream(0);
    r.work();
    const expected = new Int16Array(800);
    for (const at of [0, 320, 640]) expected.set(tone(at, 160), at);
    expect(r.wav(ID).samples).toEqual(expected);
    expect(spans(r)).toEqual([
      ['speech', 0, 20],
      ['silence', 20, 40],
      ['speech', 40, 60],
      ['silence', 60, 80],
      ['speech', 80, 100],
    ]);
  });

  it('is not let into a pause, nor behind the last frame', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.mark(0, 0, 160, 160, MARK.PAUSED);
    r.frame(0, 0, 320, tone(320, 160));
    r.correction(0, 0, 160, tone(160, 160));
    r.correction(0, 0, 480, tone(480, 160));
    r.frame(0, 0, 480, tone(480, 160), FLAG.CONCEALED);
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples.subarray(160, 320)).toEqual(new Int16Array(160));
    expect(spans(r)).toEqual([
      ['speech', 0, 20],
      ['paused', 20, 40],
      ['speech', 40, 80],
    ]);
    expect(r.manifest(ID).packetsRepaired).toBe(0);
  });

  it('brings back what the full ring had dropped before', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.mark(0, 0, 160, 320, MARK.NOT_RECORDED);
    r.frame(0, 0, 480, tone(480, 160));
    r.work(FLUSH_US);
    r.correction(0, 0, 320, tone(320, 160));
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples.subarray(320, 640)).toEqual(tone(320, 320));
    expect(r.manifest(ID).notRecordedMs).toBe(20);
  });

  it('is speech or silence by its own level, and by what is around it', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, concealed(8000), FLAG.SILENT);
    for (let at = 8000; at < 12_000; at += 160) r.frame(0, 0, at, concealed(160), MADE_UP | FLAG.SILENT);
    r.frame(0, 0, 12_000, concealed(8000), FLAG.SILENT);
    // Speech with a pause for breath that is too short for a silence, and quiet at the end.
    r.correction(0, 0, 8000, tone(8000, 1600));
    r.correction(0, 0, 9600, concealed(160), FLAG.REPAIRED | FLAG.SILENT);
    r.correction(0, 0, 9760, tone(9760, 240));
    r.correction(0, 0, 10_000, concealed(1000), FLAG.REPAIRED | FLAG.SILENT);
    r.closeStream(0);
    r.work();
    expect(spans(r)).toEqual([
      ['silence', 0, 1000],
      ['speech', 1000, 1250],
      ['silence', 1250, 1375],
      ['lost', 1375, 1500],
      ['silence', 1500, 2500],
    ]);
  });

  it('counts once, though a shard that was restarted sends it twice', () => {
    const r = rig();
    withLoss(r, true);
    r.correction(0, 0, 160, tone(160, 160));
    r.correction(0, 0, 160, tone(160, 160));
    r.closeStream(0);
    r.work();
    expect(r.manifest(ID).packetsRepaired).toBe(1);
  });

  it('is forgotten with its stream: a late one finds no recording', () => {
    const r = rig();
    withLoss(r, true);
    r.closeStream(0);
    r.work();
    const before = r.wav(ID).samples;
    r.correction(0, 0, 160, tone(160, 160));
    r.work();
    expect(r.wav(ID).samples).toEqual(before);
    expect(r.status.counters().recordsOrphaned).toBe(1);
  });
});

describe('what an Opus decoder has decoded again', () => {
  it('replaces frames, counts as nothing, and leaves spans and pauses as they are', () => {
    const r = rig();
    withLoss(r, true);
    r.mark(0, 0, 480, 160, MARK.PAUSED);
    r.frame(0, 0, 640, tone(640, 160));
    r.correction(0, 0, 320, tone(5000, 320), 0);
    r.closeStream(0);
    r.work();
    const { samples } = r.wav(ID);
    expect(samples.subarray(320, 480)).toEqual(tone(5000, 160));
    expect(samples.subarray(480, 640)).toEqual(new Int16Array(160));
    expect(spans(r)).toEqual([
      ['speech', 0, 20],
      ['lost', 20, 40],
      ['speech', 40, 60],
      ['paused', 60, 80],
      ['speech', 80, 100],
    ]);
    expect(r.manifest(ID).packetsRepaired).toBe(0);
  });
});

describe('a correction survives', () => {
  it('the death of the thread, before and after the checkpoint', () => {
    for (const checkpoint of [false, true]) {
      const r = rig();
      withLoss(r, false);
      r.correction(0, 0, 160, tone(160, 160));
      r.work(checkpoint ? 30_000_000 : 0);
      r.crash();
      r.frame(0, 0, 480, tone(480, 160));
      r.closeStream(0);
      r.work();
      expect(r.wav(ID).samples).toEqual(tone(0, 640));
      expect(spans(r)).toEqual([['speech', 0, 80]]);
      expect(r.manifest(ID).packetsRepaired).toBe(1);
    }
  });

  it('the death of the process, as far as a checkpoint says so', async () => {
    const r = rig();
    withLoss(r, false);
    r.correction(0, 0, 160, tone(160, 160));
    r.frame(0, 0, 480, tone(480, 160));
    r.work(30_000_000);
    expect(r.checkpoint(ID)).toMatchObject({ packetsLost: 0, packetsRepaired: 1, packetsReceived: 4 });
    // Its writer is this process, which lives.
    await expect(repairRecordings(r.outDir)).resolves.toMatchObject({ live: [ID] });
  });

  it('no disk that refuses it: the span is lost, and the manifest says that it was not recorded', () => {
    const r = rig();
    withLoss(r, true);
    const write = vi.spyOn(AudioFile.prototype, 'write').mockImplementation(() => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    });
    r.correction(0, 0, 160, tone(160, 160));
    r.work();
    write.mockRestore();
    r.closeStream(0);
    r.work(2_000_000);
    expect(r.manifest(ID)).toMatchObject({ packetsRepaired: 0, incomplete: true, notRecordedMs: 20 });
    expect(spans(r)).toEqual([
      ['speech', 0, 20],
      ['lost', 20, 40],
      ['speech', 40, 60],
    ]);
  });

  it('the removal of its folder: it goes to the new one', () => {
    const r = rig();
    withLoss(r, true);
    rmSync(join(r.outDir, ID), { recursive: true });
    r.work(10_000_000);
    r.correction(0, 0, 160, tone(160, 160));
    r.frame(0, 0, 480, tone(480, 160));
    r.closeStream(0);
    r.work(2_000_000);
    expect(r.wav(ID).samples.subarray(160, 320)).toEqual(tone(160, 160));
    expect(r.wav(ID).samples.subarray(480)).toEqual(tone(480, 160));
  });
});

describe('any order of frames, losses, corrections, flushes and deaths', () => {
  it.each(Array.from({ length: 40 }, (_, i) => i + 1))('gives what a plain model gives (seed %i)', (seed) => {
    const random = mulberry32(seed);
    const r = rig();
    const channels = random() < 0.5 ? 1 : 2;
    r.open({ ...streamInfo(), channels });
    const audio = Array.from({ length: channels }, () => new Int16Array(40_000));
    const lost = Array.from({ length: channels }, () => new Uint8Array(40_000));
    const ends = new Array<number>(channels).fill(0);
    for (let step = 0; step < 150; step++) {
      const channel = below(random, channels);
      const [samples, missing] = [audio[channel] as Int16Array, lost[channel] as Uint8Array];
      const end = ends[channel] as number;
      const what = random();
      if (what < 0.6) {
        const isLost = random() < 0.4;
        const pcm = isLost ? concealed(160) : tone(below(random, 20_000), 160, channel);
        r.frame(0, channel, end, pcm, isLost ? MADE_UP : 0);
        samples.set(pcm, end);
        missing.fill(isLost ? 1 : 0, end, end + 160);
        ends[channel] = end + 160;
      } else if (what < 0.9 && end > 0) {
        const at = below(random, end);
        const pcm = tone(below(random, 20_000), 1 + below(random, 400), channel);
        const isRepair = random() < 0.7;
        r.correction(0, channel, at, pcm, isRepair ? FLAG.REPAIRED : 0);
        for (let i = 0; i < pcm.length && at + i < end; i++) {
          if (!isRepair || missing[at + i] === 1) samples[at + i] = pcm[i] as number;
          if (isRepair) missing[at + i] = 0;
        }
      } else {
        r.work(below(random, 2) * FLUSH_US);
        if (random() < 0.3) r.crash();
      }
    }
    r.closeStream(0);
    r.work();
    const wav = r.wav(ID);
    for (let channel = 0; channel < channels; channel++) {
      const length = Math.max(...ends);
      expect(wav.samples.filter((_, i) => i % channels === channel)).toEqual(
        (audio[channel] as Int16Array).slice(0, length),
      );
      const lostMs = r
        .manifest(ID)
        .spans.filter((span) => span.channel === channel && span.state === 'lost')
        .reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
      expect(lostMs).toBeCloseTo((lost[channel] as Uint8Array).reduce((sum, one) => sum + one, 0) / 8, 3);
    }
  });
});

describe('a stretch that was taken for lost although nothing was sent there', () => {
  it.each([
    { where: 'the write buffer', flush: false },
    { where: 'the file', flush: true },
  ])('is zeros in $where, and no longer lost; also when the thread dies before the checkpoint', ({ flush }) => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, concealed(8160), MADE_UP);
    r.frame(0, 0, 8320, tone(8320, 160));
    r.work(flush ? FLUSH_US : 0);
    r.correction(0, 0, 160, tone(160, 160));
    r.mark(0, 0, 320, 8000, MARK.NOT_SENT);
    r.work();
    r.crash();
    r.closeStream(0, { packetsReceived: 3, packetsLost: 0, packetsLate: 1 });
    r.work();
    const { samples } = r.wav(ID);
    expect(samples.subarray(0, 320)).toEqual(tone(0, 320));
    expect(samples.subarray(320, 8320).every((sample) => sample === 0)).toBe(true);
    expect(spans(r)).toEqual([
      ['speech', 0, 40],
      ['silence', 40, 1040],
      ['speech', 1040, 1060],
    ]);
  });

  it('keeps what is not lost in it, and a pause', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, concealed(160), MADE_UP);
    r.mark(0, 0, 320, 160, MARK.PAUSED);
    r.frame(0, 0, 480, tone(480, 160));
    r.mark(0, 0, 0, 640, MARK.NOT_SENT);
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples.subarray(0, 160)).toEqual(tone(0, 160));
    expect(r.wav(ID).samples.subarray(480)).toEqual(tone(480, 160));
    expect(spans(r).filter(([state]) => state !== 'speech')).toEqual([['paused', 40, 60]]);
  });
});

describe('a gap of the time line', () => {
  it('still takes a late packet when a checkpoint has called it silence and the thread has died since', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 8000, tone(8000, 160));
    r.work(FLUSH_US);
    r.work(25_000_000);
    r.frame(0, 0, 8160, tone(8160, 160));
    r.work(FLUSH_US);
    expect(r.checkpoint(ID)?.spans.some(({ state }) => state === 'silence')).toBe(true);
    r.crash();
    r.correction(0, 0, 160, tone(160, 160));
    r.closeStream(0, { packetsReceived: 4, packetsLost: 0, packetsLate: 1 });
    r.work();
    expect(r.manifest(ID).packetsRepaired).toBe(1);
    expect(r.wav(ID).samples.subarray(0, 320)).toEqual(tone(0, 320));
  });

  it('takes each late packet once: what finds its place taken is counted', () => {
    const r = rig();
    withLoss(r, false);
    for (let i = 0; i < 2; i++) r.correction(0, 0, 160, tone(160, 160));
    r.closeStream(0);
    r.work();
    expect(r.status.counters().latePacketsLeftOut).toBe(1);
  });
});
