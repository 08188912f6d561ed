import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/core/clock.js';
import type { AuditEntry } from '../../src/core/events.js';
import type { AudioNode } from '../../src/node/audio-node.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { createNode } from '../../src/node/create-node.js';
import { audit } from '../../src/sinks/audit/audit-sink.js';
import { recorder } from '../../src/sinks/recorder/recorder-sink.js';
import type { Sink } from '../../src/sinks/sink.js';
import { audioHook } from '../../src/sources/audiohook/audiohook.js';
import { genesysSubscription } from '../../src/sources/genesys/genesys-subscription.js';
import type { Source, SourceContext } from '../../src/sources/source.js';
import { KEYS } from '../support/audiohook/node-rig.js';

interface TestEvents {
  tick: [count: number];
}

/** A source that a test pushes packets with. */
class TestSource implements Source<TestEvents> {
  readonly name: string;
  readonly calls: string[] = [];
  context: SourceContext<TestEvents> | undefined;
  startWith: () => Promise<void> = () => Promise.resolve();
  #stream = -1;

  constructor(name = 'test') {
    this.name = name;
  }

  async start(context: SourceContext<TestEvents>): Promise<void> {
    this.calls.push('start');
    this.context = context;
    await this.startWith();
  }

  open(id: string): void {
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
    this.#stream = this.context?.ingest.openStream(id, format) ?? -1;
  }

  endStream(): void {
    this.context?.ingest.endStream(this.#stream, 'ended');
  }

  drain(): Promise<void> {
    this.calls.push('drain');
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.calls.push('close');
    return Promise.resolve();
  }

  status(): { readonly calls: number } {
    return { calls: this.calls.length };
  }

  pause(id: string): boolean {
    if (id === 'mine') this.context?.paused({ interactionId: id, paused: true, by: 'operator' });
    return id === 'mine';
  }

  resume(id: string): boolean {
    return id === 'mine';
  }

  untilIdle(): Promise<void> {
    return Promise.resolve();
  }
}

const ENGINE = { shards: 1, maxStreams: 8, native: 'off' } as const;

let folder: string;
const nodes: AudioNode[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-create-'));
});

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
  rmSync(folder, { recursive: true, force: true });
});

async function make<Node extends AudioNode>(making: Promise<Node>): Promise<Node> {
  const node = await making;
  nodes.push(node);
  return node;
}

