import { describe, expect, it } from 'vitest';
import { CODEC_ID } from '../../src/core/codec.js';
import { FLAG, KIND } from '../../src/ring/layout.js';
import { WANT } from '../../src/ring/stream-table.js';
import { nativeMissing, ShardRig, type StreamSetup, type TakenRecord } from '../support/engine/shard-rig.js';
import { below, mulberry32 } from '../support/random.js';

const QUIET = 0xff;
const STREAM = { codec: CODEC_ID.PCMU, sampleRate: 8000, channels: 2 } as const;

/** Packets of two channels: 0.1 s to 1 s of speech and of silence in turn, of any length, some of them lost or after a gap. */
function play(rig: ShardRig, setup: StreamSetup, seed: number, packets = 250): TakenRecord[] {
  const random = mulberry32(seed);
  rig.open(0, setup);
  const taken: TakenRecord[] = [];
  const channels = [0, 1].map(() => ({ sequence: 0, position: 0, isSpeech: false, left: 4_000 }));
  for (let k = 0; k < packets; k++) {
    const channel = below(random, 2);
    const state = channels[channel] as (typeof channels)[number];
    const samples = random() < 0.7 ? 160 : 40 + below(random, 900);
    const level = 0x80 + below(random, 8);
    if (state.left <= 0) {
      state.isSpeech = !state.isSpeech;
      state.left = 800 + below(random, 7_200);
    }
    if (random() < 0.02) state.position += below(random, 3_000);
    const payload = Uint8Array.from({ length: samples }, () =>
      state.isSpeech ? level + below(random, 2) * 0x80 - 0x80 : QUIET - below(random, 4),
    );
    if (random() < 0.05) rig.lost(0, state.sequence, state.position, samples, channel);
    else rig.packet(0, state.sequence, state.position, payload, channel);
    state.sequence++;
    state.position += samples;
    state.left -= samples;
    if (random() < 0.3) taken.push(...rig.drain());
  }
  taken.push(...rig.drain());
  rig.end();
  return taken;
}

const isSilent = ({ flags }: TakenRecord): boolean => (flags & FLAG.SILENT) !== 0;
const samplesOf = (record: TakenRecord): number => record.fields?.[2] ?? 0;
const endOf = (record: TakenRecord): number => record.position + samplesOf(record);
const withSamples = (record: TakenRecord): string =>
  `${record.channel} ${record.position} ${record.fields?.slice(2, 8)} ${Buffer.from(record.payload).toString('base64')}`;

/** What the output ring should hold, given all frames with their samples. */
function expected(all: readonly TakenRecord[], preRoll: number, postRoll: number): string[] {
  const told: string[] = [];
  const silent: TakenRecord[][] = [[], []];
  const speechEnd = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const frame of all.filter(({ kind }) => kind === KIND.FRAME)) {
    const { channel, position } = frame;
    if (isSilent(frame)) {
      silent[channel]?.push(frame);
      const isPost = position < (speechEnd[channel] as number) + postRoll;
      told.push(isPost ? `post ${withSamples(frame)}` : `silent ${channel} ${position}`);
      continue;
    }
    const before = (silent[channel] ?? []).filter((one) => endOf(one) > position - preRoll);
    told.push(...before.map((one) => `pre ${withSamples(one)} before ${position}`), `speech ${withSamples(frame)}`);
    silent[channel] = [];
    speechEnd[channel] = endOf(frame);
  }
  return told;
}

function told(records: readonly TakenRecord[]): string[] {
  return records.flatMap((record) => {
    if (record.kind === KIND.PRE_ROLL) return [`pre ${withSamples(record)} before ${record.fields?.at(-1)}`];
    if (record.kind !== KIND.FRAME) return [];
    if (!isSilent(record)) return [`speech ${withSamples(record)}`];
    const hasPcm = (record.flags & FLAG.NO_PCM) === 0;
    return [hasPcm ? `post ${withSamples(record)}` : `silent ${record.channel} ${record.position}`];
  });
}

const asText = (record: TakenRecord): string =>
  `${record.kind} ${record.stream} ${record.flags} ${withSamples(record)}`;

const SPEECH = { ...STREAM, wants: WANT.SPEECH_PCM };
const ALL = { ...STREAM, wants: WANT.SPEECH_PCM | WANT.SILENT_PCM };
const ROLLS = [
  [1_600, 0],
  [1_600, 800],
  [0, 400],
  [16_000, 0],
  [200, 200],
] as const;

describe.each(['js', 'native'] as const)('silence around speech, %s', (backend) => {
  const missing = backend === 'native' ? nativeMissing() : undefined;

  it.skipIf(missing)('is what a list of all silent frames would give, in front of the speech', () => {
    for (const [preRoll, postRoll] of ROLLS) {
      for (let seed = 1; seed <= 3; seed++) {
        const all = play(new ShardRig(backend), ALL, seed);
        const records = play(new ShardRig(backend), { ...SPEECH, preRoll, postRoll }, seed);
        const should = expected(all, preRoll, postRoll);
        expect(should.filter((one) => one.startsWith('speech')).length).toBeGreaterThan(10);
        expect(told(records), `pre-roll ${preRoll}, post-roll ${postRoll}, seed ${seed}`).toEqual(should);
      }
    }
  });

  it.skipIf(missing)('leaves edges and levels as they are, and everything to sinks that want all samples', () => {
    const all = play(new ShardRig(backend), ALL, 3);
    const records = play(new ShardRig(backend), { ...ALL, preRoll: 1_600, postRoll: 800 }, 3);
    expect(records.filter(({ kind }) => kind !== KIND.PRE_ROLL)).toEqual(all);
    expect(records.some(({ kind }) => kind === KIND.PRE_ROLL)).toBe(true);
  });

  it.skipIf(missing)('comes through a ring that is often full, and is kept again once it is wanted again', () => {
    const small = new ShardRig(backend, { outputRingBytes: 1 << 15 });
    const records = play(small, { ...SPEECH, preRoll: 1_600 }, 5);
    const all = play(new ShardRig(backend), ALL, 5);
    expect(told(records)).toEqual(expected(all, 1_600, 0));

    const rig = new ShardRig(backend);
    rig.open(0, { ...SPEECH, preRoll: 1_600 });
    const packet = (k: number, byte: number) => rig.packet(0, k, k * 160, new Uint8Array(160).fill(byte));
    for (let k = 0; k < 20; k++) packet(k, QUIET);
    rig.drain();
    rig.table.want(0, WANT.SPEECH_PCM);
    for (let k = 20; k < 25; k++) packet(k, QUIET);
    rig.drain();
    rig.table.want(0, WANT.SPEECH_PCM, 1_600);
    for (let k = 25; k < 28; k++) packet(k, QUIET);
    for (let k = 28; k < 34; k++) packet(k, k % 2 === 0 ? 0x80 : 0x00);
    const before = rig.drain().filter(({ kind }) => kind === KIND.PRE_ROLL);
    expect(before.map(({ position }) => position / 160)).toEqual([25, 26, 27]);
    rig.end();
  });
});

describe.skipIf(nativeMissing())('both backends', () => {
  it('put the same records into the ring', () => {
    for (let seed = 1; seed <= 4; seed++) {
      const setup = { ...SPEECH, preRoll: 400 * seed, postRoll: 100 * (seed % 3) };
      const [native, js] = (['native', 'js'] as const).map((backend) => play(new ShardRig(backend), setup, seed));
      expect(native?.map(asText)).toEqual(js?.map(asText));
    }
  });
});
