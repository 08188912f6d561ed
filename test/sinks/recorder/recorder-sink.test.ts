import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wavHeader } from '../../../src/audio/wav.js';
import { ManualClock } from '../../../src/core/clock.js';
import type { AuditEntry } from '../../../src/core/events.js';
import { silentLogger } from '../../../src/core/logger.js';
import { resolveOptions } from '../../../src/engine/options.js';
import { layOutMemory } from '../../../src/engine/threads/memory.js';
import { RingConsumer, type RingPlace, RingProducer } from '../../../src/ring/ring.js';
import { SHARD_COUNTERS } from '../../../src/shard/shard-data.js';
import { audit } from '../../../src/sinks/audit/audit-sink.js';
import { OWNER_ONLY } from '../../../src/sinks/recorder/files/folder.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { RecorderThread } from '../../../src/sinks/recorder/recorder-thread.js';
import type { SinkContext } from '../../../src/sinks/sink.js';
import { tone } from '../../support/recorder/recorder-rig.js';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-sink-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function context(over: Partial<SinkContext> = {}): SinkContext & { entries: AuditEntry[]; errors: string[] } {
  const entries: AuditEntry[] = [];
  const errors: string[] = [];
  return {
    clock: new ManualClock(),
    logger: silentLogger,
    emit: () => {},
    report: (error) => errors.push(String(error)),
    audit: (entry) => entries.push(entry),
    entries,
    errors,
    ...over,
  };
}

