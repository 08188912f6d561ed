import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { ManualClock } from '../../../src/core/clock.js';
import { CODEC_ID } from '../../../src/core/codec.js';
import { DETECTOR_ID } from '../../../src/core/events.js';
import { AudioFile } from '../../../src/sinks/recorder/files/audio-file.js';
import { type Manifest, manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { Recorder } from '../../../src/sinks/recorder/recorder.js';
import { RecorderStatus, recorderMemoryBytes } from '../../../src/sinks/recorder/recorder-memory.js';
import { ShardRig } from '../../support/engine/shard-rig.js';
import { streamInfo } from '../../support/frames.js';
import { readWav } from '../../support/recorder/recorder-rig.js';

const FRAME = 160;
const FRAME_US = 20_000;
/** A loud square wave, of which no sample is zero. */
const LOUD = encodePcmu(Int16Array.from({ length: FRAME }, (_, i) => (i % 20 < 10 ? 12_000 : -12_000)));

const folders: string[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface Call {
  readonly manifest: Manifest;
  readonly samples: Int16Array;
}

/**
 * A shard and a recorder in virtual time: loud calls for `seconds`, and a disk that takes `writeMs` for each write
 * between second 2 and second `slowUntil`.
 */
function run(setup: {
  calls: number;
  seconds: number;
  slowUntil: number;
  writeMs: number;
  ringBytes: number;
  bufferBytes?: number;
}): {
  calls: Call[];
  dropped: number;
  refused: number;
} {
  const outDir = mkdtempSync(join(tmpdir(), 'trunkline-stalled-'));
  folders.push(outDir);
  const clock = new ManualClock(0);
  const rig = new ShardRig('js', { streams: setup.calls, recorderRingBytes: setup.ringBytes });
  const writeBufferBytes = setup.bufferBytes ?? 131_072;
  const memory = new SharedArrayBuffer(recorderMemoryBytes(setup.calls, writeBufferBytes));
  const place = rig.data.recorder;
  if (place === undefined) throw new Error('no recorder ring');
  const recorder = new Recorder({ outDir, rings: [place], memory, writeBufferBytes }, clock);
  let fed = 0;
  /** What has arrived by now goes through the shard, whatever the recorder is doing. */
  const arrive = (): void => {
    for (; fed * FRAME_US <= clock.nowUs() && fed < setup.seconds * 50; fed++) {
      for (let stream = 0; stream < setup.calls; stream++) rig.packet(stream, fed, fed * FRAME, LOUD);
      rig.drain();
    }
  };
  const write = AudioFile.prototype.write;
  vi.spyOn(AudioFile.prototype, 'write').mockImplementation(function slow(this: AudioFile, ...args) {
    const second = clock.nowUs() / 1e6;
    if (second >= 2 && second < setup.slowUntil) {
      clock.advanceUs(setup.writeMs * 1000);
      arrive();
    }
    return write.apply(this, args);
  });
  for (let stream = 0; stream < setup.calls; stream++) {
    rig.table.assign(stream, {
      shard: 0,
      codec: CODEC_ID.PCMU,
      clockRate: 8000,
      sampleRate: 8000,
      channels: 1,
      detector: DETECTOR_ID.fixed,
      wants: 4,
    });
    rig.openAs(stream, streamInfo({ stream, interactionId: `call-${stream}` }));
  }
  while (fed < setup.seconds * 50) {
    arrive();
    recorder.doWork(clock.nowUs());
    clock.advanceUs(FRAME_US);
  }
  for (let stream = 0; stream < setup.calls; stream++) {
    rig.closeAs(stream, { endReason: 'ended', endedAtMs: 1_700_000_100_000 });
    rig.drain();
  }
  for (let turn = 0; turn < 1000; turn++) {
    clock.advanceUs(FRAME_US);
    recorder.doWork(clock.nowUs());
    rig.drain();
  }
  recorder.close();
  const calls = Array.from({ length: setup.calls }, (_, stream) => {
    const folder = join(outDir, `call-${stream}`);
    return {
      manifest: manifestSchema.parse(JSON.parse(readFileSync(join(folder, 'session.json'), 'utf8'))),
      samples: readWav(readFileSync(join(folder, 'audio.wav'))).samples,
    };
  });
  const { samplesDropped } = new RecorderStatus(memory).counters();
  rig.end();
  return { calls, dropped: samplesDropped, refused: rig.counters()['RECORDER_REFUSED'] ?? 0 };
}

/** Milliseconds of a loud call that its recording has as zeros. */
function zeroMs({ samples }: Call): number {
  return samples.filter((sample) => sample === 0).length / 8;
}

describe('a disk that stands still for ten seconds', () => {
  it('labels what could not be kept as lost, where it is and how much, and nothing as silence', () => {
    const { calls, refused, dropped } = run({
      calls: 12,
      seconds: 15,
      slowUntil: 12,
      writeMs: 300,
      ringBytes: 1 << 17,
      bufferBytes: 4096,
    });
    expect(refused).toBeGreaterThan(0);
    let missingMs = 0;
    for (const call of calls) {
      expect(call.samples.length).toBe(15 * 8000);
      const { spans, incomplete, notRecordedMs = 0 } = call.manifest;
      expect(spans.filter(({ state }) => state === 'silence')).toEqual([]);
      for (const { state, startMs, endMs, notRecorded } of spans) {
        const part = call.samples.subarray(startMs * 8, endMs * 8);
        const isMissing = part.every((sample) => sample === 0);
        expect(isMissing, `${state} ${startMs}-${endMs}`).toBe(state === 'lost');
        expect(notRecorded).toBe(state === 'lost' ? true : undefined);
      }
      expect(notRecordedMs).toBeCloseTo(zeroMs(call));
      expect(incomplete).toBe(notRecordedMs > 0 ? true : undefined);
      missingMs += notRecordedMs;
    }
    expect(missingMs).toBeGreaterThan(1000);
    expect(dropped / 8).toBeCloseTo(missingMs);
  });

  it('costs nothing while there is space for what waits', () => {
    const { calls, refused, dropped } = run({
      calls: 12,
      seconds: 15,
      slowUntil: 12,
      writeMs: 300,
      ringBytes: 1 << 22,
    });
    expect([refused, dropped]).toEqual([0, 0]);
    for (const call of calls) {
      expect(zeroMs(call)).toBe(0);
      expect(call.manifest.incomplete).toBeUndefined();
      expect(call.manifest.spans).toEqual([{ state: 'speech', channel: 0, startMs: 0, endMs: 15_000 }]);
    }
  });

  it('in one write costs no more than does not fit, also at the end of a call', () => {
    const { calls } = run({ calls: 4, seconds: 8, slowUntil: 8, writeMs: 20_000, ringBytes: 1 << 17 });
    for (const call of calls) {
      const { spans, notRecordedMs = 0 } = call.manifest;
      expect(spans.filter(({ state }) => state === 'silence')).toEqual([]);
      expect(spans.at(-1)).toMatchObject({ state: 'lost', notRecorded: true, endMs: 8000 });
      expect(notRecordedMs).toBeCloseTo(zeroMs(call));
      expect(notRecordedMs).toBeLessThan(6000);
    }
  });
});
