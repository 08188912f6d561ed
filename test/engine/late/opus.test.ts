import { afterAll, describe, expect, it } from 'vitest';
import { CaptureRig, type SentPacket } from '../../support/engine/capture-rig.js';
import { OPUS_CLOCK_RATE, opusStream } from '../../support/engine/opus-loss.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { below, mulberry32 } from '../../support/random.js';

const missing = nativeMissing();
const START_US = 2_000_000;
/** Packets at either end that are in time, so that both calls begin and end with the same ones. */
const CALM = 10;
const STREAMS = process.env['TRUNKLINE_E2E'] === 'full' ? 200 : 3;
const FORMAT = { codec: 'opus', clockRate: OPUS_CLOCK_RATE, sampleRate: 16_000, channels: 1 } as const;

const packets = await opusStream(mulberry32(5), 240, { sampleRate: 16_000, ms: [20] });

const rigs: CaptureRig[] = [];
afterAll(() => {
  for (const rig of rigs) rig.remove();
});

/** The packets of a call, in time, and what became of them on a bad line: some are lost, some come up to 3 s late. */
function callOf(seed: number): { inTime: SentPacket[]; arrived: SentPacket[]; late: number } {
  const random = mulberry32(seed);
  const inTime: SentPacket[] = [];
  const arrived: SentPacket[] = [];
  let late = 0;
  for (const [index, { sequence, position, payload }] of packets.entries()) {
    const packet = { sequence, timestamp: position, arrivalUs: START_US + index * 20_000, payload };
    const isCalm = index < CALM || index >= packets.length - CALM;
    if (!isCalm && random() < 0.05) continue;
    const isLate = !isCalm && random() < 0.08;
    if (isLate) late++;
    inTime.push(packet);
    arrived.push(isLate ? { ...packet, arrivalUs: packet.arrivalUs + 200_000 + below(random, 3_000_000) } : packet);
  }
  return { inTime, arrived: arrived.sort((a, b) => a.arrivalUs - b.arrivalUs), late };
}

function record(rig: CaptureRig, interactionId: string, arrivals: readonly SentPacket[]) {
  const fromUs = Math.max(0, rig.clock.nowUs() - START_US);
  const stream = rig.open(interactionId, FORMAT);
  for (const packet of arrivals) rig.take(stream, { ...packet, arrivalUs: packet.arrivalUs + fromUs });
  rig.advanceTo(fromUs + START_US + packets.length * 20_000 + 4_000_000);
  const summary = rig.end(stream);
  return { summary, manifest: rig.manifest(interactionId), samples: rig.wav(interactionId).samples };
}

describe.each(missing === undefined ? (['js', 'native'] as const) : (['js'] as const))('late Opus, %s', (backend) => {
  it('is in the file as if it had come in order, and no longer lost', () => {
    const rig = new CaptureRig(backend);
    rigs.push(rig);
    for (let seed = 1; seed <= STREAMS; seed++) {
      const call = callOf(seed);
      const bad = record(rig, `bad-${seed}`, call.arrived);
      const good = record(rig, `good-${seed}`, call.inTime);
      // Few of those that come late are waited for.
      expect(bad.summary.packetsLate, `seed ${seed}`).toBeGreaterThan(call.late / 2);
      expect(bad.manifest.packetsRepaired, `seed ${seed}`).toBe(bad.summary.packetsLate);
      expect(bad.samples.length).toBe(good.samples.length);
      expect(
        bad.samples.findIndex((sample, i) => sample !== good.samples[i]),
        `seed ${seed}`,
      ).toBe(-1);
      const lost = ({ manifest }: typeof bad) => manifest.spans.filter(({ state }) => state === 'lost');
      expect(lost(bad), `seed ${seed}`).toEqual(lost(good));
    }
  });
});
