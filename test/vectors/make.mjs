/**
 * Makes the traces of this folder from the simulator's own speech: `npm run build && node test/vectors/make.mjs`.
 * The traces are committed; run this only to change them. Each is one channel as a network with impairments delivers
 * it, in the format of `trunkline simulate --trace`.
 */
import { writeFileSync } from 'node:fs';
import { ImpairmentPlan, NO_IMPAIRMENTS } from '../../dist/src/simulator/network/impairments.js';
import { SeededRandom } from '../../dist/src/simulator/network/random.js';
import { LoopLibrary } from '../../dist/src/simulator/sound/loops.js';
import { loadClips } from '../../dist/src/simulator/sound/speech.js';
import { findLoopStart, SpeechTrack } from '../../dist/src/simulator/sound/track.js';

const library = new LoopLibrary(loadClips());
const PACKETS_PER_SECOND = 50;

function make(name, { coding, clip, clockHz, payloadType, seconds, impairments, firstSequence, firstTimestamp }) {
  const loop = library.loop(clip, coding);
  const start = findLoopStart(loop, 0, seconds * PACKETS_PER_SECOND);
  const plan = new ImpairmentPlan({ ...NO_IMPAIRMENTS, ...impairments }, new SeededRandom(clip + 1));
  const track = new SpeechTrack(loop, start, { firstSequence, firstTimestamp }, clockHz, seconds, plan);
  const packets = [];
  const seen = new Set();
  for (let nowUs = 0; nowUs < Infinity; nowUs = track.nextUs) {
    track.run(nowUs, (index, seq, ts, payload) => {
      seen.add(index);
      packets.push({ arrivalUs: Math.round(nowUs), seq, ts, pt: payloadType, marker: 0, payload });
    });
  }
  const source = 'trunkline simulator';
  const header = { source, clockHz, packets: packets.length, lost: track.due - seen.size, payloadTypes: [payloadType] };
  writeFileSync(new URL(`${name}.jsonl`, import.meta.url), `${[header, ...packets].map(toLine).join('\n')}\n`);
  console.log(name, header);
}

function toLine(value) {
  return JSON.stringify(value);
}

const IMPAIRED = { loss: 0.04, burst: 2, reorder: 0.06, duplicate: 0.05, jitterMs: 30 };

make('pcmu-impaired', {
  coding: { codec: 'pcmu', sampleRate: 8000, dtx: false },
  clip: 1,
  clockHz: 8000,
  payloadType: 0,
  seconds: 3,
  impairments: IMPAIRED,
  firstSequence: 65_500,
  firstTimestamp: 2 ** 32 - 8000,
});
make('pcma-jitter', {
  coding: { codec: 'pcma', sampleRate: 8000, dtx: false },
  clip: 2,
  clockHz: 8000,
  payloadType: 8,
  seconds: 2,
  impairments: { jitterMs: 15 },
  firstSequence: 1000,
  firstTimestamp: 160_000,
});
make('opus-dtx-impaired', {
  coding: { codec: 'opus', sampleRate: 16_000, dtx: true },
  clip: 0,
  clockHz: 48_000,
  payloadType: 111,
  seconds: 6,
  impairments: IMPAIRED,
  firstSequence: 65_400,
  firstTimestamp: 2 ** 32 - 96_000,
});
