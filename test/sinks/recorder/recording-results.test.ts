import { afterEach, describe, expect, it } from 'vitest';
import { RecordingResults, recordingResultsBytes } from '../../../src/sinks/recorder/recording-results.js';
import type { RecordingResult } from '../../../src/sinks/sink.js';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';

const rigs: RecorderRig[] = [];
afterEach(() => {
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

/** A recorder that tells its results through a ring for `capacity` of them. */
function rig(capacity: number, recordings = 4): { r: RecorderRig; results: RecordingResults } {
  const results = new SharedArrayBuffer(recordingResultsBytes(capacity));
  const r = new RecorderRig({ recordings, options: { results } });
  rigs.push(r);
  return { r, results: new RecordingResults(results) };
}

function record(r: RecorderRig, stream: number, generation: number, samples = 160): void {
  r.open({ ...streamInfo(), stream, interactionId: `call-${generation}` }, 0, generation);
  if (samples > 0) r.frame(stream, 0, 0, tone(0, samples));
  r.closeStream(stream, {}, 0, 0, generation);
}

function short({ generation, outcome, cause, folder }: RecordingResult) {
  return [generation, outcome, cause, folder];
}

describe('the results of recordings', () => {
  it('say of each what became of it, by the generation of its stream', () => {
    const { r, results } = rig(4);
    record(r, 0, 7, 8000);
    record(r, 1, 8, 0);
    r.open({ ...streamInfo(), stream: 2, interactionId: 'refused' }, 0, 9);
    r.frame(2, 0, 160, tone(0, 160));
    r.closeStream(2, {}, 0, 1, 9);
    // Its OPEN never came.
    r.closeStream(3, {}, 0, 0, 10);
    r.work();
    const all = results.take();
    expect(all.map(short)).toEqual([
      [7, 'recorded', undefined, 'call-7'],
      [8, 'empty', undefined, undefined],
      [9, 'incomplete', 'notWritten', 'refused'],
      [10, 'failed', 'refused', undefined],
    ]);
    expect(all[0]).toMatchObject({ durationMs: 1000, notRecordedMs: 0, segment: 1 });
    expect(results.take()).toEqual([]);
  });

  it('wait in the recording while the ring is full, and none is lost or told twice', () => {
    const { r, results } = rig(2);
    const told: number[] = [];
    for (let generation = 1; generation <= 50; generation++) {
      record(r, generation % 3, generation);
      r.work(1_000_000);
      // Three results for a ring of two.
      if (generation % 3 !== 0 && generation < 50) continue;
      for (let turn = 0; turn < 2; turn++) {
        told.push(...results.take().map((one) => one.generation));
        r.work(1_000_000);
      }
      expect(told).toHaveLength(generation);
    }
    expect(told.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(r.status.counters()).toMatchObject({ recordingsFinished: 50, recordingsRefused: 0 });
  });

  it('survive the death of the recorder’s thread; what it had not ended is interrupted', () => {
    const { r, results } = rig(4);
    record(r, 0, 1);
    r.open({ ...streamInfo(), stream: 1, interactionId: 'open' }, 0, 2);
    r.frame(1, 0, 0, tone(0, 160));
    r.work();
    r.crash();
    r.recorder.close();
    expect(results.take().map(short)).toEqual([
      [1, 'recorded', undefined, 'call-1'],
      [2, 'incomplete', 'interrupted', 'open'],
    ]);
  });
});
