import { NodeSampler } from '../../src/control/metrics/sampler.js';
import { ManualClock } from '../../src/core/clock.js';
import type { FrameView } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { Metrics } from '../../src/sinks/metrics/metrics.js';
import type { MicroCase } from './micro-case.js';

const STREAMS = 1_000;
const TICKS_A_SECOND = 10;

/** What counting costs: a frame as it is delivered, and a stream once a second. */
export function metricsCases(): MicroCase[] {
  return [countFrame(), lookAtStream()];
}

function countFrame(): MicroCase {
  const metrics = new Metrics({ clock: new ManualClock() });
  // Written out: objects that are spread from another have a shape each.
  const frames = Array.from(
    { length: STREAMS },
    (_, n) =>
      ({
        isSilent: false,
        concealed: false,
        decodeError: false,
        lost: false,
        arrivalUs: 0,
        processedUs: 50_000 + n,
        deliveredUs: 51_000 + 2 * n,
      }) as FrameView,
  );
  return {
    name: 'metrics count a frame and its latencies',
    unit: 'frame',
    steps: STREAMS,
    run() {
      for (const one of frames) metrics.frame(one);
    },
  };
}

function lookAtStream(): MicroCase {
  const clock = new ManualClock();
  const engine = new Engine({ shards: 1, maxStreams: STREAMS, clock });
  for (let n = 0; n < STREAMS; n++) {
    engine.openStream(`call-${n}`, { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
  }
  const sampler = new NodeSampler({ engine, metrics: new Metrics({ clock }), clock });
  return {
    name: 'metrics sample a stream, once a second',
    unit: 'stream',
    steps: STREAMS,
    run() {
      clock.advanceUs(1_000_000);
      for (let tick = 0; tick < TICKS_A_SECOND; tick++) sampler.tick();
    },
  };
}
