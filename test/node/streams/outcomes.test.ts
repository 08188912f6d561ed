import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StreamInfo, StreamResult } from '../../../src/core/events.js';
import { Engine } from '../../../src/engine/engine.js';
import { type AudioNode, engineOf } from '../../../src/node/audio-node.js';
import { createNode } from '../../../src/node/create-node.js';
import { Outcomes } from '../../../src/node/streams/outcomes.js';
import { audit } from '../../../src/sinks/audit/audit-sink.js';
import { type Manifest, parseManifest } from '../../../src/sinks/recorder/files/manifest.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { addPacket } from '../../support/engine/packets.js';
import { below, mulberry32, type Random } from '../../support/random.js';
import { mountTiny, unmount } from '../../support/recorder/tiny-disk.js';
import { until } from '../../support/until.js';

const ENGINE = { maxStreams: 64, playoutDelayMs: 0, maxPlayoutDelayMs: 0 } as const;
const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const OPUS = { codec: 'opus', clockRate: 48000, sampleRate: 16000, channels: 1 } as const;
const SPEECH = new Uint8Array(160).fill(0x90);

type Finished = readonly [info: StreamInfo, result: StreamResult];

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-outcomes-'));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

/** Pushes `packets` packets of 20 ms. */
function push(engine: Engine, stream: number, packets: number, from = 0): void {
  for (let n = from; n < from + packets; n++) {
    addPacket(engine.batch, { stream, sequence: n, timestamp: n * 160, payload: SPEECH });
  }
  engine.submit();
}

function finishedOf(node: AudioNode): Finished[] {
  const finished: Finished[] = [];
  node.on('streamFinished', (...one) => finished.push(one));
  return finished;
}

