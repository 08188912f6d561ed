import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { type AudioHookClientOptions, runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { type AudioHookCallLedger, expectedPcm } from '../../src/simulator/audiohook/ledger.js';
import type { HookScript } from '../../src/simulator/audiohook/script.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import {
  API_KEY,
  auditOf,
  CLIENT_SECRET,
  expectRecorded,
  KEYS,
  pausedIn,
  recordedPcm,
  sessionOf,
} from '../support/audiohook/node-rig.js';
import { type ServeProcess, serveProcess } from '../support/audiohook/serve-process.js';

// The full run of 100 calls is for CI; the same test, smaller, is for everyone.
const FULL = process.env['TRUNKLINE_E2E'] === 'full';
const CALLS = FULL ? 100 : 12;
const SECONDS = FULL ? 8 : 4;
const TIMEOUT_MS = (SECONDS + 60) * 1000;
const SOUND = AudioHookSound.generated(5);

let out: string;
let server: ServeProcess | undefined;
let node: AudioHookNode | undefined;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-hook-'));
});

afterEach(async () => {
  server?.child.kill('SIGKILL');
  server = undefined;
  await node?.stop();
  node = undefined;
  rmSync(out, { recursive: true, force: true });
});

const ORDERS = [['external', 'internal'], ['internal', 'external'], ['internal']] as const;

/** Every kind of call beside every other: 20 and 200 ms, both formats, both orders, bursts, pauses, discards. */
function varied(i: number): Partial<HookScript> {
  return {
    frameMs: i % 2 === 0 ? 20 : 200,
    media: [
      {
        format: i % 4 < 2 ? 'PCMU' : 'L16',
        channels: ORDERS[i % 7 === 6 ? 2 : i % 2] as (typeof ORDERS)[number],
      },
    ],
    burstSeconds: i % 3 === 0 ? 1.5 : 0,
    pauses: i % 3 === 1 ? [{ atSeconds: 0.7, lastsSeconds: 0.51 }] : [],
    discards:
      i % 2 === 1
        ? [
            { atSeconds: 1.5001, lastsSeconds: 0.30025 },
            { atSeconds: 2.5, lastsSeconds: 1 },
          ]
        : [],
  };
}

function callAll(url: string, vary: AudioHookClientOptions['vary']) {
  return runAudioHookClient({
    url,
    apiKey: API_KEY,
    clientSecret: CLIENT_SECRET,
    sessions: CALLS,
    seconds: SECONDS,
    sound: SOUND,
    pingSeconds: 0.3,
    ...(vary === undefined ? {} : { vary }),
  });
}

/** Every byte that lies in the folder. */
function everythingIn(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name)))).toString('latin1');
}

function total({ stretches }: AudioHookCallLedger, kind: string): number {
  return stretches.reduce((sum, stretch) => sum + (stretch.kind === kind ? stretch.lengthSamples : 0), 0);
}

function auditedEnd(audit: readonly Record<string, unknown>[], { conversationId }: AudioHookCallLedger) {
  return audit.find(({ action, interactionId }) => action === 'audiohook_ended' && interactionId === conversationId);
}

describe('recordings of `trunkline serve`', () => {
  it.each(['off', 'auto'])(
    'equal the ledger of the caller bit for bit, in length and place, with native %s',
    async (native) => {
      server = await serveProcess(out, ['--native', native, '--drain-seconds', '0']);
      const ledger = await callAll(server.url, varied);
      expect(ledger.outcomes).toEqual({ closed: CALLS, lost: 0, refused: 0, failed: 0 });
      expect(ledger.calls.flatMap((one) => one.violations)).toEqual([]);
      // Closed is said when the files are finished, so nothing has to be waited for.
      for (const one of ledger.calls) {
        expectRecorded(out, one, SOUND);
        expect(sessionOf(out, one.conversationId).endReason).toBe('ended');
      }
      server.child.kill('SIGTERM');
      expect(await server.exited).toBe(0);
      expect(JSON.parse(server.said.last)).toMatchObject({
        streams: CALLS,
        packetsDropped: 0,
        decodeErrors: 0,
        packetsLost: 0,
        sessions: {
          sessionsOpened: CALLS,
          sessionsEnded: CALLS,
          internalErrors: 0,
          rejected: {},
          totals: { faults: 0 },
        },
      });
      const audit = auditOf(out);
      for (const one of ledger.calls) {
        expect(auditedEnd(audit, one)).toMatchObject({
          reason: 'ended',
          keptMs: Math.round(total(one, 'audio') / 8),
          pausedMs: Math.round(total(one, 'paused') / 8),
          discardedMs: Math.round(total(one, 'discarded') / 8),
          framesReceived: one.framesSent,
          faults: 0,
        });
      }
      // Numbers of callers and called, as every `open` has them.
      expect(everythingIn(out)).not.toMatch(/15550100|15550199|Caller/);
      // At its most talkative it says some words of a session, and none of a frame.
      expect(server.said.log.split('\n').length).toBeLessThan(5 * CALLS + 10 * SECONDS);
    },
    TIMEOUT_MS,
  );
});

