import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AudioNode } from '../../src/node/audio-node.js';
import { AudioHookNode, type AudioHookNodeEvents } from '../../src/node/audiohook-node.js';
import { CaptureNode, type CaptureNodeEvents } from '../../src/node/capture-node.js';
import type { NodeSettings } from '../../src/node/settings.js';
import type { Emits } from '../../src/node/typed-events.js';
import { runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { API_KEY, CLIENT_SECRET, expectRecorded, KEYS } from '../support/audiohook/node-rig.js';
import { FakePlatform } from '../support/genesys/fake-platform.js';

// What an embedder's listeners may do to a node: every event of the way of a frame, and each of connections.
const EVENTS = ['streamOpened', 'mediaChunk', 'metadataSync', 'silence', 'streamEnded'] as const;
const OF_CONNECTIONS = ['connected', 'disconnected', 'interactionEnded'] as const;
const OF_SESSIONS = ['sessionOpened', 'sessionEnded'] as const;
const SECONDS = 1.5;
const PACKETS = SECONDS * 50;
const SOUND = AudioHookSound.generated(3);

let out: string;
let simulator: Simulator | undefined;
let node: AudioNode & { stop(): Promise<void> };
let uncaught: unknown[];
const catchIt = (thrown: unknown): number => uncaught.push(thrown);
let usual: NodeJS.UncaughtExceptionListener[];

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-listeners-'));
  uncaught = [];
  usual = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', catchIt);
});

afterEach(async () => {
  await node?.stop();
  await simulator?.close();
  simulator = undefined;
  process.off('uncaughtException', catchIt);
  for (const listener of usual) process.on('uncaughtException', listener);
  rmSync(out, { recursive: true, force: true });
});

function sessionIn(folder: string) {
  return manifestSchema.parse(JSON.parse(readFileSync(join(out, folder, 'session.json'), 'utf8')));
}

async function makeCapture(settings: NodeSettings = {}): Promise<CaptureNode> {
  simulator = await startSimulator({
    codec: 'pcmu',
    seconds: SECONDS,
    interactions: 3,
  });
  const made = new CaptureNode({
    record: true,
    apiUrl: simulator.apiUrl,
    mediaUrl: simulator.mediaUrl,
    clientId: 'test',
    clientSecret: 'test',
    interactions: [...simulator.interactionIds],
    includeSilent: true,
    silenceThreshold: 0.05,
    out,
    maxStreams: 64,
    ...settings,
  });
  node = made;
  return made;
}

type AllEvents = CaptureNodeEvents & AudioHookNodeEvents;

/** A fault at each event of those names: how many were thrown, and how many became error events. */
function spoil(on: Emits<AllEvents>, names: readonly (keyof AllEvents)[], way: 'throws' | 'rejects') {
  const thrown: Record<string, number> = {};
  const told: Record<string, number> = {};
  for (const name of names) {
    on.on(name, () => {
      thrown[name] = (thrown[name] ?? 0) + 1;
      if (way === 'rejects') return Promise.reject(new Error(name));
      throw new Error(name);
    });
  }
  on.on('error', ({ message }) => {
    told[message] = (told[message] ?? 0) + 1;
  });
  return { thrown, told };
}

describe.each(['throws', 'rejects'] as const)('a listener that %s harms no call, and becomes an error event', (way) => {
  it('at every event of a subscription', async () => {
    const capture = await makeCapture();
    const names = [...EVENTS, ...OF_CONNECTIONS];
    const { thrown, told } = spoil(capture, names, way);
    await capture.start();
    await capture.untilIdle();
    await capture.stop();
    expect(Object.keys(thrown).sort()).toEqual(names.toSorted());
    expect(told).toEqual(thrown);
    expect(uncaught).toEqual([]);
    for (const id of simulator?.interactionIds ?? []) {
      expect(sessionIn(id)).toMatchObject({ packetsReceived: PACKETS, packetsLost: 0, endReason: 'ended' });
    }
    expect(capture.sourceCounters().reconnects).toBe(0);
  });

  it('at every event of AudioHook', async () => {
    const { hook, call } = await makeHook();
    const names = [...EVENTS, ...OF_SESSIONS];
    const { thrown, told } = spoil(hook, names, way);
    const ledger = await call();
    await hook.stop();
    expect(Object.keys(thrown).sort()).toEqual(names.toSorted());
    expect(told).toEqual(thrown);
    expect(uncaught).toEqual([]);
    for (const one of ledger.calls) {
      expect(one).toMatchObject({ outcome: 'closed', violations: [] });
      expectRecorded(out, one, SOUND);
    }
  });

  it('nor does a listener for errors, between the packets that a socket has read', async () => {
    const platform = await FakePlatform.start();
    try {
      const ids = ['a', 'b', 'too-many'];
      const capture = new CaptureNode({
        apiUrl: platform.apiUrl,
        mediaUrl: platform.mediaUrl,
        ...{
          clientId: 'test',
          clientSecret: 'test',
          interactions: ids,
          leastConnections: 1,
        },
        ...{ out, maxStreams: 2, record: false, playoutDelayMs: 0 },
      });
      node = capture;
      let faults = 0;
      capture.on('error', () => {
        faults++;
        if (way === 'rejects') return Promise.reject(new Error('a fault of the embedder'));
        throw new Error('a fault of the embedder');
      });
      const seen: string[] = [];
      capture.on('metadataSync', ({ interactionId, sequenceNumber }) => {
        seen.push(`${interactionId} ${sequenceNumber}`);
      });
      await capture.start();
      await expect.poll(() => platform.received.length).toBeGreaterThan(0);
      const [socket] = platform.sockets;
      // No stream has been announced: the first packet of each call opens it, and that of the third is refused.
      const payload = Buffer.alloc(160, 0x90).toString('base64');
      for (let sequenceNumber = 0; sequenceNumber < 4; sequenceNumber++) {
        for (const interactionId of ids) {
          const timestamp = sequenceNumber * 160;
          socket?.send(
            JSON.stringify({
              interactionId,
              sequenceNumber,
              timestamp,
              payload,
            }),
          );
        }
      }
      await expect.poll(() => seen.length).toBe(8);
      expect(seen.sort()).toEqual(['a', 'b'].flatMap((id) => [0, 1, 2, 3].map((n) => `${id} ${n}`)));
      expect(faults).toBeGreaterThan(0);
      await expect.poll(() => uncaught.length).toBe(faults);
      expect(capture.sourceCounters()).toMatchObject({
        reconnects: 0,
        malformed: 0,
      });
    } finally {
      await node.stop();
      await platform.stop();
    }
  });
});

