import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BLOCKED } from '../../../src/ring/agent.js';
import { FLAG, MARK } from '../../../src/ring/layout.js';
import { AudioFile } from '../../../src/sinks/recorder/files/audio-file.js';
import { toManifestSpans } from '../../../src/sinks/recorder/files/manifest.js';
import { SpanTrack } from '../../../src/sinks/recorder/spans.js';
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

describe('one recording', () => {
  it('holds the frames at their positions and the summary of the stream', () => {
    const r = rig();
    r.open(streamInfo());
    for (let at = 0; at < 1600; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.frame(0, 0, 1600, new Int16Array(160), FLAG.CONCEALED | FLAG.DECODE_ERROR);
    r.closeStream(0, {
      packetsReceived: 11,
      bytesReceived: 1760,
      packetsLost: 1,
      packetsLate: 2,
      packetsDuplicate: 3,
      packetsReordered: 4,
      jitterUs: 5,
      somethingNew: { deep: true },
    });
    r.work();
    const wav = r.wav(ID);
    expect([wav.sampleRate, wav.channels]).toEqual([8000, 1]);
    expect(wav.samples).toEqual(Int16Array.of(...tone(0, 1600), ...new Int16Array(160)));
    expect(r.manifest(ID)).toEqual({
      interactionId: ID,
      codec: 'pcmu',
      clockRate: 8000,
      sampleRate: 8000,
      channels: 1,
      startedAt: '2023-11-14T22:13:20.000Z',
      endedAt: '2023-11-14T22:13:29.000Z',
      endReason: 'ended',
      packetsReceived: 11,
      bytesReceived: 1760,
      packetsLost: 1,
      packetsLate: 2,
      packetsRepaired: 0,
      packetsDuplicate: 3,
      packetsReordered: 4,
      decodeErrors: 1,
      spans: [{ state: 'speech', channel: 0, startMs: 0, endMs: 220 }],
    });
  });

  it('keeps the length of a gap, in the file and in the spans', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, new Int16Array(160), FLAG.LOST | FLAG.CONCEALED);
    r.frame(0, 0, 80_000, tone(80_000, 160), FLAG.DISCONTINUITY);
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples).toEqual(Int16Array.of(...tone(0, 160), ...new Int16Array(79_840), ...tone(80_000, 160)));
    expect(r.manifest(ID).spans).toEqual([
      { state: 'speech', channel: 0, startMs: 0, endMs: 20 },
      { state: 'lost', channel: 0, startMs: 20, endMs: 40 },
      { state: 'silence', channel: 0, startMs: 40, endMs: 10_000 },
      { state: 'speech', channel: 0, startMs: 10_000, endMs: 10_020 },
    ]);
  });

  it('has paused and discarded spans as zeros of their length', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.mark(0, 0, 160, 16_000, MARK.PAUSED);
    r.frame(0, 0, 16_160, tone(16_160, 160));
    r.work();
    r.crash();
    r.mark(0, 0, 16_320, 8000, MARK.DISCARDED);
    r.closeStream(0);
    r.work();
    const zeros = (count: number) => new Int16Array(count);
    expect(r.wav(ID).samples).toEqual(
      Int16Array.of(...tone(0, 160), ...zeros(16_000), ...tone(16_160, 160), ...zeros(8000)),
    );
    expect(r.manifest(ID).spans.map(({ state, startMs, endMs }) => [state, startMs, endMs])).toEqual([
      ['speech', 0, 20],
      ['paused', 20, 2020],
      ['speech', 2020, 2040],
      ['discarded', 2040, 3040],
    ]);
  });

  it('skips frames that a restarted shard sends again', () => {
    const r = rig();
    r.open(streamInfo());
    for (const at of [0, 160, 0, 160, 320]) r.frame(0, 0, at, tone(at, 160), FLAG.DECODE_ERROR | FLAG.CONCEALED);
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples).toEqual(tone(0, 480));
    expect(r.manifest(ID)).toMatchObject({ decodeErrors: 3, packetsReceived: 3 });
  });

  it('keeps no frame of a paused span, even when it is sent again', () => {
    const r = rig();
    r.open(streamInfo());
    for (let at = 0; at < 800; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.mark(0, 0, 800, 800, MARK.PAUSED);
    for (let at = 800; at < 2400; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.closeStream(0);
    r.work();
    const expected = tone(0, 2400).fill(0, 800, 1600);
    expect(r.wav(ID).samples).toEqual(expected);
    expect(r.manifest(ID).spans.map(({ state }) => state)).toEqual(['speech', 'paused', 'speech']);
  });

  it('may be read while it is written: header and file agree within the header interval', () => {
    const r = rig({ options: { headerMs: 0, flushMs: 500 } });
    r.open(streamInfo());
    for (let at = 0; at < 8000; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.work();
    r.work(600_000);
    expect(r.wav(ID).samples).toEqual(tone(0, 8000));
    expect(r.checkpoint(ID)).toMatchObject({ endedAt: null, endReason: null, writer: { pid: process.pid } });
    r.closeStream(0);
    r.work();
    expect(r.checkpoint(ID)).toBeUndefined();
    expect(r.manifest(ID)).toMatchObject({ endReason: 'ended' });
  });

  it('has its checkpoints in one file, which has what was known, longer or shorter', () => {
    const r = rig({ options: { checkpointMs: 0 } });
    const file = join(r.outDir, ID, 'session.json.partial');
    r.open(streamInfo());
    const files = new Set<number>();
    const spans: (number | undefined)[] = [];
    for (let at = 0; at < 40_000; at += 160) {
      r.frame(0, 0, at, tone(at, 160), at % 8000 < 4000 ? FLAG.SILENT : 0);
      r.work(20_000);
      if (at % 8000 !== 0 || at === 0) continue;
      files.add(statSync(file).ino);
      spans.push(r.checkpoint(ID)?.spans.length);
      // As long as another program's, or an older version's, might be.
      writeFileSync(file, `${readFileSync(file, 'utf8')}${' '.repeat(3000)}`);
    }
    expect(files.size).toBe(1);
    expect(spans).toEqual([...spans].sort((a, b) => Number(a) - Number(b)));
    expect(spans.at(-1)).toBeGreaterThan(4);
    expect(statSync(file).size).toBeLessThan(6000);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ interactionId: ID });
  });

  it('has its audio in the file flushMs and one turn after it came at the latest', () => {
    const r = rig({ options: { flushMs: 500 } });
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.work();
    r.work(63_000);
    r.frame(0, 0, 160, tone(160, 160));
    r.work();
    const size = () => readFileSync(join(r.outDir, ID, 'audio.wav')).length;
    r.work(400_000);
    expect(size()).toBe(44 + 320);
    r.work(163_000);
    expect(size()).toBe(44 + 640);
  });

  it('is not made of a stream that brings nothing, because a header alone would look like a call', () => {
    const r = rig();
    r.open(streamInfo());
    r.work(600_000);
    r.crash();
    r.work(600_000);
    r.closeStream(0);
    r.work();
    expect(r.folders()).toEqual([]);
    expect(r.status.counters()).toMatchObject({ recordingsOpened: 1, recordingsFinished: 1, writeErrors: 0 });
  });

  it('is marked incomplete when the full ring refused records of it', () => {
    const r = rig();
    for (const stream of [0, 1]) {
      r.open(streamInfo({ stream, interactionId: `call-${stream}` }));
      r.frame(stream, 0, 0, tone(0, 160));
      r.closeStream(stream, {}, 0, stream * 3);
    }
    r.work();
    expect(r.manifest('call-0').incomplete).toBeUndefined();
    expect(r.manifest('call-1').incomplete).toBe(true);
  });

  it('has its header and its first checkpoint before any audio', () => {
    const r = rig();
    const folder = join(r.outDir, ID);
    const found: unknown[] = [];
    // Checked below: the recorder would take what is thrown in here for a fault of the disk.
    const write = vi.spyOn(AudioFile.prototype, 'write').mockImplementation(() => {
      found.push([readWav(readFileSync(join(folder, 'audio.wav'))).sampleRate, r.checkpoint(ID)?.writer?.pid]);
      return 0;
    });
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.work(600_000);
    r.work(600_000);
    write.mockRestore();
    expect(found).toEqual([[8000, process.pid]]);
  });

  it('whose folder was removed goes on in a new one, and says what is missing', () => {
    for (const how of ['removed', 'moved', 'removed at the end']) {
      const r = rig();
      const feed = (from: number, to: number) => {
        for (let at = from; at < to; at += 160) {
          r.frame(0, 0, at, tone(at, 160));
          r.work(20_000);
        }
      };
      r.open(streamInfo());
      feed(0, 40_000);
      if (how === 'moved') renameSync(join(r.outDir, ID), join(r.outDir, 'moved'));
      else rmSync(r.outDir, { recursive: true });
      // The look at the link comes every 2 s, the failing checkpoint of a moved folder every 10 s.
      if (how !== 'removed at the end') feed(40_000, 160_000);
      r.closeStream(0);
      r.work();
      r.work(1_000_001);
      const end = how === 'removed at the end' ? 40_000 : 160_000;
      const dropped = r.status.counters().samplesDropped;
      expect(dropped, how).toBeGreaterThanOrEqual(how === 'removed' ? 32_000 : 36_000);
      expect(r.status.takeReport(), how).toContain('was removed');
      expect(r.manifest(ID), how).toMatchObject({ endReason: 'ended', incomplete: true });
      const { samples } = r.wav(ID);
      expect(samples.length, how).toBe(end);
      expect(samples.subarray(dropped), how).toEqual(tone(dropped, end - dropped));
      expect(r.status.counters(), how).toMatchObject({ recordingsFaulted: 1, recordingsFinished: 1 });
    }
  });

  it('is finished as interrupted when the recorder is closed before its stream', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 8000));
    r.frame(0, 0, 8000, new Int16Array(160), FLAG.LOST | FLAG.CONCEALED);
    r.work();
    r.recorder.close();
    const manifest = r.manifest(ID);
    expect(manifest).toMatchObject({
      endReason: 'interrupted',
      endedAt: '2023-11-14T22:13:21.020Z',
      packetsReceived: 1,
      packetsLost: 1,
    });
    expect(manifest.writer).toBeUndefined();
    expect(r.wav(ID).samples.length).toBe(8160);
  });
});

