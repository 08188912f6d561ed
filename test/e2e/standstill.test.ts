import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import { type Clock, ManualClock, systemClock } from '../../src/core/clock.js';
import type { FrameSink, SilenceEdge, StreamSummary } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { fileAccess } from '../../src/sinks/recorder/files/folder.js';
import { manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { RecorderThread } from '../../src/sinks/recorder/recorder-thread.js';
import { addPacket } from '../support/engine/packets.js';
import { until } from '../support/until.js';

const LOUD = encodePcmu(Int16Array.from({ length: 160 }, (_, i) => (i % 20 < 10 ? 12_000 : -12_000)));
const PACKET_US = 20_000;

interface Edge {
  readonly channel: number;
  readonly silent: boolean;
  readonly atMs: number;
  /** When it was delivered, microseconds. */
  readonly deliveredUs: number;
}

/** An engine with a recorder and an audit, on one of the backends. */
class Rig {
  readonly out = mkdtempSync(join(tmpdir(), 'trunkline-standstill-'));
  readonly recorder = new RecorderThread({ directory: this.out, access: fileAccess(0o600), bufferBytes: 4 << 20 });
  readonly engine: Engine;
  readonly audit = new AuditLog({ file: join(this.out, 'audit.jsonl'), region: 'test' });
  readonly edges: Edge[] = [];
  endSamples = 0;
  summary: StreamSummary | undefined;
  #stream = -1;
  readonly #channels: 1 | 2;

  constructor(native: 'off' | 'auto', channels: 1 | 2, clock: Clock) {
    this.#channels = channels;
    const { recorder } = this;
    this.engine = new Engine({ shards: 1, maxStreams: 8, native, silenceDetector: 'fixed', recorder, clock });
    const sink: FrameSink = {
      pcmSelection: () => 'none',
      frame: ({ positionSamples, sampleCount }) => {
        this.endSamples = Math.max(this.endSamples, positionSamples + sampleCount);
      },
      silenceEdge: ({ channel, silent, positionSamples }: SilenceEdge) =>
        this.edges.push({ channel, silent, atMs: positionSamples / 8, deliveredUs: clock.nowUs() }),
      streamEnded: (_info, summary) => {
        this.summary = summary;
      },
    };
    this.engine.addSink(sink);
    this.engine.addSink(this.audit);
  }

  async start(): Promise<void> {
    await this.audit.open();
    await this.engine.start();
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: this.#channels } as const;
    this.#stream = this.engine.openStream('call', format);
  }

  push(packets: readonly { channel?: number; n: number; arrivalUs: number }[]): void {
    for (const { channel = 0, n, arrivalUs } of packets) {
      const packet = { stream: this.#stream, channel, sequence: n, timestamp: n * 160, arrivalUs, payload: LOUD };
      addPacket(this.engine.batch, packet);
    }
    this.engine.submit();
  }

  pause(): void {
    this.engine.pauseStream(this.#stream);
  }

  /** Ends the call; what session.json and the audit say about its speech, in milliseconds. */
  async end() {
    this.engine.endStream(this.#stream, 'ended');
    await until(() => this.summary !== undefined, 'the end of the stream');
    await this.engine.close();
    await this.audit.close();
    const text = readFileSync(join(this.out, 'call', 'session.json'), 'utf8');
    const { spans, packetsLost } = manifestSchema.parse(JSON.parse(text));
    const lines = readFileSync(join(this.out, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
    const captured = lines.map((line) => JSON.parse(line)).filter(({ action }) => action === 'media_capture');
    return {
      packetsLost,
      spans: spans.map((span) => [span.channel, span.state, span.startMs, span.endMs]),
      audit: captured.map(({ channel, signalDetected, positionMs }) => [channel, signalDetected, positionMs]),
    };
  }

  async close(): Promise<void> {
    await this.engine.close();
    rmSync(this.out, { recursive: true, force: true });
  }
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe.each(['off', 'auto'] as const)('packets that stop, native %s', (native) => {
  let rig: Rig;

  const open = async (channels: 1 | 2 = 1, clock: Clock = systemClock): Promise<void> => {
    rig = new Rig(native, channels, clock);
    await rig.start();
  };

  beforeEach(() => {
    rig = undefined as unknown as Rig;
  });
  afterEach(() => rig.close());

  it('are reported as silence while they are stopped, once, and everywhere alike', async () => {
    const lastUs = 49 * PACKET_US;
    const clock = new ManualClock(lastUs);
    await open(1, clock);
    rig.push(range(0, 50).map((n) => ({ n, arrivalUs: n * PACKET_US })));
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 10) {
        clock.advanceUs(10_000);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    // It is told by then, although no time passes any more.
    await pass(1400);
    await until(() => rig.edges.length >= 2, 'the silence');
    await pass(400);
    expect(rig.edges.map(({ silent, atMs }) => [silent, atMs])).toEqual([
      [false, 0],
      [true, 1000],
    ]);
    const afterMs = ((rig.edges[1]?.deliveredUs ?? 0) - lastUs) / 1000;
    expect(afterMs).toBeGreaterThan(500);
    const { spans, audit } = await rig.end();
    expect(spans).toEqual([[0, 'speech', 0, 1000]]);
    expect(audit).toEqual([
      [0, true, 0],
      [0, false, 1000],
    ]);
  });

  it('and come again after ten seconds of mute leave a gap of ten seconds', async () => {
    await open();
    const startUs = systemClock.nowUs() - 16_000_000;
    rig.push([
      ...range(0, 50).map((n) => ({ n, arrivalUs: startUs + n * PACKET_US })),
      ...range(50, 250).map((n) => ({ n, arrivalUs: startUs + 10_000_000 + n * PACKET_US })),
    ]);
    const { spans, audit, packetsLost } = await rig.end();
    expect(packetsLost).toBe(0);
    expect(rig.endSamples).toBe(16 * 8000);
    expect(spans).toEqual([
      [0, 'speech', 0, 1000],
      [0, 'silence', 1000, 11_000],
      [0, 'speech', 11_000, 16_000],
    ]);
    expect(audit).toEqual([
      [0, true, 0],
      [0, false, 1000],
      [0, true, 11_000],
    ]);
  });

  it('on one side of a call leave the two sides aligned', async () => {
    await open(2);
    const startUs = systemClock.nowUs() - 9_000_000;
    const other = range(0, 450).map((n) => ({ channel: 1, n, arrivalUs: startUs + n * PACKET_US }));
    const muted = range(0, 200).map((n) => ({ n, arrivalUs: startUs + n * PACKET_US + (n < 100 ? 0 : 5_000_000) }));
    rig.push([...other, ...muted].sort((a, b) => a.arrivalUs - b.arrivalUs));
    const { spans } = await rig.end();
    expect(spans.filter(([channel]) => channel === 0)).toEqual([
      [0, 'speech', 0, 2000],
      [0, 'silence', 2000, 7000],
      [0, 'speech', 7000, 9000],
    ]);
    expect(spans.filter(([channel]) => channel === 1)).toEqual([[1, 'speech', 0, 9000]]);
  });

  it('because they were lost are lost, and silence in the events', async () => {
    await open();
    const startUs = systemClock.nowUs() - 4_000_000;
    rig.push(
      range(0, 200)
        .filter((n) => n < 50 || n >= 150)
        .map((n) => ({ n, arrivalUs: startUs + n * PACKET_US })),
    );
    const { spans, audit, packetsLost } = await rig.end();
    expect(packetsLost).toBe(100);
    expect(spans).toEqual([
      [0, 'speech', 0, 1000],
      [0, 'lost', 1000, 3000],
      [0, 'speech', 3000, 4000],
    ]);
    expect(audit).toEqual([
      [0, true, 0],
      [0, false, 1000],
      [0, true, 3000],
    ]);
  });

  it('for less than the shortest silence are no silence', async () => {
    await open();
    const startUs = systemClock.nowUs() - 2_400_000;
    rig.push(range(0, 100).map((n) => ({ n, arrivalUs: startUs + n * PACKET_US + (n < 50 ? 0 : 400_000) })));
    const { audit } = await rig.end();
    expect(rig.endSamples).toBe(2400 * 8);
    expect(audit).toEqual([[0, true, 0]]);
  });

  it('because the call is paused are not reported', async () => {
    await open();
    const startUs = systemClock.nowUs() - 49 * PACKET_US;
    rig.push(range(0, 50).map((n) => ({ n, arrivalUs: startUs + n * PACKET_US })));
    await until(() => rig.endSamples === 8000, 'the packets');
    rig.pause();
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(rig.edges.map(({ silent }) => silent)).toEqual([false]);
    await rig.end();
  });
});