describe('a listener may stop the node', () => {
  it.each([...EVENTS, ...OF_CONNECTIONS])('at %s of a subscription', async (name) => {
    const capture = await makeCapture();
    const ended = new Set<string>();
    let opened = 0;
    capture.on('streamOpened', () => opened++);
    capture.on('streamEnded', ({ interactionId }) => ended.add(interactionId));
    const stopping = new Promise<void>((resolve) => {
      capture.once(name, () => resolve(capture.stop()));
    });
    await capture.start();
    await stopping;
    expect(uncaught).toEqual([]);
    expect(ended.size).toBe(opened);
    expect(capture.recorderCounters()).toMatchObject({
      recordingsIncomplete: 0,
    });
    // A call that brought no sound leaves no recording.
    const recorded = [...ended].filter((id) => existsSync(join(out, id)));
    for (const id of recorded) expect(sessionIn(id).endReason).toMatch(/stopped|ended/);
    expect(capture.streams()).toEqual([]);
  });

  it.each([...EVENTS, ...OF_SESSIONS])('at %s of AudioHook', async (name) => {
    const { hook, call } = await makeHook();
    const stopping = new Promise<void>((resolve) => {
      hook.once(name, () => resolve(hook.stop()));
    });
    const ledger = await call();
    await stopping;
    expect(uncaught).toEqual([]);
    for (const one of ledger.calls) {
      expect(one.violations).toEqual([]);
      if (one.outcome === 'closed' && one.positionSamples > 0) expectRecorded(out, one, SOUND);
    }
    expect(hook.streams()).toEqual([]);
  });
});

describe('a listener may end its call, and leave', () => {
  it.each(['streamOpened', 'mediaChunk', 'silence'] as const)(
    'at %s of a subscription, and the others go on',
    async (name) => {
      const capture = await makeCapture();
      const [first = '', ...others] = simulator?.interactionIds ?? [];
      let calls = 0;
      const leave = (of: {
        interactionId?: string;
        metadata?: { interactionId: string };
        info?: { interactionId: string };
      }) => {
        const id = of.interactionId ?? of.metadata?.interactionId ?? of.info?.interactionId;
        if (id !== first) return;
        calls++;
        capture.off(name, leave);
        capture.unsubscribe([first]);
      };
      capture.on(name, leave);
      await capture.start();
      await capture.untilIdle();
      await capture.stop();
      expect(uncaught).toEqual([]);
      expect(calls).toBe(1);
      expect(sessionIn(first).endReason).toMatch(/unsubscribed|ended/);
      for (const id of others)
        expect(sessionIn(id)).toMatchObject({
          packetsReceived: PACKETS,
          packetsLost: 0,
        });
    },
  );

  it.each(['streamOpened', 'mediaChunk', 'sessionOpened'] as const)(
    'at %s of AudioHook, and the others go on',
    async (name) => {
      const { hook, call } = await makeHook();
      let left: string | undefined;
      const leave = (of: {
        interactionId?: string;
        metadata?: { interactionId: string };
        info?: { interactionId: string };
      }) => {
        left = of.interactionId ?? of.metadata?.interactionId ?? of.info?.interactionId ?? '';
        hook.off(name, leave);
        hook.disconnect(left);
      };
      hook.on(name, leave);
      const ledger = await call();
      await hook.stop();
      expect(uncaught).toEqual([]);
      expect(left).toBeDefined();
      for (const one of ledger.calls) {
        expect(one).toMatchObject({ outcome: 'closed', violations: [] });
        if (one.positionSamples > 0) expectRecorded(out, one, SOUND);
      }
    },
  );
});

async function makeHook() {
  const server = { port: 0, host: '127.0.0.1', keys: KEYS };
  const hook = new AudioHookNode({
    record: true,
    ...{
      server,
      out,
      maxStreams: 64,
      includeSilent: true,
      silenceThreshold: 0.05,
      drainMs: 300,
    },
  });
  node = hook;
  await hook.start();
  const call = () =>
    runAudioHookClient({
      ...{
        url: hook.url,
        apiKey: API_KEY,
        clientSecret: CLIENT_SECRET,
        sound: SOUND,
      },
      ...{ sessions: 3, seconds: 2, frameMs: 20, pingSeconds: 0.2 },
    });
  return { hook, call };
}
