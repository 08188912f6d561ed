import { beforeEach, describe, expect, it } from 'vitest';
import { InteractionView } from '../../../src/control/live/interaction-view.js';
import { ManualClock } from '../../../src/core/clock.js';
import { zeroCounts } from '../../../src/core/counts.js';
import type { EndReason, FrameView, SilenceKind, StreamInfo } from '../../../src/core/events.js';
import { Engine } from '../../../src/engine/engine.js';
import { addPacket } from '../../support/engine/packets.js';
import { frameView, streamInfo } from '../../support/frames.js';

let clock: ManualClock;
let view: InteractionView;

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  view = new InteractionView(clock);
});

const FRAME = 160;

/** Frames of 20 ms, from `from` on. */
function frames(info: StreamInfo, from: number, count: number, over: Partial<FrameView> = {}): void {
  for (let n = from; n < from + count; n++) {
    const nowUs = clock.nowUs();
    const times = { arrivalUs: nowUs - 55_000, processedUs: nowUs, deliveredUs: nowUs };
    view.frame(frameView({ info, positionSamples: n * FRAME, sampleCount: FRAME, ...times, ...over }));
    clock.advanceUs(20_000);
  }
}

/** Silence ends or begins `ms` after the start. */
function edge(info: StreamInfo, ms: number, silent: boolean, kind?: SilenceKind): void {
  const positionSamples = (ms * info.sampleRate) / 1000;
  view.silenceEdge({ info, channel: 0, silent, positionSamples, ...(kind && { kind }) });
}

function end(info: StreamInfo, endReason: EndReason = 'ended', packetsReceived = 0): void {
  view.streamEnded(info, { ...zeroCounts(), packetsReceived, endReason, endedAtMs: clock.wallMs() });
}

const entryOf = (id: string) => {
  const entry = view.find(id);
  if (entry === undefined) throw new Error(`${id} is not known`);
  return entry;
};