describe('any frames', () => {
  interface Placed {
    readonly channel: number;
    readonly gap: number;
    readonly count: number;
    readonly workUs: number;
    readonly crash: boolean;
  }
  const placed: fc.Arbitrary<Placed> = fc.record({
    channel: fc.integer({ min: 0, max: 1 }),
    gap: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 9000 })),
    count: fc.oneof(fc.constant(160), fc.integer({ min: 1, max: 5760 })),
    workUs: fc.constantFrom(0, 0, 20_000, 700_000),
    crash: fc.integer({ min: 0, max: 12 }).map((n) => n === 0),
  });

  it('give the same interleaved audio and gapless spans, however they are cut and wherever the thread crashes', () => {
    const some = fc.array(placed, { minLength: 1, maxLength: 60 });
    const check = fc.property(fc.constantFrom<1 | 2>(1, 2), some, (channels, frames) => {
      const r = new RecorderRig();
      try {
        r.open(streamInfo({ channels }));
        const ends = [0, 0];
        const expected: number[] = [];
        for (const frame of frames) {
          const channel = channels === 1 ? 0 : frame.channel;
          const position = (ends[channel] as number) + frame.gap;
          const pcm = tone(position, frame.count, channel);
          r.frame(0, channel, position, pcm);
          for (let i = 0; i < frame.count; i++) expected[(position + i) * channels + channel] = pcm[i] as number;
          ends[channel] = position + frame.count;
          if (frame.workUs > 0) r.work(frame.workUs);
          if (frame.crash) r.crash();
        }
        r.closeStream(0);
        r.work();
        const length = Math.max(...ends);
        const samples = Int16Array.from({ length: length * channels }, (_, i) => expected[i] ?? 0);
        expect(r.wav(ID).samples).toEqual(samples);
        for (let channel = 0; channel < channels; channel++) {
          const spans = r.manifest(ID).spans.filter((span) => span.channel === channel);
          let at = 0;
          for (const span of spans) {
            expect(span.startMs).toBe(at);
            expect(span.endMs).toBeGreaterThan(span.startMs);
            at = span.endMs;
          }
          expect(at).toBe((length * 1000) / 8000);
        }
      } finally {
        r.recorder.close();
        r.remove();
      }
    });
    fc.assert(check, { numRuns: 80 });
  });

  it('make the same spans as a track that takes each of them, although most only add samples', () => {
    const frame = fc.record({
      flags: fc.oneof(
        { weight: 8, arbitrary: fc.constant(undefined) },
        fc.constantFrom(0, FLAG.SILENT, FLAG.LOST, FLAG.SILENT | FLAG.LOST, FLAG.DECODE_ERROR),
      ),
      edge: fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, fc.integer({ min: 0, max: 900 })),
      paused: fc.integer({ min: 0, max: 20 }).map((n) => n === 0),
      gap: fc.integer({ min: 0, max: 20 }).map((n) => n === 0),
      workUs: fc.constantFrom(0, 20_000, 800_000),
    });
    const check = fc.property(fc.array(frame, { minLength: 1, maxLength: 80 }), (frames) => {
      const r = new RecorderRig();
      try {
        const track = new SpanTrack(0);
        r.open(streamInfo());
        let at = 0;
        let flags = 0;
        for (const frame of frames) {
          if (frame.gap) at += 320;
          if (frame.paused) {
            r.mark(0, 0, at, 480, MARK.PAUSED);
            track.withoutAudio('paused', at, 480);
            at += 480;
          }
          flags = frame.flags ?? flags;
          r.frame(0, 0, at, tone(at, 160), flags);
          track.frame(at, 160, (flags & FLAG.SILENT) !== 0, (flags & FLAG.LOST) !== 0);
          at += 160;
          if (frame.edge !== undefined) {
            flags = (flags ^ FLAG.SILENT) & FLAG.SILENT;
            r.edge(0, 0, Math.max(0, at - frame.edge), flags);
            track.edge(Math.max(0, at - frame.edge), flags !== 0);
          }
          if (frame.workUs > 0) r.work(frame.workUs);
        }
        r.closeStream(0);
        r.work();
        expect(r.manifest(ID).spans).toEqual(toManifestSpans(track.compose(at), 0, 8000));
        expect(r.status.counters().framesRecorded).toBe(frames.length);
      } finally {
        r.recorder.close();
        r.remove();
      }
    });
    fc.assert(check, { numRuns: 80 });
  });
});

