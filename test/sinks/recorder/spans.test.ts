import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpanTrack } from '../../../src/sinks/recorder/spans.js';

const spansOf = (track: SpanTrack, end: number) =>
  track.compose(end).map(({ state, startSamples, endSamples }) => [state, startSamples, endSamples]);

describe('speech and silence', () => {
  it('begins silent, as the detector does', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, true, false);
    expect(spansOf(track, 160)).toEqual([['silence', 0, 160]]);
  });

  it('turns to speech inside the frame that showed it, where the edge says', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, true, false);
    track.frame(160, 160, false, false);
    track.edge(240, false);
    track.frame(320, 160, false, false);
    expect(spansOf(track, 480)).toEqual([
      ['silence', 0, 240],
      ['speech', 240, 480],
    ]);
  });

  it('goes on across a gap of some milliseconds that keeps the channels aligned, and not across a longer one', () => {
    for (const [gap, spans] of [
      [80, [['speech', 0, 400]]],
      [
        400,
        [
          ['speech', 0, 160],
          ['silence', 160, 560],
          ['speech', 560, 720],
        ],
      ],
    ] as const) {
      const track = new SpanTrack(0, undefined, 4000);
      track.frame(0, 160, false, false);
      track.edge(0, false);
      track.frame(160 + gap, 160, false, false);
      expect(spansOf(track, 320 + gap)).toEqual(spans);
    }
  });

  it('turns to silence long before the frame that showed it', () => {
    const track = new SpanTrack(0);
    for (let at = 0; at < 8000; at += 160) track.frame(at, 160, false, false);
    track.edge(4000, true);
    track.frame(8000, 160, true, false);
    expect(spansOf(track, 8160)).toEqual([
      ['speech', 0, 4000],
      ['silence', 4000, 8160],
    ]);
  });

  it('splits a silence by its kind, which survives loading and notes', () => {
    const notes: [number, number, number][] = [];
    const track = new SpanTrack(0, (note, _, start, length) => notes.push([note, start, length]));
    for (let at = 0; at < 24_000; at += 160) track.frame(at, 160, true, false);
    track.edge(4000, true, 'digital');
    track.edge(12_000, true);
    track.edge(12_000, true, 'comfortNoise');
    track.edge(20_000, false);
    const spans = [
      { state: 'silence', startSamples: 0, endSamples: 4000 },
      { state: 'silence', kind: 'digital', startSamples: 4000, endSamples: 12_000 },
      { state: 'silence', kind: 'comfortNoise', startSamples: 12_000, endSamples: 20_000 },
      { state: 'speech', startSamples: 20_000, endSamples: 24_000 },
    ];
    expect(track.compose(24_000)).toEqual(spans);
    const loaded = new SpanTrack(0);
    loaded.load(track.compose(24_000));
    expect(loaded.compose(24_000)).toEqual(spans);
    const resumed = new SpanTrack(0);
    for (const note of notes) resumed.note(...note);
    resumed.extendTo(24_000);
    expect(resumed.compose(24_000)).toEqual(spans);
  });

  it('says nothing of what comes after the last frame', () => {
    const track = new SpanTrack(0);
    for (let at = 0; at < 8000; at += 160) track.frame(at, 160, true, false);
    track.edge(0, true, 'digital');
    expect(track.compose(16_000)).toEqual([
      { state: 'silence', kind: 'digital', startSamples: 0, endSamples: 8000 },
      { state: 'silence', startSamples: 8000, endSamples: 16_000 },
    ]);
  });

  it('an edge takes back every edge from its place on', () => {
    const track = new SpanTrack(0);
    track.frame(0, 400, true, false);
    track.edge(100, false);
    track.edge(300, true);
    track.edge(200, true);
    expect(spansOf(track, 400)).toEqual([
      ['silence', 0, 100],
      ['speech', 100, 200],
      ['silence', 200, 400],
    ]);
  });

  it('is told by the frames when edges are missing', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, true, false);
    track.frame(160, 160, false, false);
    track.frame(320, 160, false, false);
    track.frame(480, 160, true, false);
    expect(spansOf(track, 640)).toEqual([
      ['silence', 0, 160],
      ['speech', 160, 480],
      ['silence', 480, 640],
    ]);
  });
});

describe('stretches', () => {
  it('a gap is silence, and the speech after it goes on', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, false, false);
    track.frame(1000, 160, false, false);
    expect(spansOf(track, 1160)).toEqual([
      ['speech', 0, 160],
      ['silence', 160, 1000],
      ['speech', 1000, 1160],
    ]);
  });

  it('lost frames hide what was assumed of them, and follow each other as one', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, false, false);
    track.frame(160, 160, true, true);
    track.frame(320, 160, false, true);
    track.frame(480, 160, false, false);
    expect(spansOf(track, 640)).toEqual([
      ['speech', 0, 160],
      ['lost', 160, 480],
      ['speech', 480, 640],
    ]);
  });

  it('paused and discarded stretches have their own state, and what is between is silence', () => {
    const track = new SpanTrack(0);
    track.frame(0, 160, false, false);
    track.withoutAudio('paused', 160, 800);
    track.frame(960, 160, false, false);
    track.withoutAudio('discarded', 2000, 100);
    expect(spansOf(track, 2100)).toEqual([
      ['speech', 0, 160],
      ['paused', 160, 960],
      ['speech', 960, 1120],
      ['silence', 1120, 2000],
      ['discarded', 2000, 2100],
    ]);
  });

  it('what a channel lacks of the recording is silence', () => {
    expect(spansOf(new SpanTrack(1), 500)).toEqual([['silence', 0, 500]]);
    expect(spansOf(new SpanTrack(1), 0)).toEqual([]);
  });
});

describe('any track', () => {
  const step = fc.record({
    gap: fc.nat({ max: 300 }),
    count: fc.integer({ min: 1, max: 400 }),
    kind: fc.constantFrom('speech', 'silence', 'lost', 'paused', 'edge'),
    back: fc.nat({ max: 500 }),
    silent: fc.boolean(),
  });
  function play(track: SpanTrack, steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): number {
    let end = 0;
    for (const { gap, count, kind, back, silent } of steps) {
      if (kind === 'edge') {
        track.edge(Math.max(0, end - back), silent);
        continue;
      }
      const at = end + gap;
      if (kind === 'paused') track.withoutAudio('paused', at, count);
      else track.frame(at, count, kind === 'silence', kind === 'lost');
      end = at + count;
    }
    return end;
  }

  it('is covered from 0 to its end, neighbours differ, and its journal and its spans give it back', () => {
    const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const journal: [number, number, number][] = [];
      const track = new SpanTrack(0, (note, _channel, start, length) => journal.push([note, start, length]));
      const end = play(track, steps);
      const spans = track.compose(end);
      let at = 0;
      let before = '';
      for (const span of spans) {
        expect(span.startSamples).toBe(at);
        expect(span.endSamples).toBeGreaterThan(at);
        expect(span.state).not.toBe(before);
        at = span.endSamples;
        before = span.state;
      }
      expect(at).toBe(end);

      const replayed = new SpanTrack(0);
      for (const note of [...journal, ...journal]) replayed.note(...note);
      replayed.extendTo(end);
      expect(replayed.compose(end)).toEqual(spans);

      const loaded = new SpanTrack(0);
      loaded.load(spans);
      expect(loaded.compose(end)).toEqual(spans);
    });
    fc.assert(property, { numRuns: 500 });
  });
});
