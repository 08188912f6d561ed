import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import type { InternalEngineOptions } from '../../src/engine/options.js';
import { loadAddon } from '../../src/native/addon.js';
import { createNode } from '../../src/node/create-node.js';
import { audit } from '../../src/sinks/audit/audit-sink.js';
import { type Manifest, manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { recorder } from '../../src/sinks/recorder/recorder-sink.js';
import type { Sink } from '../../src/sinks/sink.js';
import type { Source, SourceContext } from '../../src/sources/source.js';
import { addPacket } from '../support/engine/packets.js';

const SAMPLES = 160;
/** A loud square wave: whatever the recording calls silence is wrong. */
const LOUD = encodePcmu(Int16Array.from({ length: SAMPLES }, (_, i) => (i % 20 < 10 ? 12_000 : -12_000)));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-dropped-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Brings one call and ends it within one turn, so that no shard takes anything meanwhile. */
class OneTurnSource implements Source {
  readonly name = 'test';
  readonly #packets: readonly number[];

  constructor(packets: readonly number[]) {
    this.#packets = packets;
  }

  start({ ingest, clock }: SourceContext): Promise<void> {
    const stream = ingest.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    // A minute ahead: nothing falls due before the call ends, however slow the machine is.
    const startUs = clock.nowUs() + 60_000_000;
    for (const n of this.#packets) {
      const arrivalUs = startUs + n * 20_000;
      addPacket(ingest.batch, { stream, channel: 0, sequence: n, timestamp: n * SAMPLES, arrivalUs, payload: LOUD });
      ingest.submit();
    }
    ingest.endStream(stream, 'ended');
    return Promise.resolve();
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

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

function hasAddon(): boolean {
  try {
    loadAddon();
    return true;
  } catch {
    return false;
  }
}

interface Recorded {
  readonly manifest: Manifest;
  readonly marked: { readonly state: string; readonly startSamples: number; readonly lengthSamples: number }[];
  readonly actions: string[];
  readonly packetsDropped: number;
}

async function record(
  native: 'off' | 'require',
  packets: readonly number[],
  sizes: Partial<InternalEngineOptions> = {},
): Promise<Recorded> {
  const marked: Recorded['marked'] = [];
  const marks: Sink = {
    markedSpan: ({ state, startSamples, lengthSamples }) => marked.push({ state, startSamples, lengthSamples }),
  };

  const node = await createNode({
    engine: { shards: 1, maxStreams: 1, native, silenceDetector: 'fixed', ...sizes },
    sources: [new OneTurnSource(packets)],
    sinks: [recorder({ directory: folder }), audit({ directory: folder }), marks],
  });
  await node.close();
  const name = (readdirSync(folder, { recursive: true }) as string[]).find((one) => one.endsWith('session.json'));
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, name ?? ''), 'utf8')));
  const actions = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { action: string }).action);
  return { manifest, marked, actions, packetsDropped: node.stats().counts.packetsDropped };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe.each(['off', ...(hasAddon() ? (['require'] as const) : [])] as const)('native %s', (native) => {
  it('what a full ring refuses is recorded as lost, in the audit and the manifest, and never as silence', async () => {
    const { manifest, marked, actions, packetsDropped } = await record(native, numbers(100), { inputRingBytes: 8_192 });
    expect(packetsDropped).toBeGreaterThan(10);
    const recordedMs = (100 - packetsDropped) * 20;
    expect(manifest.spans).toEqual([
      { state: 'speech', channel: 0, startMs: 0, endMs: recordedMs },
      { state: 'lost', channel: 0, startMs: recordedMs, endMs: 2_000, notRecorded: true },
    ]);
    expect(manifest).toMatchObject({ incomplete: true, notRecordedMs: packetsDropped * 20 });
    const startSamples = recordedMs * 8;
    expect(marked).toEqual([{ state: 'lost', startSamples, lengthSamples: 16_000 - startSamples }]);
    expect(actions).toContain('media_lost');
  });

  it('what a full jitter buffer refuses is recorded as lost, also at the end of the call', async () => {
    const rows = 1_024;
    const { manifest, packetsDropped } = await record(native, numbers(rows + 30));
    expect(packetsDropped).toBe(30);
    expect(manifest.spans.map(({ state, startMs, endMs }) => [state, startMs, endMs])).toEqual([
      ['speech', 0, rows * 20],
      ['lost', rows * 20, (rows + 30) * 20],
    ]);
  });
});
