import { afterAll, describe, expect, it } from 'vitest';
import type { StreamSummary } from '../../../src/core/events.js';
import type { Manifest } from '../../../src/sinks/recorder/files/manifest.js';
import { CaptureRig } from '../../support/engine/capture-rig.js';
import { type LateCall, lateCall, play } from '../../support/engine/late-calls.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';

/** The whole range, as the mark of the project has it: TRUNKLINE_REPAIR_STREAMS=10000. */
const STREAMS = Number(process.env['TRUNKLINE_REPAIR_STREAMS'] ?? 40);
const FROM = Number(process.env['TRUNKLINE_REPAIR_FROM'] ?? 1);
const SHARE = 20;
const missing = nativeMissing();

interface Outcome {
  readonly summary: StreamSummary;
  readonly manifest: Manifest;
  readonly samples: Int16Array;
}

const rigs: CaptureRig[] = [];
afterAll(() => {
  for (const rig of rigs) rig.remove();
});

function record(rig: CaptureRig, call: LateCall): Outcome {
  const folder = `seed-${call.seed}`;
  const summary = play(rig, call, folder);
  const wav = rig.wav(folder);
  return { summary, manifest: rig.manifest(folder), samples: wav.samples };
}

function check(call: LateCall, { summary, manifest, samples }: Outcome): void {
  const about = `seed ${call.seed}`;
  expect(summary, about).toMatchObject(call.counts);
  expect(summary.packetsRepaired, about).toBe(summary.packetsLate - call.beforeFirst);
  expect(manifest.packetsRepaired, about).toBe(summary.packetsRepaired);
  expect(manifest.packetsLost, about).toBe(summary.packetsLost);
  const { channels } = call;
  for (const { channel, sequence, position, pcm } of call.placed) {
    for (let i = 0; i < pcm.length; i++) {
      if (samples[(position + i) * channels + channel] === pcm[i]) continue;
      expect.fail(`${about}: packet ${sequence} of channel ${channel} is not in its place, at ${position}.`);
    }
  }
  const lostMs = manifest.spans
    .filter(({ state }) => state === 'lost')
    .reduce((sum, s) => sum + s.endMs - s.startMs, 0);
  expect(lostMs, about).toBeCloseTo(call.lostMs, 3);
}

describe('late packets are recorded in their place', () => {
  for (let first = FROM; first < FROM + STREAMS; first += SHARE) {
    it(`streams ${first} to ${first + SHARE - 1}, the same by both backends`, () => {
      const js = new CaptureRig('js');
      const native = missing === undefined ? new CaptureRig('native') : undefined;
      rigs.push(js, ...(native === undefined ? [] : [native]));
      for (let seed = first; seed < Math.min(first + SHARE, FROM + STREAMS); seed++) {
        const call = lateCall(seed);
        const reference = record(js, call);
        check(call, reference);
        if (native === undefined) continue;
        const other = record(native, call);
        expect(other.manifest.spans, `seed ${seed}`).toEqual(reference.manifest.spans);
        expect(Buffer.compare(Buffer.from(other.samples.buffer), Buffer.from(reference.samples.buffer))).toBe(0);
        expect(other.summary).toEqual(reference.summary);
      }
      for (const rig of rigs.splice(0)) rig.remove();
    });
  }
});