describe('recordings with pauses of ours', () => {
  it(
    'equal the ledger, but for what was under way when pause() was called: that is silence, marked as paused',
    async () => {
      node = new AudioHookNode({
        record: true,
        out,
        drainMs: 0,
        server: { port: 0, host: '127.0.0.1', keys: KEYS },
      });
      const one = node;
      let opened = 0;
      one.on('sessionOpened', ({ interactionId }) => {
        const id = interactionId ?? '';
        // Apart from the client's pause, across its beginning, across its end, and around it.
        const [from, to] = [
          [1800, 2300],
          [500, 900],
          [900, 1700],
          [400, 2000],
        ][opened++ % 4] as [number, number];
        setTimeout(() => one.pause(id), from);
        setTimeout(() => one.resume(id), to);
      });
      await one.start();
      const ledger = await callAll(one.url, (i) => ({
        ...varied(i),
        burstSeconds: 0,
        pauses: [{ atSeconds: 0.7, lastsSeconds: 0.51 }],
        discards: i % 3 === 0 ? [{ atSeconds: 2.9001, lastsSeconds: 0.30025 }] : [],
      }));
      expect(ledger.outcomes).toEqual({ closed: CALLS, lost: 0, refused: 0, failed: 0 });
      expect(ledger.calls.flatMap(({ violations }) => violations)).toEqual([]);
      await one.stop();
      const audit = auditOf(out);
      for (const call of ledger.calls) {
        expect(call.received).toMatchObject({ pause: 1, resume: 1 });
        const session = sessionOf(out, call.conversationId);
        let pausedSamples = 0;
        for (const channel of call.media?.channels.length === 2 ? ([0, 1] as const) : ([0] as const)) {
          const side = call.media?.channels.length === 2 ? (['external', 'internal'] as const)[channel] : 'internal';
          const due = expectedPcm(call, SOUND, side);
          const paused = pausedIn(session, channel);
          for (const { from, to } of paused) due.fill(0, from, to);
          expect(Buffer.compare(bytesOf(recordedPcm(out, call.conversationId, channel)), bytesOf(due))).toBe(0);
          // Each ends where the client says that it does; ours may have begun before the client knew of it.
          const said = call.stretches
            .filter(({ kind }) => kind === 'paused')
            .map(({ startSamples, lengthSamples }) => ({ from: startSamples, to: startSamples + lengthSamples }));
          expect(said.length).toBeGreaterThan(0);
          for (const { from, to } of said) {
            const around = paused.find((span) => span.from <= from && span.to === to);
            expect(around, `${from} to ${to} of ${call.conversationId}`).toBeDefined();
          }
          pausedSamples = paused.reduce((sum, { from, to }) => sum + to - from, 0);
          expect(pausedSamples).toBeGreaterThanOrEqual(total(call, 'paused'));
        }
        // What came and was not kept is what is marked beyond the client's own word.
        expect(auditedEnd(audit, call)).toMatchObject({
          pausedMs: Math.round(pausedSamples / 8),
          keptMs: Math.round((total(call, 'audio') + total(call, 'paused') - pausedSamples) / 8),
        });
      }
    },
    TIMEOUT_MS,
  );
});

const bytesOf = (pcm: Int16Array): Buffer => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