function auditActions(directory: string): { action: string; interactionId: string; outcome?: string }[] {
  const lines = readFileSync(join(directory, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

function expectBalanced(node: AudioNode): void {
  const { opened, open, recorded, delivered, empty, incomplete, failed } = node.stats().outcomes;
  expect(open + recorded + delivered + empty + incomplete + failed).toBe(opened);
}

describe('what became of a stream', () => {
  it('is recorded, or empty when nothing came; after its end, in the event, the audit and the counters', async () => {
    const node = await createNode({
      engine: ENGINE,
      sinks: [audit({ directory: out }), recorder({ directory: out })],
    });
    const finished = finishedOf(node);
    const order: string[] = [];
    node.on('streamEnded', ({ interactionId }) => order.push(`ended ${interactionId}`));
    node.on('streamFinished', ({ interactionId }, { outcome }) => order.push(`${outcome} ${interactionId}`));
    const engine = engineOf(node);
    const spoken = engine.openStream('spoken', FORMAT);
    const silent = engine.openStream('silent', FORMAT);
    expect(node.stats().outcomes).toMatchObject({ opened: 2, open: 2 });
    push(engine, spoken, 50);
    engine.endStream(spoken, 'ended');
    await until(() => finished.length === 1, 'the outcome of the first stream');
    expect(finished[0]?.[1]).toMatchObject({
      outcome: 'recorded',
      summary: { endReason: 'ended', packetsReceived: 50 },
      recording: { folder: 'spoken', file: 'audio.wav', durationMs: 1000, notRecordedMs: 0 },
    });
    engine.endStream(silent, 'mediaNotAvailable');
    await node.close();
    expect(finished[1]?.[1]).toMatchObject({ outcome: 'empty', summary: { endReason: 'mediaNotAvailable' } });
    expect(finished[1]?.[1].recording).toBeUndefined();
    expect(order).toEqual(['ended spoken', 'recorded spoken', 'ended silent', 'empty silent']);
    expect(node.stats().outcomes).toEqual({
      ...{ opened: 2, open: 0, recorded: 1, empty: 1, delivered: 0, incomplete: 0, failed: 0 },
    });
    const entries = auditActions(out).filter(({ action }) => action === 'stream_finished');
    expect(entries).toMatchObject([
      { interactionId: 'spoken', outcome: 'recorded', reason: 'ended', durationMs: 1000 },
      { interactionId: 'silent', outcome: 'empty', reason: 'mediaNotAvailable' },
    ]);
  });

  it('is one for each part of a call that changes its format', async () => {
    const node = await createNode({ engine: ENGINE, sinks: [recorder({ directory: out })] });
    const finished = finishedOf(node);
    const engine = engineOf(node);
    const first = engine.openStream('call', FORMAT);
    push(engine, first, 50);
    const second = engine.openStream('call', OPUS, { continues: first });
    addPacket(engine.batch, { stream: second, sequence: 0, timestamp: 0, payload: Uint8Array.of(0xf8, 0xff, 0xfe) });
    engine.submit();
    await node.close();
    expect(finished.map(([, { outcome, recording }]) => [outcome, recording?.folder, recording?.file])).toEqual([
      ['recorded', 'call', 'audio.wav'],
      ['recorded', 'call', 'audio-2.wav'],
    ]);
  });

  it('is delivered, empty or failed without a recorder, and never recorded', async () => {
    const node = await createNode({ engine: ENGINE, sinks: [audit({ directory: out })] });
    const engine = engineOf(node);
    push(engine, engine.openStream('spoken', FORMAT), 10);
    engine.openStream('silent', FORMAT);
    await node.close();
    expect(node.stats().outcomes).toMatchObject({ opened: 2, open: 0, delivered: 1, empty: 1, recorded: 0 });
    const actions = auditActions(out);
    expect(actions.at(-1)).toMatchObject({ action: 'audit_closed' });
    const last = actions.slice(-5, -1);
    // Every sink hears of the end first.
    expect(last.map(({ action }) => action).sort()).toEqual(
      ['stream_ended', 'stream_ended', 'stream_finished', 'stream_finished'].sort(),
    );
    for (const id of ['spoken', 'silent']) {
      const own = last.filter(({ interactionId }) => interactionId === id).map(({ action }) => action);
      expect(own).toEqual(['stream_ended', 'stream_finished']);
    }
  });

  it('is failed where the engine never gave the end of a stream out', async () => {
    const shardEntry = new URL('../../support/engine/fragile-shard.mjs', import.meta.url).href;
    const engine = new Engine({ ...ENGINE, shards: 1, shardEntry });
    const finished: Finished[] = [];
    const outcomes = new Outcomes(engine, undefined, (...one) => finished.push(one));
    engine.addSink(outcomes);
    // The threads never run, so that what is opened stays in the rings.
    engine.openStream('stuck', FORMAT);
    await engine.close();
    outcomes.close();
    outcomes.close();
    expect(finished.map(([{ interactionId }, { outcome, cause }]) => [interactionId, outcome, cause])).toEqual([
      ['stuck', 'failed', 'engineFailed'],
    ]);
    expect(outcomes.counts()).toMatchObject({ opened: 1, open: 0, failed: 1 });
  });

  it('is failed when the recorder’s thread is given up, for what is under way and for what comes', async () => {
    const node = await createNode({ engine: { ...ENGINE, shards: 1 }, sinks: [recorder({ directory: out })] });
    node.on('error', () => {});
    const finished = finishedOf(node);
    const failures: string[] = [];
    node.on('failed', ({ message }) => failures.push(message));
    const engine = engineOf(node);
    const early = engine.openStream('early', FORMAT);
    push(engine, early, 10);
    await until(() => readdirSync(out).includes('early'), 'the folder of the first call');
    // The recorder is the agent behind the one shard; it is replaced each time until there have been too many.
    await until(
      () => {
        engine.killShard(1);
        return failures.length > 0;
      },
      'the recorder to be given up',
      60_000,
    );
    engine.endStream(early, 'ended');
    engine.endStream(engine.openStream('late', FORMAT), 'ended');
    await until(() => finished.length === 2, 'both outcomes');
    expect(finished.map(([{ interactionId }, { outcome, cause }]) => [interactionId, outcome, cause])).toEqual([
      ['early', 'failed', 'recorderFailed'],
      ['late', 'failed', 'recorderFailed'],
    ]);
    expectBalanced(node);
    await node.close();
    expect(node.stats().outcomes).toMatchObject({ opened: 2, open: 0, failed: 2 });
  }, 90_000);

  it('stays known when the recorder is to be removed: it stays as well', async () => {
    const sink = recorder({ directory: out });
    await using node = await createNode({ engine: ENGINE, sinks: [sink] });
    await expect(node.removeSink(sink)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a disk that is full', () => {
  it('makes recordings incomplete or failed, disturbs no other stream, and is used again when it has space', async (context) => {
    const disk = mountTiny(512);
    if (disk === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    const directory = join(disk, 'capture');
    // Otherwise no call would be recorded on so small a disk.
    const sinks = [recorder({ directory, minFreeMegabytes: 0 }), audit({ directory: out })];
    const node = await createNode({ engine: ENGINE, sinks });
    node.on('error', () => {});
    try {
      const finished = finishedOf(node);
      const engine = engineOf(node);
      const early = engine.openStream('early', FORMAT);
      push(engine, early, 50);
      await until(() => readdirSync(directory).includes('early'), 'the folder of the first call');
      fill(disk);
      const late = engine.openStream('late', FORMAT);
      push(engine, late, 100);
      push(engine, early, 200, 50);
      await until(() => (node.stats().sinks['recorder']?.['writeErrors'] ?? 0) > 0, 'a failed write');
      engine.endStream(late, 'ended');
      await until(() => finished.length === 1, 'the outcome of the call that has no space');
      expect(finished[0]).toMatchObject([{ interactionId: 'late' }, { outcome: 'failed', cause: 'notWritten' }]);
      rmSync(join(disk, 'ballast'));
      const last = engine.openStream('last', FORMAT);
      push(engine, last, 50);
      engine.endStream(last, 'ended');
      engine.endStream(early, 'ended');
      await until(() => finished.length === 3, 'all outcomes');
      expect(Object.fromEntries(finished.map(([{ interactionId }, { outcome }]) => [interactionId, outcome]))).toEqual({
        late: 'failed',
        last: 'recorded',
        early: manifestOf(directory, 'early')?.incomplete === true ? 'incomplete' : 'recorded',
      });
      expectBalanced(node);
    } finally {
      await node.close();
      unmount(disk);
    }
  }, 30_000);
});

/** Leaves no space at all. */
function fill(disk: string): void {
  expect(() => writeFileSync(join(disk, 'ballast'), Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
}

function manifestOf(directory: string, folder: string): Manifest | undefined {
  try {
    return parseManifest(readFileSync(join(directory, folder, 'session.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

/** One random step: streams come, bring packets or not, pause and end; threads die; the disk fills up. */
function disturb(random: Random, engine: Engine, open: Map<number, number>, counter: { opened: number }): void {
  const streams = [...open.keys()];
  const any = streams[below(random, Math.max(1, streams.length))];
  const step = below(random, 20);
  if (step < 5 && open.size < 40) {
    open.set(engine.openStream(`call-${counter.opened++}`, FORMAT), 0);
  } else if (any !== undefined && step < 13) {
    const packets = 1 + below(random, 30);
    push(engine, any, packets, open.get(any));
    open.set(any, (open.get(any) ?? 0) + packets);
  } else if (any !== undefined && step < 17) {
    engine.endStream(any, random() < 0.5 ? 'ended' : 'lost');
    open.delete(any);
  } else if (any !== undefined && step < 18) {
    if (random() < 0.5) engine.pauseStream(any);
    else engine.resumeStream(any, 0);
  } else if (step < 19 && random() < 0.4) {
    // The recorder is the agent behind the shards.
    engine.killShard(below(random, engine.shardCount + 1));
  }
}

describe('seeded faults', () => {
  it.each([1, 2, 3])(
    'ends every stream as exactly one of its outcomes (seed %i)',
    async (seed) => {
      const random = mulberry32(seed);
      const disk = seed % 2 === 0 ? mountTiny(768) : undefined;
      const directory = disk === undefined ? out : join(disk, 'capture');
      const node = await createNode({
        engine: { ...ENGINE, shards: 2 },
        sinks: [recorder({ directory, minFreeMegabytes: 0 }), audit({ directory: out })],
      });
      node.on('error', () => {});
      const finished = finishedOf(node);
      const engine = engineOf(node);
      const open = new Map<number, number>();
      const counter = { opened: 0 };
      try {
        for (let step = 0; step < 300; step++) {
          disturb(random, engine, open, counter);
          if (disk !== undefined && step === 100) fill(disk);
          if (disk !== undefined && step === 200) rmSync(join(disk, 'ballast'));
          if (step % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
          expectBalanced(node);
        }
        await node.close();
        expectBalanced(node);
        const { opened, open: stillOpen, ...counts } = node.stats().outcomes;
        expect([opened, stillOpen]).toEqual([counter.opened, 0]);
        expect(finished.map(([{ interactionId }]) => interactionId).sort()).toEqual(
          Array.from({ length: opened }, (_, n) => `call-${n}`).sort(),
        );
        const told = (name: string): number => finished.filter(([, { outcome }]) => outcome === name).length;
        expect(counts).toEqual(Object.fromEntries(Object.keys(counts).map((name) => [name, told(name)])));
        expectAuditAgrees(finished);
        for (const [info, result] of finished) expectFilesAgree(directory, info, result);
      } finally {
        await node.close();
        if (disk !== undefined) unmount(disk);
      }
    },
    60_000,
  );
});

/** In the audit every stream that was opened is finished once, and as the event says. */
function expectAuditAgrees(finished: readonly Finished[]): void {
  const entries = auditActions(out);
  const openedIds = entries.filter(({ action }) => action === 'stream_opened').map((entry) => entry.interactionId);
  const results = entries.filter(({ action }) => action === 'stream_finished');
  expect(results.map(({ interactionId }) => interactionId).sort()).toEqual(openedIds.sort());
  expect(Object.fromEntries(results.map((entry) => [entry.interactionId, entry.outcome]))).toEqual(
    Object.fromEntries(finished.map(([{ interactionId }, { outcome }]) => [interactionId, outcome])),
  );
}

/** What lies on the disk is what the outcome says. */
function expectFilesAgree(directory: string, { interactionId }: StreamInfo, result: StreamResult): void {
  const { outcome, cause, summary, recording } = result;
  const manifest = manifestOf(directory, recording?.folder ?? interactionId);
  const about = `${interactionId} ${outcome} ${cause}`;
  if (outcome === 'recorded') expect(manifest?.incomplete, about).toBeUndefined();
  if (outcome === 'recorded') expect(manifest?.endReason, about).toBe(summary.endReason);
  if (outcome === 'empty') expect([summary.packetsReceived, manifest], about).toEqual([0, undefined]);
  if (outcome === 'incomplete') {
    expect(manifest?.incomplete === true || manifest?.endReason === 'interrupted', about).toBe(true);
  }
  if (outcome === 'failed') expect(manifest, about).toBeUndefined();
}
