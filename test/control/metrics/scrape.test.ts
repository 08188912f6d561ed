import { execFileSync, spawnSync } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { type Control, control } from '../../../src/control/control.js';
import type { Clock } from '../../../src/core/clock.js';
import type { AudioNode } from '../../../src/node/audio-node.js';
import { createNode } from '../../../src/node/create-node.js';
import type { Source, SourceContext } from '../../../src/sources/source.js';
import { until } from '../../support/until.js';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

/** A source whose packets a test pushes. */
class Packets implements Source {
  readonly name = 'packets';
  #context: SourceContext | undefined;
  readonly #streams = new Map<string, number>();

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
  }

  open(id: string): void {
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
    this.#streams.set(id, this.context.ingest.openStream(id, format));
  }

  push(id: string, sequence: number): void {
    const { batch } = this.context.ingest;
    const offset = batch.claim(160);
    // Loud: PCMU with alternating signs.
    for (let i = 0; i < 160; i++) batch.bytes[offset + i] = i % 2 === 0 ? 0x90 : 0x10;
    const { columns, row } = batch;
    columns.channel[row] = (this.#streams.get(id) ?? 0) * 2;
    columns.wireSequence[row] = sequence;
    columns.wireTimestamp[row] = sequence * 160;
    columns.arrivalUs[row] = this.clock.nowUs();
    columns.flags[row] = 0;
    columns.payloadOffset[row] = offset;
    columns.payloadLength[row] = 160;
    batch.add(1);
    this.context.ingest.submit();
  }

  end(id: string): boolean {
    this.context.ingest.endStream(this.#streams.get(id) ?? -1, 'ended');
    return this.#streams.has(id);
  }

  pause(id: string): boolean {
    this.context.paused({ interactionId: id, paused: true, by: 'operator' });
    return this.#streams.has(id);
  }

  resume(): boolean {
    return false;
  }

  async drain(): Promise<void> {}
  async close(): Promise<void> {}

  status(): object {
    return { calls: this.#streams.size };
  }

  get clock(): Clock {
    return this.context.clock;
  }

  get context(): SourceContext {
    if (this.#context === undefined) throw new Error('not started');
    return this.#context;
  }
}

let node: AudioNode | undefined;
afterEach(() => node?.close());

async function start(): Promise<{ packets: Packets; operations: Control }> {
  const packets = new Packets();
  const operations = control({ port: 0 });
  node = await createNode({
    sources: [packets],
    services: [operations],
    engine: { shards: 1, playoutDelay: 'fixed', playoutDelayMs: 10, silenceDetector: 'fixed' },
  });
  return { packets, operations };
}

async function get(operations: Control, path: string, accept?: string): Promise<{ type: string; text: string }> {
  const response = await fetch(`${operations.url}${path}`, accept === undefined ? {} : { headers: { accept } });
  expect(response.status).toBe(200);
  return { type: response.headers.get('content-type') ?? '', text: await response.text() };
}

/** A scrape that no earlier one answers. */
async function scrape(operations: Control, accept?: string): Promise<{ type: string; text: string }> {
  await new Promise((resolve) => setTimeout(resolve, 260));
  return get(operations, '/metrics', accept);
}

const sampleOf = (text: string, sample: string): number => {
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1) ?? Number.NaN);
};

it('counts streams by source, codec and state, packets by result, and never names a call', async () => {
  const { packets, operations } = await start();
  for (const id of ['secret-call-1', 'secret-call-2', 'secret-call-3']) packets.open(id);
  for (let n = 0; n < 40; n++) if (n !== 7) packets.push('secret-call-1', n);
  node?.pause('secret-call-3');
  const streams = (text: string, state: string) =>
    sampleOf(text, `trunkline_streams{source="packets",codec="pcmu",state="${state}"}`);
  let text = '';
  await until(() => (node?.stats().framesDelivered ?? 0) >= 40, 'the frames');
  ({ text } = await scrape(operations));
  expect([streams(text, 'speech'), streams(text, 'silence'), streams(text, 'paused')]).toEqual([1, 1, 1]);
  expect(sampleOf(text, 'trunkline_streams_open')).toBe(3);
  expect(sampleOf(text, 'trunkline_packets_total{result="received"}')).toBe(39);
  expect(sampleOf(text, 'trunkline_packets_total{result="lost"}')).toBe(1);
  expect(sampleOf(text, 'trunkline_received_bytes_total')).toBe(39 * 160);
  expect(sampleOf(text, 'trunkline_frames_lost_total')).toBe(1);
  expect(sampleOf(text, 'trunkline_packet_delivered_seconds_count')).toBe(39);
  expect(sampleOf(text, 'trunkline_packet_delivered_seconds_bucket{le="+Inf"}')).toBe(39);
  // Nothing is delivered before its playout delay.
  expect(sampleOf(text, 'trunkline_packet_delivered_seconds_bucket{le="0.005"}')).toBe(0);
  expect(sampleOf(text, 'trunkline_thread_restarts_total{thread="shard 0"}')).toBe(0);
  expect(sampleOf(text, 'trunkline_ring_capacity_bytes{thread="shard 0",ring="input"}')).toBe(8 << 20);
  expect(sampleOf(text, 'trunkline_health_status{check="node",affects="ready"}')).toBe(0);
  expect(sampleOf(text, 'trunkline_process_resident_memory_bytes')).toBeGreaterThan(1e7);
  expect(sampleOf(text, 'trunkline_control_requests_total{service="control"}')).toBeGreaterThanOrEqual(1);
  expect(text).not.toContain('secret');
  packets.end('secret-call-1');
  await until(() => node?.stats().streams === 2, 'the end');
  ({ text } = await scrape(operations));
  expect(streams(text, 'speech')).toBeNaN();
  expect(sampleOf(text, 'trunkline_streams_finished_total{outcome="delivered"}')).toBe(1);
});

it('is Prometheus’s text or OpenMetrics, as the client asks', async () => {
  const { operations } = await start();
  const plain = await get(operations, '/metrics');
  const open = await get(operations, '/metrics', OPEN_METRICS);
  expect(plain.type).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(open.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  expect(plain.text).toContain('# TYPE trunkline_packets_total counter\n');
  expect(open.text).toContain('# TYPE trunkline_packets counter\n');
  expect(open.text.endsWith('\n# EOF\n')).toBe(true);
  const samples = ({ text }: { text: string }) =>
    text
      .split('\n')
      .flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.slice(0, line.lastIndexOf(' '))]));
  expect(samples(open)).toEqual(samples(plain));
});

