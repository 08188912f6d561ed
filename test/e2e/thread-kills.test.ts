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
import { StagedClock } from '../support/staged-clock.js';
import { until } from '../support/until.js';

const SHARDS = 2;
const CALLS = 60;
/** The recorder is the agent behind the shards. */
const THREADS = ['shard 0', 'shard 1', 'recorder'];
/** How far calls may go on at most while a thread is killed and replaced: they must be there when the last one is. */
const KILL_SECONDS = 1.4;
const SECONDS = 6;
const TIMEOUT_MS = 50_000;
const SOUND = AudioHookSound.generated(5);

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-kills-'));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

/** Ends each thread in turn, the next when the one before has been replaced; resolves when all have been. */
async function killInTurn(node: AudioNode, calls: number, clock: StagedClock): Promise<string[]> {
  const replaced: string[] = [];
  const errors: string[] = [];
  node.on('error', ({ message }) => errors.push(message));
  node.on('workerRestarted', ({ name }) => {
    replaced.push(name);
    expect(node.streams(), `streams that outlived ${name}`).toHaveLength(calls);
  });
  await until(() => engineOf(node).streams().length === calls, 'all streams', TIMEOUT_MS);
  for (let thread = 0; thread < THREADS.length; thread++) {
    clock.allow(KILL_SECONDS);
    // Some of the call has gone through the threads as they are now.
    const target = node.stats().counts.packetsReceived + calls * 20;
    await until(() => node.stats().counts.packetsReceived >= target, 'packets before the next kill', TIMEOUT_MS);
    expect(errors).toEqual([]);
    engineOf(node).killShard(thread);
    await until(() => replaced.length > thread, `another ${THREADS[thread]}`, TIMEOUT_MS);
  }
  expect(errors).toEqual([]);
  return replaced;
}

describe('every thread that is killed in turn under load', () => {
  it('is replaced, and recordings of a subscription lack nothing', async () => {
    const clock = new StagedClock(Number.POSITIVE_INFINITY);
    const simulator = await startSimulator({ interactions: CALLS, codec: 'pcmu', seconds: SECONDS }, clock);
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    const node = new CaptureNode({
      record: true,
      ...{ apiUrl, mediaUrl, clientId: 'test', clientSecret: 'test', interactions: [...interactionIds] },
      ...{ out, shards: SHARDS },
    });
    try {
      await node.start();
      expect(await killInTurn(node, CALLS, clock)).toEqual(THREADS);
      clock.allow(Number.POSITIVE_INFINITY);
      await node.untilIdle();
      const counters = node.stats().engine;
      await node.stop();
      expect(counters).toMatchObject({ shardRestarts: THREADS.length, decodersRebuilt: CALLS, recorderRefused: 0 });
      expect(node.summary()).toMatchObject({
        packetsReceived: CALLS * SECONDS * 50,
        ...{ packetsLost: 0, packetsDropped: 0, decodeErrors: 0, recordingsIncomplete: 0, auditEntriesLost: 0 },
      });
      for (const id of interactionIds) {
        expect(sessionOf(out, id)).toMatchObject({ packetsReceived: SECONDS * 50, endReason: 'ended' });
        expect(sessionOf(out, id).incomplete).toBeUndefined();
        // Where a busy machine lets the simulator stand still, the time line goes on without samples.
        const addedSamples = (statSync(join(out, id, 'audio.wav')).size - 44) / 2 - SECONDS * 8000;
        expect(addedSamples).toBeGreaterThanOrEqual(0);
        // The simulator's voices are never wholly silent for a quarter of a second: a gap would be.
        expect(longestZeros(join(out, id, 'audio.wav'))).toBeLessThan(2_000 + addedSamples);
      }
    } finally {
      await node.stop();
      await simulator.close();
    }
  }, 120_000);

  it('is replaced, and recordings of AudioHook are exact', async () => {
    const server = { port: 0, host: '127.0.0.1', keys: KEYS };
    const node = new AudioHookNode({ server, out, record: true, shards: SHARDS, maxStreams: 64 });
    try {
      await node.start();
      // All sessions are there before one of them has gone on for a tenth of a second.
      const clock = new StagedClock(0.1);
      const calls = runAudioHookClient({
        clock,
        ...{ url: node.url, apiKey: API_KEY, clientSecret: CLIENT_SECRET, sound: SOUND },
        ...{
          sessions: CALLS,
          rate: 1_000,
          seconds: SECONDS,
          frameMs: 20,
          pauses: [{ atSeconds: 1, lastsSeconds: 0.5 }],
        },
      });
      expect(await killInTurn(node, CALLS, clock)).toEqual(THREADS);
      clock.allow(Number.POSITIVE_INFINITY);
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
  }, 120_000);
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