describe('the view of interactions', () => {
  it('has level, speech and latency of each channel, and no level once no frames come', () => {
    const info = streamInfo({ stream: 3, interactionId: 'a', channels: 2 });
    view.streamOpened(info);
    expect(view.levelDbfs(3, 0, clock.nowUs())).toBe(-96);
    frames(info, 0, 50, { meanSquare: 0.01 });
    frames(info, 0, 50, { channel: 1, isSilent: true, meanSquare: 1e-12 });
    expect(view.levelDbfs(3, 0, clock.nowUs() - 999_000)).toBe(-20);
    expect(view.levelDbfs(3, 1, clock.nowUs())).toBe(-96);
    expect(view.isSpeech(3, 0, clock.nowUs() - 999_000)).toBe(true);
    expect(view.isSpeech(3, 1, clock.nowUs())).toBe(false);
    expect(view.latencyUs(3)).toBeCloseTo(55_000, 0);
    clock.advanceUs(1_000_000);
    expect(view.levelDbfs(3, 0, clock.nowUs())).toBe(-96);
    expect(view.isSpeech(3, 0, clock.nowUs())).toBe(false);
  });

  it('splits silence where an edge says that its kind has changed', () => {
    const info = streamInfo({ stream: 3, interactionId: 'a' });
    view.streamOpened(info);
    frames(info, 0, 100, { isSilent: true });
    const kind = () => view.silenceKind(entryOf('a'), 0, clock.nowUs());
    expect(kind()).toBeUndefined();
    edge(info, 500, true, 'digital');
    expect(kind()).toBe('digital');
    frames(info, 100, 50, { isSilent: true });
    expect(view.silenceKind(entryOf('a'), 0, clock.nowUs() + 1_000_000)).toBeUndefined();
    edge(info, 2500, true);
    expect(kind()).toBeUndefined();
    frames(info, 150, 50, { isSilent: true });
    frames(info, 200, 50);
    edge(info, 4000, false);
    end(info);
    expect(kind()).toBeUndefined();
    expect(view.spans(entryOf('a'), 0).spans).toEqual([
      { state: 'silence', startMs: 0, endMs: 500 },
      { state: 'silence', kind: 'digital', startMs: 500, endMs: 2500 },
      { state: 'silence', startMs: 2500, endMs: 4000 },
      { state: 'speech', startMs: 4000, endMs: 5000 },
    ]);
  });

  it('keeps an interaction whose next stream, on another shard, opens before the former one ends', () => {
    const first = streamInfo({ stream: 1, interactionId: 'a' });
    const second = streamInfo({ stream: 2, interactionId: 'a' });
    view.streamOpened(first);
    view.paused({ interactionId: 'a', paused: true, by: 'operator' });
    view.streamOpened(second);
    end(first);
    expect(entryOf('a')).toMatchObject({ info: second, ended: undefined, pausedBy: ['operator'] });
    expect([view.isLive('a'), [...view.ended()].length]).toEqual([true, 1]);
    end(second);
    expect([view.isLive('a'), [...view.ended()].length]).toEqual([false, 2]);
  });

  it('has the spans of each channel, marked ones in their place', () => {
    const info = streamInfo({ interactionId: 'a' });
    view.streamOpened(info);
    frames(info, 0, 50);
    edge(info, 0, false);
    frames(info, 50, 50);
    // Dated back: the hang-over was no speech.
    edge(info, 1000, true);
    frames(info, 100, 1, { lost: true, concealed: true });
    view.markedSpan({ info, channel: 0, state: 'paused', startSamples: 101 * FRAME, lengthSamples: 99 * FRAME });
    frames(info, 200, 50);
    edge(info, 4000, false);
    expect(view.spans(entryOf('a'), 0)).toEqual({
      isCut: false,
      spans: [
        { state: 'speech', startMs: 0, endMs: 1000 },
        { state: 'silence', startMs: 1000, endMs: 2000 },
        { state: 'lost', startMs: 2000, endMs: 2020 },
        { state: 'paused', startMs: 2020, endMs: 4000 },
        { state: 'speech', startMs: 4000, endMs: 5000 },
      ],
    });
    expect(view.spans(entryOf('a'), 1).spans).toEqual([]);
  });

  it('keeps the newest spans only, and says so', () => {
    const info = streamInfo({ interactionId: 'a' });
    view.streamOpened(info);
    for (let n = 0; n < 1000; n++) {
      frames(info, n, 1);
      edge(info, n * 20, n % 2 === 1);
    }
    const { spans, isCut } = view.spans(entryOf('a'), 0);
    expect(isCut).toBe(true);
    expect(spans).toHaveLength(128);
    expect(spans.at(-1)).toEqual({ state: 'silence', startMs: 19_980, endMs: 20_000 });
  });

  it('joins the streams of a call whose format changes', () => {
    const first = streamInfo({ stream: 0, interactionId: 'a', startedAtMs: 5_000 });
    view.streamOpened(first);
    frames(first, 0, 50);
    edge(first, 0, false);
    end(first, 'formatChanged', 50);
    const segment = { number: 2, firstStartedAtMs: 5_000, startMs: 1_000 };
    const second = streamInfo({ stream: 1, interactionId: 'a', sampleRate: 16_000, startedAtMs: 6_000, segment });
    view.streamOpened(second);
    frames(second, 0, 1, { isSilent: true });
    expect([...view.live()]).toMatchObject([
      { id: 'a', startedAtMs: 5_000, info: { sampleRate: 16_000 }, earlier: { packetsReceived: 50 } },
    ]);
    end(second, 'ended', 1);
    expect(view.find('a')).toMatchObject({ ended: { packetsReceived: 51, endReason: 'ended' } });
    expect(view.spans(entryOf('a'), 0).spans).toEqual([
      { state: 'speech', startMs: 0, endMs: 1000 },
      { state: 'silence', startMs: 1000, endMs: 1010 },
    ]);
    expect([...view.ended()]).toHaveLength(1);
  });

  it('knows who withholds the audio, also before there is a stream', () => {
    const info = streamInfo({ interactionId: 'a' });
    view.paused({ interactionId: 'a', paused: true, by: 'platform' });
    view.streamOpened(info);
    view.paused({ interactionId: 'a', paused: true, by: 'operator' });
    expect(view.find('a')?.pausedBy).toEqual(['platform', 'operator']);
    view.paused({ interactionId: 'a', paused: false, by: 'platform' });
    expect(view.find('a')?.pausedBy).toEqual(['operator']);
    end(info);
    view.streamOpened(info);
    expect(view.find('a')?.pausedBy).toEqual([]);
  });

  it('keeps a thousand interactions that have ended, for ten minutes', () => {
    for (let n = 0; n < 1200; n++) {
      const info = streamInfo({ stream: n % 8, interactionId: `call-${n}` });
      view.streamOpened(info);
      end(info);
    }
    expect([...view.ended()]).toHaveLength(1000);
    expect(view.find('call-199')).toBeUndefined();
    expect(view.find('call-200')).toMatchObject({ ended: { endReason: 'ended' } });
    clock.advanceUs(601e6);
    expect(view.find('call-1199')).toBeUndefined();
    expect([...view.ended()]).toEqual([]);
  });

  it('finds the call that runs before one of the same id that has ended', () => {
    const info = streamInfo({ interactionId: 'a' });
    view.streamOpened(info);
    end(info, 'lost');
    view.streamOpened(streamInfo({ interactionId: 'a', stream: 1 }));
    expect(view.find('a')).toMatchObject({ ended: undefined, info: { stream: 1 } });
    end(streamInfo({ interactionId: 'a', stream: 1 }));
    expect(view.find('a')).toMatchObject({ ended: { endReason: 'ended' } });
  });

  it('has silence where the time line has no frames, and both sides of equal length at the end', () => {
    const info = streamInfo({ interactionId: 'a', channels: 2 });
    view.streamOpened(info);
    frames(info, 5, 45);
    edge(info, 100, false);
    frames(info, 100, 50);
    view.frame(frameView({ info, channel: 1, positionSamples: 0, sampleCount: FRAME }));
    end(info);
    expect(view.spans(entryOf('a'), 0).spans).toEqual([
      { state: 'silence', startMs: 0, endMs: 100 },
      { state: 'speech', startMs: 100, endMs: 1000 },
      { state: 'silence', startMs: 1000, endMs: 2000 },
      { state: 'speech', startMs: 2000, endMs: 3000 },
    ]);
    expect(view.spans(entryOf('a'), 1).spans).toEqual([{ state: 'silence', startMs: 0, endMs: 3000 }]);
  });

  it('ignores frames of a stream that was open before it was attached', () => {
    frames(streamInfo({ stream: 5 }), 0, 3);
    end(streamInfo({ stream: 5 }));
    expect(view.size).toBe(0);
    expect([...view.ended()]).toEqual([]);
  });

  it('takes what an engine delivers, whose reception it has by channel', async () => {
    const engine = new Engine({
      shards: 1,
      maxStreams: 4,
      native: 'off',
      silenceDetector: 'fixed',
      playoutDelayMs: 40,
      clock,
    });
    engine.addSink(view);
    await engine.start();
    const stream = engine.openStream('a', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 });
    for (let n = 0; n < 50; n++) {
      const packet = { stream, sequence: n, timestamp: n * FRAME, arrivalUs: clock.nowUs() };
      for (const channel of [0, 1]) {
        if (channel === 1 && n === 7) continue;
        addPacket(engine.batch, { ...packet, channel, payload: new Uint8Array(FRAME).fill(0x90) });
      }
      engine.submit();
      clock.advanceUs(20_000);
    }
    expect(engine.reception(stream)).toMatchObject([
      { packetsReceived: 50, packetsLost: 0, playoutDelayUs: 40_000 },
      { packetsReceived: 49, packetsLost: 1, playoutDelayUs: 40_000 },
    ]);
    engine.endStream(stream, 'ended');
    expect(engine.reception(stream)).toBeUndefined();
    await engine.close();
    expect(entryOf('a').ended).toMatchObject({ packetsReceived: 99, packetsLost: 1 });
    expect(view.spans(entryOf('a'), 0).spans).toEqual([{ state: 'speech', startMs: 0, endMs: 1000 }]);
    expect(view.spans(entryOf('a'), 1).spans).toEqual([
      { state: 'speech', startMs: 0, endMs: 140 },
      { state: 'lost', startMs: 140, endMs: 160 },
      { state: 'speech', startMs: 160, endMs: 1000 },
    ]);
  });
});
