import { describe, expect, it } from 'vitest';
import { SpanLog } from '../../../src/control/live/span-log.js';
import { SpanTrack } from '../../../src/sinks/recorder/spans.js';
import { below, mulberry32 } from '../../support/random.js';

const FRAME_MS = 20;

function newLog(): SpanLog {
  const log = new SpanLog();
  log.begin('signal', 0);
  return log;
}

describe('the newest spans of a channel', () => {
  it('corrects what was taken for speech when the edge that is dated back comes', () => {
    const log = newLog();
    log.edge('speech', 1000);
    expect(log.read(5700)).toEqual([
      { state: 'silence', startMs: 0, endMs: 1000 },
      { state: 'speech', startMs: 1000, endMs: 5700 },
    ]);
    log.begin('lost', 5500);
    log.begin('signal', 5520);
    log.edge('silence', 5480);
    expect(log.read(5700)).toEqual([
      { state: 'silence', startMs: 0, endMs: 1000 },
      { state: 'speech', startMs: 1000, endMs: 5480 },
      { state: 'silence', startMs: 5480, endMs: 5500 },
      { state: 'lost', startMs: 5500, endMs: 5520 },
      { state: 'silence', startMs: 5520, endMs: 5700 },
    ]);
  });

  it('begins speech before the frame that showed it', () => {
    const log = newLog();
    log.edge('speech', 1000);
    log.edge('silence', 2000);
    log.edge('speech', 1990);
    expect(log.read(3000)).toEqual([
      { state: 'silence', startMs: 0, endMs: 1000 },
      { state: 'speech', startMs: 1000, endMs: 3000 },
    ]);
  });

  it('lets what was discarded hide what was paused, and that what was lost', () => {
    const log = newLog();
    log.hide('discarded', 100, 200);
    log.hide('paused', 50, 300);
    log.hide('lost', 0, 400);
    expect(log.read(500)).toEqual([
      { state: 'lost', startMs: 0, endMs: 50 },
      { state: 'paused', startMs: 50, endMs: 100 },
      { state: 'discarded', startMs: 100, endMs: 200 },
      { state: 'paused', startMs: 200, endMs: 300 },
      { state: 'lost', startMs: 300, endMs: 400 },
      { state: 'silence', startMs: 400, endMs: 500 },
    ]);
  });

  it('says that it is cut once there are more than it holds, also when a part is put in among the oldest', () => {
    const log = newLog();
    for (let n = 1; n < 128; n++) log.edge(n % 2 === 1 ? 'speech' : 'silence', n * 100);
    expect([log.isCut, log.read(12_800).length]).toEqual([false, 128]);
    log.hide('lost', 150, 160);
    expect(log.isCut).toBe(true);
    expect(log.read(12_800)).toHaveLength(128);
    expect(log.read(12_800)[0]).toEqual({ state: 'lost', startMs: 150, endMs: 160 });
    // Of a time that is no longer known.
    log.edge('digital', 20);
    expect(log.read(12_800)).toEqual([
      { state: 'lost', startMs: 150, endMs: 160 },
      { state: 'silence', kind: 'digital', startMs: 160, endMs: 12_800 },
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is what a recording would say (seed %i)', (seed) => {
    const random = mulberry32(seed);
    const log = newLog();
    // Samples of a millisecond: a gap of 20 is none.
    const track = new SpanTrack(0, undefined, 500);
    let end = 0;
    let isLost = false;
    let isSilent = true;
    for (let n = 0; n < 60; n++) {
      const gap = random() < 0.1 ? below(random, 200) : 0;
      const start = end + gap;
      const lost = random() < 0.15;
      if (gap > 25) log.begin('gap', end);
      if (gap > 25 || lost !== isLost || n === 0) log.begin(lost ? 'lost' : 'signal', start);
      isLost = lost;
      track.frame(start, FRAME_MS, isSilent, lost);
      end = start + FRAME_MS;
      if (!lost && random() < 0.25) {
        isSilent = random() < 0.5;
        const at = Math.max(0, end - below(random, 400));
        const kind = isSilent && random() < 0.3 ? ('digital' as const) : undefined;
        track.edge(at, isSilent, kind);
        log.edge(isSilent ? (kind ?? 'silence') : 'speech', at);
      }
      if (random() < 0.05) {
        const length = 1 + below(random, 300);
        track.withoutAudio('paused', end, length);
        log.hide('paused', end, end + length);
        end += length;
        // The next frame begins another part.
        log.begin('signal', end);
        isLost = false;
      }
    }
    const spans = track.compose(end).map(({ state, kind, startSamples, endSamples }) => ({
      ...{ state, ...(kind && { kind }), startMs: startSamples, endMs: endSamples },
    }));
    expect(log.read(end)).toEqual(spans);
  });
});