describe('a recorder thread that dies', () => {
  it('before it has released what it has taken lets the next one skip that', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 160, tone(160, 160));
    r.work();
    for (let at = 320; at < 4800; at += 160) r.frame(0, 0, at, tone(at, 160));
    const { head } = r;
    r.work();
    r.crash(head);
    for (let at = 4800; at < 8000; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples).toEqual(tone(0, 8000));
    expect(r.manifest(ID)).toMatchObject({
      packetsReceived: 50,
      spans: [{ state: 'speech', startMs: 0, endMs: 1000 }],
    });
  });

  it('loses neither audio nor spans nor counts', () => {
    const r = rig();
    r.open(streamInfo({ channels: 2 }));
    for (let at = 0; at < 16_000; at += 160) {
      if (at === 4800) r.edge(0, 0, 4000, FLAG.SILENT);
      const silent = at >= 4800 ? FLAG.SILENT : 0;
      r.frame(0, 0, at, tone(at, 160), silent);
      r.frame(0, 1, at, tone(at, 160, 1), at === 8000 ? FLAG.LOST | FLAG.CONCEALED : FLAG.DECODE_ERROR);
      if (at % 1600 === 0) {
        r.work(20_000);
        r.crash();
      }
    }
    r.closeStream(0);
    r.work();
    const manifest = r.manifest(ID);
    expect(manifest.spans).toEqual([
      { state: 'speech', channel: 0, startMs: 0, endMs: 500 },
      { state: 'silence', channel: 0, startMs: 500, endMs: 2000 },
      { state: 'speech', channel: 1, startMs: 0, endMs: 1000 },
      { state: 'lost', channel: 1, startMs: 1000, endMs: 1020 },
      { state: 'speech', channel: 1, startMs: 1020, endMs: 2000 },
    ]);
    expect(manifest.decodeErrors).toBe(99);
    const { samples } = r.wav(ID);
    expect(samples.filter((_, i) => i % 2 === 0)).toEqual(tone(0, 16_000));
    expect(samples.filter((_, i) => i % 2 === 1)).toEqual(tone(0, 16_000, 1));
    expect(r.folders()).toEqual([ID]);
  });

  it('keeps more spans than its journal holds', () => {
    const r = rig();
    r.open(streamInfo());
    for (let i = 0; i < 1000; i++) {
      r.frame(0, 0, i * 160, tone(i * 160, 160), i % 2 === 0 ? FLAG.SILENT : 0);
      if (i % 100 === 99) {
        r.work();
        r.crash();
      }
    }
    r.closeStream(0);
    r.work();
    const { spans } = r.manifest(ID);
    expect(spans.length).toBe(1000);
    expect(spans[999]).toEqual({ state: 'speech', channel: 0, startMs: 19_980, endMs: 20_000 });
  });

  it('treats an OPEN that a restarted shard repeats as the same stream', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.open(streamInfo());
    r.frame(0, 0, 160, tone(160, 160));
    r.closeStream(0);
    r.work();
    expect(r.folders()).toEqual([ID]);
    expect(r.wav(ID).samples).toEqual(tone(0, 320));
  });
});

