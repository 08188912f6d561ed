import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { OpusEncoder } from '../../../src/audio/codecs/opus.js';
import type { Interaction } from '../../../src/control/api/interaction-schema.js';
import { ManualClock } from '../../../src/core/clock.js';
import type { StreamFormat } from '../../../src/core/codec.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import type { Source, SourceContext } from '../../../src/sources/source.js';
import { sessionOf } from '../../support/audiohook/node-rig.js';
import { startControlNode } from '../../support/control/control-node.js';
import { addPacket } from '../../support/engine/packets.js';
import { noise } from '../../support/speech.js';
import { until } from '../../support/until.js';

const SECOND_PACKETS = 50;

/** One call, with packets of 20 ms. */
class OneCall implements Source {
  readonly name = 'call';
  readonly #format: StreamFormat;
  readonly #clock: ManualClock;
  #context: SourceContext | undefined;
  #stream = -1;
  #sequence = 0;
  #ticks = 0;

  constructor(format: StreamFormat, clock: ManualClock) {
    this.#format = format;
    this.#clock = clock;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#stream = context.ingest.openStream('call', this.#format);
  }

  /** One packet; without a payload the sender sends none. */
  send(payload: Uint8Array | undefined): void {
    const ingest = this.#context?.ingest;
    if (ingest !== undefined && payload !== undefined) {
      const row = { stream: this.#stream, sequence: this.#sequence++, timestamp: this.#ticks, payload };
      addPacket(ingest.batch, { ...row, arrivalUs: this.#clock.nowUs() });
      ingest.submit();
    }
    this.#ticks += this.#format.clockRate / SECOND_PACKETS;
    this.#clock.advanceUs(20_000);
  }

  finish(): void {
    this.#context?.ingest.endStream(this.#stream, 'ended');
  }

  async drain(): Promise<void> {}
  async close(): Promise<void> {}
  status(): object {
    return {};
  }
  pause(): boolean {
    return false;
  }
  resume(): boolean {
    return false;
  }
}

/** A node with a recorder, fed in virtual time. */
async function callOf(format: StreamFormat) {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-kinds-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const clock = new ManualClock(1_000_000, Date.now());
  const source = new OneCall(format, clock);
  const engine = { silenceDetector: 'adaptive', minPlayoutDelayMs: 0 } as const;
  const { node, ask } = await startControlNode(
    {},
    { sources: [source], sinks: [recorder({ directory })], engine, clock },
  );
  const edges: unknown[] = [];
  node.on('silence', ({ silent, kind }) => edges.push(silent ? (kind ?? 'background') : 'speech'));
  const row = async () => (await ask('/api/v1/interactions')).json as { items: readonly Interaction[] };
  const kindNow = async () => (await row()).items[0]?.silenceKind;
  const finish = async () => {
    source.finish();
    await until(() => node.stats().streams === 0, 'the end of the stream');
    await node.close();
    return sessionOf(directory, 'call').spans.map(({ state, kind, startMs, endMs }) => ({
      state,
      kind,
      startMs,
      endMs,
    }));
  };
  return { source, edges, kindNow, finish };
}

const PCMU = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const OPUS = { codec: 'opus', clockRate: 48_000, sampleRate: 48_000, channels: 1 } as const;

it('records 2 s of digital silence between background noise as such, and shows it while it lasts', async () => {
  const { source, edges, kindNow, finish } = await callOf(PCMU);
  const quiet = encodePcmu(noise(0.0005, 8000, 1));
  const sendQuiet = () => {
    for (let n = 0; n < SECOND_PACKETS; n++) source.send(quiet.subarray(n * 160, (n + 1) * 160));
  };
  sendQuiet();
  for (let n = 0; n < 2 * SECOND_PACKETS; n++) source.send(new Uint8Array(160).fill(0xff));
  await until(() => edges.includes('digital'), 'digital silence');
  expect(await kindNow()).toEqual(['digital', null]);
  sendQuiet();
  await until(() => edges.at(-1) === 'background', 'background noise');
  expect(await kindNow()).toEqual([null, null]);
  expect(await finish()).toEqual([
    { state: 'silence', kind: undefined, startMs: 0, endMs: 1000 },
    { state: 'silence', kind: 'digital', startMs: 1000, endMs: 3000 },
    { state: 'silence', kind: undefined, startMs: 3000, endMs: 4000 },
  ]);
});

it.each(['sends', 'withholds'])(
  'records the comfort noise of an Opus sender that %s its empty packets',
  async (how) => {
    const { source, edges, finish } = await callOf(OPUS);
    const encoder = new OpusEncoder({ sampleRate: 48_000, dtx: true });
    onTestFinished(() => encoder.free());
    const loud = noise(0.2, 960, 2);
    let empty = 0;
    for (let n = 0; n < 5 * SECOND_PACKETS; n++) {
      const packet = encoder.encode(n < SECOND_PACKETS ? loud : new Int16Array(960)).slice();
      const isEmpty = packet.length <= 2;
      if (isEmpty) empty++;
      source.send(isEmpty && how === 'withholds' ? undefined : packet);
    }
    expect(empty).toBeGreaterThan(2 * SECOND_PACKETS);
    source.send(encoder.encode(loud).slice());
    await until(() => edges.includes('comfortNoise'), 'comfort noise');
    const spans = await finish();
    const silences = spans.filter(({ kind }) => kind === 'comfortNoise');
    expect(silences).toHaveLength(1);
    const { startMs = 0, endMs = 0 } = silences[0] ?? {};
    expect(endMs - startMs).toBeGreaterThan(2000);
    expect(startMs).toBeGreaterThan(1000);
    expect(endMs).toBeLessThanOrEqual(5040);
    expect(spans.some(({ state }) => state === 'lost')).toBe(false);
  },
);

it('records a pause of G.711 packets, whose timestamps go on, as comfort noise', async () => {
  const { source, edges, finish } = await callOf(PCMU);
  const quiet = encodePcmu(noise(0.0005, 160, 3));
  for (let n = 0; n < 4 * SECOND_PACKETS; n++) {
    source.send(n < SECOND_PACKETS || n >= 3 * SECOND_PACKETS ? quiet : undefined);
  }
  await until(() => edges.includes('comfortNoise'), 'comfort noise');
  expect(await finish()).toEqual([
    { state: 'silence', kind: undefined, startMs: 0, endMs: 1000 },
    { state: 'silence', kind: 'comfortNoise', startMs: 1000, endMs: 3000 },
    { state: 'silence', kind: undefined, startMs: 3000, endMs: 4000 },
  ]);
});