/** A recording as a killed process leaves it. */
function leave(folder: string): void {
  mkdirSync(join(dir, folder));
  const pcm = Buffer.from(tone(0, 8000).buffer);
  writeFileSync(join(dir, folder, 'audio.wav'), Buffer.concat([wavHeader({ sampleRate: 8000, channels: 1 }, 0), pcm]));
  const counts = ['packetsReceived', 'bytesReceived', 'packetsLost', 'packetsLate', 'packetsDuplicate'];
  const manifest = {
    ...{ interactionId: folder, codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 },
    ...{ startedAt: '2024-01-01T00:00:00.000Z', endedAt: null, endReason: null, spans: [] },
    ...Object.fromEntries([...counts, 'packetsReordered', 'decodeErrors'].map((name) => [name, 0])),
    writer: { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' },
  };
  writeFileSync(join(dir, folder, 'session.json.partial'), JSON.stringify(manifest));
}

describe('recorder()', () => {
  it('starts at once, repairs in the background, and enters each repaired recording into the audit', async () => {
    for (let n = 0; n < 40; n++) leave(`call-${n}`);
    const sink = recorder({ directory: dir });
    const given = context();
    await sink.start(given);
    // Nothing has been repaired when the node goes on to listen.
    expect(given.entries).toEqual([]);
    const report = await sink.repaired();
    expect(report?.repaired).toHaveLength(40);
    expect(given.entries).toHaveLength(40);
    expect(given.entries).toContainEqual({
      ...{ source: 'recorder', action: 'recording_repaired', interactionId: 'call-7' },
      fields: { outcome: 'incomplete', reason: 'interrupted', durationMs: 1000 },
    });
    await sink.close();
    expect(given.errors).toEqual([]);
  });

  it('reports what cannot be repaired, and goes on', async () => {
    leave('good');
    leave('odd');
    writeFileSync(join(dir, 'odd', 'session.json'), 'not a manifest');
    const given = context();
    const sink = recorder({ directory: dir });
    await sink.start(given);
    expect(await sink.repaired()).toMatchObject({ repaired: ['good'], failed: [{ folder: 'odd' }] });
    expect(given.errors).toEqual([expect.stringContaining('odd')]);
    await sink.close();
  });

  it('stops a repair that is under way when it is closed', async () => {
    for (let n = 0; n < 200; n++) leave(`call-${n}`);
    const sink = recorder({ directory: dir });
    await sink.start(context());
    await sink.close();
    expect((await sink.repaired())?.repaired.length).toBeLessThan(200);
  });

  it('makes its folder for its owner alone, or as it is told', async () => {
    for (const [fileMode, expected] of [
      [undefined, 0o700],
      [0o640, 0o750],
    ] as const) {
      const directory = join(dir, String(fileMode));
      const sink = recorder({ directory, ...(fileMode === undefined ? {} : { fileMode }) });
      await sink.start(context());
      await sink.close();
      expect(statSync(directory).mode & 0o777).toBe(expected);
    }
  });

  it.each([
    [{}, /directory/],
    [{ directory: 'x', fileMode: 0o777 }, /fileMode/],
    [{ directory: 'x', bufferMegabytes: 0 }, /bufferMegabytes/],
    [{ directory: 'x', buffer: 1 }, /buffer/],
  ])('refuses %j', (options, message) => {
    expect(() => recorder(options as never)).toThrow(message);
  });
});

describe('the recorder thread as main sees it', () => {
  const SIZES = { shards: 2, maxStreams: 8, arenaBytes: 1024, inputRingBytes: 1024, outputRingBytes: 1024 };

  function thread() {
    const memory = layOutMemory({ ...SIZES, recorderRingBytes: 1 << 16 });
    const agent = new RecorderThread({ directory: dir, access: OWNER_ONLY, bufferBytes: 1 << 17 });
    agent.data(memory, 'auto');
    return { agent, memory, ring: memory.shards[1]?.recorder as RingPlace };
  }

  it('reports the first refusal at once, and once', () => {
    const { agent, memory } = thread();
    expect(agent.takeFaults()).toEqual([]);
    const words = new Int32Array(memory.memory);
    for (const [shard, count] of [
      [1, 3],
      [0, 4],
    ] as const) {
      const offset = (memory.shards[shard]?.counters.offset ?? 0) + SHARD_COUNTERS.RECORDER_REFUSED;
      Atomics.add(words, offset >> 2, count);
    }
    expect(agent.refused).toBe(7);
    expect(agent.takeFaults()).toEqual([expect.stringMatching(/too slow.*audio is being lost/)]);
    expect(agent.takeFaults()).toEqual([]);
  });

  it('says before that when the disk becomes slow, and when it has recovered', () => {
    const { agent, ring } = thread();
    const producer = new RingProducer(ring);
    const consumer = new RingConsumer(ring);
    expect(agent.takeSlowness()).toBeUndefined();
    for (let bytes = 0; bytes < 40_000; bytes += 1000) {
      producer.tryClaim(1000);
      producer.commit(1000);
    }
    producer.publish();
    expect(agent.takeSlowness()).toBe(true);
    expect(agent.takeSlowness()).toBeUndefined();
    while (consumer.usedBytes() > 1000) {
      consumer.advance();
      consumer.giveBack();
    }
    expect(agent.takeSlowness()).toBe(false);
  });

  it('has rings that together are as large as was asked for', () => {
    const ringBytes = (shards: number, bufferBytes?: number) =>
      resolveOptions({
        shards,
        recorder: { entry: '', data: () => ({}), ...(bufferBytes === undefined ? {} : { bufferBytes }) },
      }).memory.recorderRingBytes;
    expect(ringBytes(1)).toBe(64 << 20);
    expect(ringBytes(4)).toBe(16 << 20);
    expect(ringBytes(3, 300 << 20)).toBe(64 << 20);
    expect(ringBytes(32, 1 << 20)).toBe(1 << 20);
    expect(ringBytes(1, 1024 << 20)).toBe(1 << 30);
  });
});

describe('audit()', () => {
  it('keeps entries that another sink gave it before it was open', async () => {
    const sink = audit({ directory: dir });
    sink.auditEntry({ source: 'recorder', action: 'recording_repaired', interactionId: 'call', fields: {} });
    await sink.start(context());
    sink.auditEntry({ source: 'x', action: 'connected', fields: { detail: 'call +1 555 123 4567', stalls: 2 } });
    await sink.close();
    const lines = readFileSync(join(dir, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { action: 'audit_opened' },
      { action: 'recording_repaired', interactionId: 'call' },
      { action: 'connected', detail: 'call [number]', stalls: 2 },
      { action: 'audit_closed' },
    ]);
    const signed = ['audit.checkpoint', 'audit.jsonl', 'audit.leaves', 'audit.public-key', 'audit.tree'];
    expect(readdirSync(dir).sort()).toEqual(signed);
  });
});