describe('a recorder that is told to stop', () => {
  it('finishes what is open in bounded shares', () => {
    const r = rig({ recordings: 200 });
    for (let n = 0; n < 200; n++) r.open(streamInfo({ stream: n, interactionId: `call-${n}` }));
    for (let n = 0; n < 200; n++) r.frame(n, 0, 0, tone(0, 160));
    r.work();
    const finished: number[] = [];
    while (r.recorder.finish(r.clock.nowUs()) > 0) finished.push(r.status.counters().recordingsFinished);
    const shares = finished.map((count, i) => count - (finished[i - 1] ?? 0));
    expect(Math.max(...shares)).toBeLessThanOrEqual(64);
    expect(finished.at(-1)).toBe(200);
    expect(r.manifest('call-199').endReason).toBe('interrupted');
  });

  it('waits a few seconds for the disk to take an end, and no longer', () => {
    const r = rig();
    const seal = vi.spyOn(AudioFile.prototype, 'seal').mockImplementation(() => {
      throw Object.assign(new Error('no space'), { code: 'EIO' });
    });
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.work();
    let seconds = 0;
    for (; seconds < 60; seconds++) {
      r.work(1_000_000);
      while (r.recorder.finish(r.clock.nowUs()) > 0);
      if (r.recorder.finish(r.clock.nowUs()) !== BLOCKED) break;
    }
    seal.mockRestore();
    expect(seconds).toBeGreaterThan(1);
    expect(seconds).toBeLessThan(10);
    // A repair may see to it at once: this process no longer does.
    expect(r.checkpoint(ID)).toMatchObject({ endReason: null });
    expect(r.checkpoint(ID)?.writer).toBeUndefined();
  });
});