describe('a node', () => {
  it('starts, drains and closes its parts in order, once', async () => {
    const order: string[] = [];
    const source = new TestSource();
    const sink: Sink = {
      name: 'sink',
      start: () => void order.push('sink opened'),
      close: () => void order.push('sink closed'),
      stats: () => ({ dropped: 3 }),
    };
    source.startWith = async () => void order.push('source started');
    const node = await make(createNode({ sources: [source], sinks: [sink], engine: ENGINE }));
    expect(node.stats()).toMatchObject({ shards: 1, backend: 'js', drops: 3, sinks: { sink: { dropped: 3 } } });
    expect(node.stats().sources).toEqual({ test: { calls: 1 } });
    await node[Symbol.asyncDispose]();
    await node.stop();
    expect(source.calls).toEqual(['start', 'drain', 'close']);
    expect(order).toEqual(['sink opened', 'source started', 'sink closed']);
  });

  it("emits its sources' events, and passes their entries to each sink that keeps an audit", async () => {
    const source = new TestSource();
    const entries: AuditEntry[] = [];
    const node = await make(
      createNode({ sources: [source], sinks: [{ auditEntry: (entry) => entries.push(entry) }], engine: ENGINE }),
    );
    const ticks: number[] = [];
    node.on('tick', (count) => ticks.push(count));
    const pauses: unknown[] = [];
    node.on('paused', (event) => pauses.push(event));
    source.context?.emit('tick', 7);
    source.context?.audit('begun', { reason: 'why' }, 'mine');
    node.pause('mine');
    expect(ticks).toEqual([7]);
    expect(pauses).toEqual([{ interactionId: 'mine', paused: true, by: 'operator' }]);
    expect(entries).toEqual([
      { source: 'test', action: 'begun', fields: { reason: 'why' }, interactionId: 'mine' },
      { source: 'test', action: 'paused', fields: { reason: 'operator' }, interactionId: 'mine' },
    ]);
    expect(() => node.resume('another')).toThrow(expect.objectContaining({ code: 'STREAM_UNKNOWN' }));
  });

  it('names the source of each stream', async () => {
    const [one, other] = [new TestSource('one'), new TestSource('other')];
    const node = await make(createNode({ sources: [one, other], engine: ENGINE }));
    one.open('call-1');
    other.open('call-2');
    expect(node.streams()).toMatchObject([
      { interactionId: 'call-1', source: 'one' },
      { interactionId: 'call-2', source: 'other' },
    ]);
  });

  it('writes nothing that it was not told to', async () => {
    const capture = new CaptureNode({ clientId: 'a', clientSecret: 'b', out: join(folder, 'out'), audit: 'off' });
    nodes.push(capture);
    expect(capture.config.record).toBe(false);
    const node = await make(createNode({ engine: ENGINE }));
    await node.close();
    await capture.close();
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('closes what it has opened when a source cannot start', async () => {
    const [good, bad] = [new TestSource('good'), new TestSource('bad')];
    bad.startWith = () => Promise.reject(new Error('no port'));
    let closed = 0;
    const making = createNode({ sources: [good, bad], sinks: [{ close: () => void closed++ }], engine: ENGINE });
    await expect(making).rejects.toThrow('no port');
    expect(good.calls.at(-1)).toBe('close');
    expect(closed).toBe(1);
  });

  it('reports what a part throws while it closes, and closes the others', async () => {
    const source = new TestSource();
    source.close = () => Promise.reject(new Error('stuck'));
    let closed = 0;
    const sinks: Sink[] = [{ close: () => Promise.reject(new Error('full')) }, { close: () => void closed++ }];
    const logged: string[] = [];
    const log = (fields: object | string, message?: string) => logged.push(message ?? String(fields));
    const logger = { debug: log, info: log, warn: log, error: log };
    const node = await make(createNode({ sources: [source], sinks, engine: ENGINE, logger }));
    const errors: string[] = [];
    node.on('error', ({ message }) => errors.push(message));
    await node.close();
    expect(errors).toEqual(['stuck', 'full']);
    expect(logged).toEqual(expect.arrayContaining(['stuck', 'full']));
    expect(closed).toBe(1);
  });
});

describe('signals', () => {
  it('give up a start that hangs, with their reason, and close the node', async () => {
    const source = new TestSource();
    source.startWith = () => new Promise(() => {});
    const abort = new AbortController();
    const making = createNode({ sources: [source], engine: ENGINE, signal: abort.signal });
    await expect.poll(() => source.calls).toEqual(['start']);
    abort.abort(new Error('too slow'));
    await expect(making).rejects.toThrow('too slow');
    await expect.poll(() => source.calls.at(-1)).toBe('close');
  });

  it('close a node that runs, and end its loops', async () => {
    const source = new TestSource();
    const abort = new AbortController();
    const node = await make(createNode({ sources: [source], engine: ENGINE, signal: abort.signal }));
    const reading = (async () => {
      for await (const _ of node.frames());
    })();
    const idle = node.untilIdle();
    abort.abort();
    await reading;
    await idle;
    await expect(node.addSink({})).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });

  it('end the waiting for a stream and for the end of all calls', async () => {
    const source = new TestSource();
    source.untilIdle = () => new Promise(() => {});
    const node = await make(createNode({ sources: [source], engine: ENGINE }));
    const reason = new Error('no longer');
    await expect(node.untilIdle({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(node.waitForStream('a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const waiting = [node.untilIdle({ signal: abort.signal }), node.waitForStream('a', { signal: abort.signal })];
    abort.abort(reason);
    for (const one of waiting) await expect(one).rejects.toBe(reason);
  });

  it('waitForStream resolves with the stream, also when it is open already, and rejects when the node closes', async () => {
    const source = new TestSource();
    const node = await make(createNode({ sources: [source], engine: ENGINE }));
    const waiting = node.waitForStream('a');
    const never = node.waitForStream('b');
    source.open('a');
    expect(await waiting).toMatchObject({ interactionId: 'a', codec: 'pcmu' });
    expect(await node.waitForStream('a')).toMatchObject({ interactionId: 'a' });
    source.endStream();
    await node.close();
    await expect(never).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });
});

describe('sinks that come later', () => {
  it('are opened first, get frames until they are removed, and are closed then', async () => {
    const source = new TestSource();
    const node = await make(createNode({ sources: [source], engine: ENGINE }));
    const seen: string[] = [];
    const sink: Sink = {
      start: () => void seen.push('opened'),
      streamOpened: ({ interactionId }) => void seen.push(interactionId),
      close: () => void seen.push('closed'),
    };
    await node.addSink(sink);
    await node.addSink(sink);
    source.open('a');
    await expect.poll(() => seen).toContain('a');
    await node.removeSink(sink);
    await node.removeSink(sink);
    source.endStream();
    source.open('b');
    await node.waitForStream('b');
    expect(seen).toEqual(['opened', 'a', 'closed']);
  });

  it('are refused when they cannot be opened, or have a thread', async () => {
    const node = await make(createNode({ engine: ENGINE }));
    await expect(node.addSink({ start: () => Promise.reject(new Error('no file')) })).rejects.toThrow('no file');
    await expect(node.addSink(recorder({ directory: folder }))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(node.stats().sinks).toEqual({});
  });
});

describe('options are checked at every depth', () => {
  const audio = { port: 0, keys: KEYS };
  it.each([
    ['an unknown option', () => createNode({ sorces: [] } as object), /no option "sorces".*"sources"/],
    ['a sink that is none', () => createNode({ sinks: ['x'] } as object), /"sinks\.0".*a sink is an object/],
    ['a source that is none', () => createNode({ sources: [{}] } as object), /a source has start, drain/],
    ['a logger without warn', () => createNode({ logger: { info: () => {} } } as object), /a logger has debug/],
    ['a signal that is none', () => createNode({ signal: {} } as object), /"signal"/],
    ['an option of the engine', () => createNode({ engine: { nativ: 'off' } } as object), /"nativ".*"native"/],
    ['a value of the engine', () => createNode({ engine: { silenceThreshold: '0.1' } } as object), /silenceThreshold/],
    ['two sources of one name', () => createNode({ sources: [audioHook(audio), audioHook(audio)] }), /"audiohook"/],
    ['two recorders', () => createNode({ sinks: [recorder({ directory: 'a' }), recorder({ directory: 'b' })] }), /one/],
    [
      'an agent of one’s own',
      () =>
        createNode({
          sinks: [
            { agent: { entry: 'x', takeResults: () => [], archive: () => ({ directory: '', fileMode: 0o600 }) } },
          ],
        }),
      /recorder\(\)/,
    ],
  ])('%s', async (_, act, message) => {
    await expect(act()).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
  });

  it.each([
    ['recorder', () => recorder({ directory: 'a', diretory: 'b' } as never), /no option "diretory".*"directory"/],
    ['recorder without a folder', () => recorder({} as never), /"directory"/],
    ['audit', () => audit({ directory: 'a', idKey: 'short' }), /"idKey"/],
    [
      'genesysSubscription',
      () => genesysSubscription({ clientId: 'a', clientSecret: 'b', queue: [] } as never),
      /queues/,
    ],
    ['its ranges', () => genesysSubscription({ clientId: 'a', clientSecret: 'b', leastConnections: 0 }), /leastConn/],
    ['audioHook', () => audioHook({ ...audio, tsl: {} } as never), /tsl/],
    ['its own options', () => audioHook({ ...audio, drainMs: -1 }), /drainMs/],
    [
      'a preset',
      () => new CaptureNode({ clientId: 'a', clientSecret: 'b', recordd: true } as never),
      /"recordd".*"record"/,
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }));
  });
});

it('runs in virtual time with a ManualClock', async () => {
  const clock = new ManualClock();
  const source = new TestSource();
  const node = await make(createNode({ sources: [source], engine: ENGINE, clock }));
  const ended = new Promise<number>((resolve) =>
    node.on('streamEnded', ({ startedAtMs }, { endedAtMs }) => resolve(endedAtMs - startedAtMs)),
  );
  source.open('a');
  clock.advanceUs(3_600_000_000);
  source.endStream();
  expect(await ended).toBe(3_600_000);
});
