import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { StreamInfo } from '../../../src/core/events.js';
import { FLAG, MARK } from '../../../src/ring/layout.js';
import { AudioFile } from '../../../src/sinks/recorder/files/audio-file.js';
import { repairRecordings } from '../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, readWav, tone } from '../../support/recorder/recorder-rig.js';

const rigs: RecorderRig[] = [];
function rig(setup?: ConstructorParameters<typeof RecorderRig>[0]): RecorderRig {
  const made = new RecorderRig(setup);
  rigs.push(made);
  return made;
}
afterEach(() => {
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

const ID = streamInfo().interactionId;
const STARTED = streamInfo().startedAtMs;

/** The stream that continues the call in 16 kHz stereo, `startMs` after its beginning. */
function continued(startMs: number, over: Partial<StreamInfo> = {}): StreamInfo {
  return streamInfo({
    stream: 1,
    codec: 'l16',
    clockRate: 16_000,
    sampleRate: 16_000,
    channels: 2,
    startedAtMs: STARTED + startMs,
    segment: { number: 2, firstStartedAtMs: STARTED, startMs },
    ...over,
  });
}

function feed(r: RecorderRig, stream: number, channel: number, samples: number, step = 160): void {
  for (let at = 0; at < samples; at += step) r.frame(stream, channel, at, tone(at, step, channel));
}

const wavOf = (r: RecorderRig, file: string, folder = ID) => readWav(readFileSync(join(r.outDir, folder, file)));
const spansOf = (r: RecorderRig, channel: number) =>
  r
    .manifest(ID)
    .spans.filter((span) => span.channel === channel)
    .map(({ state, startMs, endMs }) => [state, startMs, endMs]);

describe('a call that changes its format', () => {
  it('is one recording: a further audio file, one manifest with the start of each and one list of spans', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged', packetsReceived: 50, packetsLost: 1, bytesReceived: 8000 });
    r.open(continued(1500));
    feed(r, 1, 0, 16_000, 320);
    feed(r, 1, 1, 16_000, 320);
    r.closeStream(1, { packetsReceived: 100, packetsLost: 2, bytesReceived: 64_000, packetsLate: 5 });
    r.work();
    expect(r.folders()).toEqual([ID]);
    expect(readdirSync(join(r.outDir, ID)).sort()).toEqual(['audio-2.wav', 'audio.wav', 'session.json']);
    expect(wavOf(r, 'audio.wav')).toEqual({ sampleRate: 8000, channels: 1, samples: tone(0, 8000) });
    const second = wavOf(r, 'audio-2.wav');
    expect([second.sampleRate, second.channels]).toEqual([16_000, 2]);
    expect(second.samples.filter((_, i) => i % 2 === 1)).toEqual(tone(0, 16_000, 1));
    expect(r.manifest(ID)).toMatchObject({
      interactionId: ID,
      codec: 'pcmu',
      channels: 1,
      startedAt: '2023-11-14T22:13:20.000Z',
      endReason: 'ended',
      packetsReceived: 150,
      packetsLost: 3,
      bytesReceived: 72_000,
      segments: [
        { file: 'audio.wav', startMs: 0, codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 },
        { file: 'audio-2.wav', startMs: 1500, codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 2 },
      ],
    });
    // Nobody counted late packets in the first part.
    expect(r.manifest(ID).packetsLate).toBeNull();
    expect(spansOf(r, 0)).toEqual([
      ['speech', 0, 1000],
      ['silence', 1000, 1500],
      ['speech', 1500, 2500],
    ]);
    expect(spansOf(r, 1)).toEqual([['speech', 1500, 2500]]);
    expect(r.status.counters()).toMatchObject({ recordingsOpened: 2, recordingsFinished: 2, recordsInvalid: 0 });
  });

  it('may do so again, and then has three files', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(1000));
    feed(r, 1, 0, 16_000, 320);
    r.closeStream(1, { endReason: 'formatChanged' });
    const third = { number: 3, firstStartedAtMs: STARTED, startMs: 2000 };
    r.open(streamInfo({ startedAtMs: STARTED + 2000, segment: third }));
    feed(r, 0, 0, 4000);
    r.closeStream(0);
    r.work();
    expect(r.folders()).toEqual([ID]);
    expect(r.manifest(ID).segments?.map(({ file, startMs }) => [file, startMs])).toEqual([
      ['audio.wav', 0],
      ['audio-2.wav', 1000],
      ['audio-3.wav', 2000],
    ]);
    expect(spansOf(r, 0)).toEqual([['speech', 0, 2500]]);
    expect(r.manifest(ID).endReason).toBe('ended');
  });

  it('keeps pauses and what could not be recorded of every part', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 800);
    r.mark(0, 0, 800, 8000, MARK.PAUSED);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(1100, { channels: 1 }));
    feed(r, 1, 0, 1600, 320);
    r.mark(1, 0, 1600, 3200, MARK.NOT_RECORDED);
    r.closeStream(1);
    r.work();
    expect(spansOf(r, 0)).toEqual([
      ['speech', 0, 100],
      ['paused', 100, 1100],
      ['speech', 1100, 1200],
      ['lost', 1200, 1400],
    ]);
    expect(r.manifest(ID)).toMatchObject({ incomplete: true, notRecordedMs: 200 });
  });

  it('never has parts that overlap, though its clock says so', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(700));
    feed(r, 1, 0, 320, 320);
    r.closeStream(1);
    r.work();
    expect(r.manifest(ID).segments?.[1]?.startMs).toBe(1000);
  });

  it('goes on over the death of the thread, with the spans of both parts', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(1000));
    for (let at = 0; at < 16_000; at += 320) {
      r.frame(1, 0, at, tone(at, 320), at === 3200 ? FLAG.LOST | FLAG.CONCEALED : 0);
      r.work(20_000);
      if (at % 4800 === 0) r.crash();
    }
    r.closeStream(1);
    r.work();
    expect(r.folders()).toEqual([ID]);
    expect(spansOf(r, 0)).toEqual([
      ['speech', 0, 1200],
      ['lost', 1200, 1220],
      ['speech', 1220, 2000],
    ]);
    expect(wavOf(r, 'audio-2.wav').samples.filter((_, i) => i % 2 === 0)).toEqual(tone(0, 16_000));
  });

  it('is repaired after a kill in its second part', async () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(1250, { channels: 1 }));
    feed(r, 1, 0, 16_000, 320);
    r.work();
    r.work(800_000);
    const partial = join(r.outDir, ID, 'session.json.partial');
    const dead = readFileSync(partial, 'utf8').replace(/"pid": \d+/, `"pid": ${2 ** 22 + 1}`);
    writeFileSync(partial, dead);
    const report = await repairRecordings(r.outDir, { clock: r.clock });
    expect(report).toMatchObject({ repaired: [ID], failed: [] });
    expect(readdirSync(join(r.outDir, ID)).sort()).toEqual(['audio-2.wav', 'audio.wav', 'session.json']);
    expect(r.manifest(ID)).toMatchObject({ endReason: 'interrupted', endedAt: '2023-11-14T22:13:22.250Z' });
    expect(r.manifest(ID).segments?.[1]).toMatchObject({ file: 'audio-2.wav', startMs: 1250 });
    expect(spansOf(r, 0)).toEqual([
      ['speech', 0, 1000],
      ['silence', 1000, 1250],
      ['speech', 1250, 2250],
    ]);
    expect(wavOf(r, 'audio-2.wav').samples).toEqual(tone(0, 16_000));
    expect((await repairRecordings(r.outDir, { clock: r.clock })).repaired).toEqual([]);
  });

  it('waits for its first part while the disk refuses the end of that', () => {
    const r = rig();
    const seal = vi.spyOn(AudioFile.prototype, 'seal').mockImplementation(() => {
      throw Object.assign(new Error('no space'), { code: 'EIO' });
    });
    r.open(streamInfo());
    feed(r, 0, 0, 8000);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.open(continued(1000, { channels: 1 }));
    feed(r, 1, 0, 1600, 320);
    r.work(800_000);
    seal.mockRestore();
    r.work(1_000_001);
    r.work(1_000_001);
    r.closeStream(1);
    r.work();
    expect(r.folders()).toEqual([ID]);
    expect(r.manifest(ID).segments).toHaveLength(2);
    expect(wavOf(r, 'audio-2.wav').samples).toEqual(tone(0, 1600));
  });

  it('joins the recording of its own call where one id has several', () => {
    const r = rig();
    for (const startedAtMs of [STARTED - 60_000, STARTED, STARTED + 60_000]) {
      r.open(streamInfo({ startedAtMs }));
      feed(r, 0, 0, 800);
      r.closeStream(0, { endReason: 'formatChanged' });
    }
    r.open(continued(1000));
    feed(r, 1, 0, 320, 320);
    r.closeStream(1);
    r.work();
    expect(r.folders()).toEqual([ID, `${ID}-2`, `${ID}-3`]);
    expect(r.manifest(`${ID}-2`).segments).toHaveLength(2);
    expect(r.manifest(ID).segments).toBeUndefined();
    expect(r.manifest(`${ID}-3`).segments).toBeUndefined();
  });

  it.each([
    ['whose first part brought nothing', () => {}],
    [
      'whose first part was removed',
      (r: RecorderRig) => {
        feed(r, 0, 0, 800);
        r.work(1_000_000);
      },
    ],
  ])('%s has a recording of its own', (_, before) => {
    const r = rig();
    r.open(streamInfo());
    before(r);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.work();
    rmSync(join(r.outDir, ID), { recursive: true, force: true });
    r.open(continued(1000, { channels: 1 }));
    feed(r, 1, 0, 320, 320);
    r.closeStream(1);
    r.work();
    expect(wavOf(r, 'audio.wav').samples).toEqual(tone(0, 320));
    expect(r.manifest(ID)).toMatchObject({ codec: 'l16', startedAt: '2023-11-14T22:13:21.000Z', endReason: 'ended' });
    expect(r.manifest(ID).segments).toBeUndefined();
  });

  it('whose next file is there already gets a folder of its own rather than write over it', () => {
    const r = rig();
    r.open(streamInfo());
    feed(r, 0, 0, 800);
    r.closeStream(0, { endReason: 'formatChanged' });
    r.work();
    mkdirSync(join(r.outDir, ID), { recursive: true });
    writeFileSync(join(r.outDir, ID, 'audio-2.wav'), 'mine');
    r.open(continued(1000, { channels: 1 }));
    feed(r, 1, 0, 320, 320);
    r.closeStream(1);
    r.work();
    expect(readFileSync(join(r.outDir, ID, 'audio-2.wav'), 'utf8')).toBe('mine');
    expect(wavOf(r, 'audio.wav', `${ID}-2`).samples).toEqual(tone(0, 320));
  });
});