describe('an end that the disk refuses', () => {
  const refuse = () =>
    vi.spyOn(AudioFile.prototype, 'seal').mockImplementation(() => {
      throw Object.assign(new Error('no space'), { code: 'EIO' });
    });

  it('is written once the disk takes it, and the next stream of that index is another', () => {
    const r = rig();
    const seal = refuse();
    r.open(streamInfo({ interactionId: 'first' }));
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0, { packetsReceived: 7 });
    r.open(streamInfo({ interactionId: 'second' }));
    r.frame(0, 0, 0, tone(9, 320));
    r.work();
    seal.mockRestore();
    r.work(1_000_001);
    r.closeStream(0);
    r.work();
    expect(r.manifest('first')).toMatchObject({ endReason: 'ended', packetsReceived: 7 });
    expect(r.wav('first').samples).toEqual(tone(0, 160));
    expect(r.wav('second').samples).toEqual(tone(9, 320));
  });

  it('gives its slot up to a new stream that finds no other', () => {
    const r = rig({ recordings: 1 });
    const seal = refuse();
    r.open(streamInfo({ interactionId: 'first' }));
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0);
    r.work();
    seal.mockRestore();
    r.open(streamInfo({ interactionId: 'second' }));
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0);
    r.work();
    expect(r.manifest('second').endReason).toBe('ended');
    expect(r.status.counters()).toMatchObject({ recordingsRefused: 0, recordingsFinished: 2 });
  });

  it('outlives the death of the thread, as interrupted', () => {
    const r = rig();
    const seal = refuse();
    r.open(streamInfo({ interactionId: 'first' }));
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0);
    r.open(streamInfo({ interactionId: 'second' }));
    r.work();
    seal.mockRestore();
    r.crash();
    r.frame(0, 0, 0, tone(9, 320));
    r.closeStream(0);
    r.work();
    expect(r.manifest('first').endReason).toBe('interrupted');
    expect(r.wav('first').samples).toEqual(tone(0, 160));
    expect(r.wav('second').samples).toEqual(tone(9, 320));
  });
});

