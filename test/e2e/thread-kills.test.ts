import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AudioNode, engineOf } from '../../src/node/audio-node.js';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { API_KEY, CLIENT_SECRET, expectRecorded, KEYS, sessionOf } from '../support/audiohook/node-rig.js';
import { until } from '../support/until.js';

const SHARDS = 2;
const CALLS = 60;
/** The recorder is the agent behind the shards. */
const THREADS = ['shard 0', 'shard 1', 'recorder'];
const SOUND = AudioHookSound.generated(5);

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-kills-'));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

/** Ends each thread in turn, the next when the one before has been replaced; resolves when all have been. */
async function killInTurn(node: AudioNode, calls: number): Promise<string[]> {
  const replaced: string[] = [];
  const errors: string[] = [];
  node.on('error', ({ message }) => errors.push(message));
  node.on('workerRestarted', ({ name }) => {
    replaced.push(name);
    expect(node.streams(), `streams that outlived ${name}`).toHaveLength(calls);
  });
  await until(() => engineOf(node).streams().length === calls, 'all streams');
  for (let thread = 0; thread < THREADS.length; thread++) {
    // Some of the call has gone through the threads as they are now.
    const target = node.stats().counts.packetsReceived + calls * 20;
    await until(() => node.stats().counts.packetsReceived >= target, 'packets before the next kill');
    expect(errors).toEqual([]);
    engineOf(node).killShard(thread);
    await until(() => replaced.length > thread, `another ${THREADS[thread]}`);
  }
  expect(errors).toEqual([]);
  return replaced;
}

describe('every thread that is killed in turn under load', () => {
  it('is replaced, and recordings of a subscription lack nothing', async () => {
    const seconds = 5;
    const simulator = await startSimulator({ interactions: CALLS, codec: 'pcmu', seconds });
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    const node = new CaptureNode({
      record: true,
      ...{ apiUrl, mediaUrl, clientId: 'test', clientSecret: 'test', interactions: [...interactionIds] },
      ...{ out, shards: SHARDS },
    });
    try {
      await node.start();
      expect(await killInTurn(node, CALLS)).toEqual(THREADS);
      await node.untilIdle();
      const counters = node.stats().engine;
      await node.stop();
      expect(counters).toMatchObject({ shardRestarts: THREADS.length, decodersRebuilt: CALLS, recorderRefused: 0 });
      expect(node.summary()).toMatchObject({
        packetsReceived: CALLS * seconds * 50,
        ...{ packetsLost: 0, packetsDropped: 0, decodeErrors: 0, recordingsIncomplete: 0, auditEntriesLost: 0 },
      });
      for (const id of interactionIds) {
        expect(sessionOf(out, id)).toMatchObject({ packetsReceived: seconds * 50, endReason: 'ended' });
        expect(sessionOf(out, id).incomplete).toBeUndefined();
        expect(statSync(join(out, id, 'audio.wav')).size).toBe(44 + seconds * 8000 * 2);
        // The simulator's voices are never wholly silent for a quarter of a second: a gap would be.
        expect(longestZeros(join(out, id, 'audio.wav'))).toBeLessThan(2_000);
      }
    } finally {
      await node.stop();
      await simulator.close();
    }
  }, 60_000);

  it('is replaced, and recordings of AudioHook are exact', async () => {
    const server = { port: 0, host: '127.0.0.1', keys: KEYS };
    const node = new AudioHookNode({ server, out, record: true, shards: SHARDS, maxStreams: 64 });
    try {
      await node.start();
      const calls = runAudioHookClient({
        ...{ url: node.url, apiKey: API_KEY, clientSecret: CLIENT_SECRET, sound: SOUND },
        ...{ sessions: CALLS, rate: 1_000, seconds: 5, frameMs: 20, pauses: [{ atSeconds: 1, lastsSeconds: 0.5 }] },
      });
      expect(await killInTurn(node, CALLS)).toEqual(THREADS);
      const ledger = await calls;
      await node.stop();
      for (const one of ledger.calls) {
        expect(one).toMatchObject({ outcome: 'closed', violations: [] });
        expectRecorded(out, one, SOUND);
      }
      expect(node.summary()).toMatchObject({ packetsDropped: 0, recordingsIncomplete: 0, auditEntriesLost: 0 });
    } finally {
      await node.stop();
    }
  }, 60_000);
});

/** Of samples, in a recording of one channel. */
function longestZeros(file: string): number {
  const wav = readFileSync(file);
  let longest = 0;
  let run = 0;
  for (let at = 44; at + 1 < wav.length; at += 2) {
    run = wav.readInt16LE(at) === 0 ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}