it('gives clients that come at once the same text', async () => {
  const { operations } = await start();
  const texts = await Promise.all(Array.from({ length: 20 }, () => get(operations, '/metrics')));
  expect(new Set(texts.map(({ text }) => text)).size).toBe(1);
});

it.skipIf(!hasPromtool)('satisfies promtool check metrics', async () => {
  const { operations } = await start();
  const { text } = await get(operations, '/metrics');
  expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('');
});

it('keeps a sample a second, of which the packets add up to those received', async () => {
  const { packets, operations } = await start();
  packets.open('call');
  for (let n = 0; n < 50; n++) packets.push('call', n);
  type History = {
    at: string[];
    packetsPerSecond: number[];
    streams: number[];
    rssBytes: number[];
    intervalSeconds: number;
  };
  let history = JSON.parse((await get(operations, '/api/v1/node/history')).text) as History;
  const total = () => history.packetsPerSecond.reduce((sum, value) => sum + value, 0);
  for (let tries = 0; tries < 40 && total() < 45; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    history = JSON.parse((await get(operations, '/api/v1/node/history')).text) as History;
  }
  // The seconds are not exact, so neither is what was counted in one of them.
  expect(total()).toBeGreaterThan(40);
  expect(total()).toBeLessThan(60);
  expect(history.intervalSeconds).toBe(1);
  expect(history.streams.at(-1)).toBe(1);
  expect(history.at.length).toBe(history.rssBytes.length);
  expect(Date.parse(history.at.at(-1) ?? '')).toBeGreaterThan(0);
});