describe('streams beside each other', () => {
  it('keeps one stream index in two rings apart', () => {
    const r = rig({ rings: 2 });
    r.open(streamInfo({ stream: 3, interactionId: 'first' }), 0);
    r.frame(3, 0, 0, tone(0, 160), 0, 0);
    r.open(streamInfo({ stream: 3, interactionId: 'second' }), 1);
    r.frame(3, 0, 0, tone(500, 160), 0, 1);
    r.work();
    r.closeStream(3, {}, 0);
    r.work();
    r.frame(3, 0, 160, tone(660, 160), 0, 1);
    r.closeStream(3, {}, 1);
    r.work();
    expect(r.wav('first').samples).toEqual(tone(0, 160));
    expect(r.wav('second').samples).toEqual(tone(500, 320));
  });

  it('never writes over a recording of the same interaction', () => {
    const r = rig();
    for (let n = 0; n < 3; n++) {
      r.open(streamInfo({ startedAtMs: 1_700_000_000_000 + n }));
      r.frame(0, 0, 0, tone(n * 1000, 160));
      r.closeStream(0);
    }
    r.work();
    expect(r.folders()).toEqual([ID, `${ID}-2`, `${ID}-3`]);
    expect(r.wav(ID).samples).toEqual(tone(0, 160));
    expect(r.wav(`${ID}-2`).samples).toEqual(tone(1000, 160));
    expect(r.manifest(`${ID}-3`).interactionId).toBe(ID);
  });

  it('leaves alone a manifest whose audio was removed, and a file in the place of the folder', () => {
    const r = rig();
    mkdirSync(join(r.outDir, ID));
    writeFileSync(join(r.outDir, ID, 'session.json'), 'mine');
    writeFileSync(join(r.outDir, `${ID}-2`), 'a file');
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0);
    r.work();
    expect(readFileSync(join(r.outDir, ID, 'session.json'), 'utf8')).toBe('mine');
    expect(r.wav(`${ID}-3`).samples).toEqual(tone(0, 160));
  });

  it('refuses a stream beyond its slots, reports it, and records the others', () => {
    const r = rig({ recordings: 2 });
    for (let n = 0; n < 3; n++) r.open(streamInfo({ stream: n, interactionId: `call-${n}` }));
    for (let n = 0; n < 3; n++) r.frame(n, 0, 0, tone(0, 160));
    r.work();
    expect(r.status.counters()).toMatchObject({ recordingsOpened: 2, recordingsRefused: 1, recordsOrphaned: 1 });
    expect(r.status.takeReport()).toContain('maxStreams');
    expect(r.status.takeReport()).toBeUndefined();
    r.closeStream(0);
    r.open(streamInfo({ stream: 2, interactionId: 'call-2' }));
    r.frame(2, 0, 0, tone(0, 160));
    r.closeStream(2);
    r.work();
    expect(r.folders()).toEqual(['call-0', 'call-1', 'call-2']);
  });
});

describe('records that cannot be valid', () => {
  it('are counted, and the stream goes on', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 1, 0, tone(0, 160));
    r.frame(0, 0, -160, tone(0, 160));
    r.frame(0, 0, Number.NaN, tone(0, 160));
    r.frame(0, 0, 0.5, tone(0, 160));
    r.edge(0, 7, 0, 0);
    r.open(streamInfo({ stream: 1, sampleRate: 0 }));
    r.open(streamInfo({ stream: 1, interactionId: 'x'.repeat(129) }));
    r.frame(0, 0, 0, tone(0, 160));
    r.closeStream(0);
    r.work();
    expect(r.status.counters()).toMatchObject({ recordsInvalid: 7, recordingsRefused: 2, recordingsFinished: 1 });
    expect(r.wav(ID).samples).toEqual(tone(0, 160));
  });

  it('a position beyond what a WAV file can hold is left out, counted and reported', () => {
    const r = rig();
    r.open(streamInfo());
    r.frame(0, 0, 0, tone(0, 160));
    r.frame(0, 0, 2 ** 40, tone(0, 160));
    r.closeStream(0);
    r.work();
    expect(r.wav(ID).samples.length).toBe(160);
    expect(r.manifest(ID).incomplete).toBe(true);
    expect(r.status.counters().samplesDropped).toBe(160);
    expect(r.status.takeReport()).toContain('4 GiB');
  });
});
