import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { auditOf, KEYS, pausedIn, recordedPcm, sessionOf } from '../support/audiohook/node-rig.js';
import { RawCall } from '../support/audiohook/raw-call.js';

let out: string;
let node: AudioHookNode;

beforeEach(async () => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-pause-'));
  node = new AudioHookNode({ out, record: true, drainMs: 0, maxStreams: 16, server: { port: 0, keys: KEYS } });
  await node.start();
});

afterEach(async () => {
  await node.stop();
  rmSync(out, { recursive: true, force: true });
});

/** 200 ms of audio. */
async function opened(): Promise<RawCall> {
  const call = await new RawCall(node.url).open();
  call.frame(0x80);
  await call.settled();
  return call;
}

async function closedAt(call: RawCall, position: string): Promise<void> {
  call.sendMessage('close', { reason: 'end' }, { position });
  await call.next('closed');
  call.socket.close(1000);
  await node.stop();
}

/** The recording has the pause, keeps the time of the call, and the audit proves it. */
function expectPause(call: RawCall, toSamples: number): void {
  const id = call.conversationId;
  for (const channel of [0, 1] as const) {
    expect(pausedIn(sessionOf(out, id), channel)).toEqual([{ from: 1_600, to: toSamples }]);
    expect(recordedPcm(out, id, channel).length).toBe(toSamples);
  }
  const audit = auditOf(out).filter(({ interactionId }) => interactionId === id);
  // Both name the organization that the call belongs to.
  expect(sessionOf(out, id)).toMatchObject({ organizationId: call.organizationId });
  expect(audit.find(({ action }) => action === 'stream_opened')).toMatchObject({ organizationId: call.organizationId });
  expect(
    audit.filter(({ action }) => action === 'media_paused').map(({ channel, positionMs }) => [channel, positionMs]),
  ).toEqual([
    [0, 200],
    [1, 200],
  ]);
  expect(audit.find(({ action }) => action === 'audiohook_ended')).toMatchObject({
    keptMs: 200,
    pausedMs: (toSamples - 1_600) / 8,
  });
}

describe('a pause that is still active when the call ends', () => {
  it('of the client is in the recording, in the audit, and an event of the node', async () => {
    const events: unknown[] = [];
    node.on('paused', ({ interactionId, paused }) => events.push([interactionId, paused]));
    const call = await opened();
    call.sendMessage('paused', {}, { position: 'PT0.2S' });
    await call.settled();
    await closedAt(call, 'PT3.2S');
    expectPause(call, 25_600);
    expect(events).toEqual([[call.conversationId, true]]);
  });

  it('of ours is as well', async () => {
    const call = await opened();
    node.pause(call.conversationId);
    await call.next('pause');
    call.sendMessage('paused', {}, { position: 'PT0.2S' });
    await call.settled();
    await closedAt(call, 'PT3.2S');
    expectPause(call, 25_600);
  });

  it('is measured by the clock when the connection is lost', async () => {
    const call = await opened();
    call.sendMessage('paused');
    await call.settled();
    await new Promise((resolve) => setTimeout(resolve, 500));
    call.abort();
    await expect.poll(() => node.status().counters.streamsDetached).toBe(1);
    await node.stop();
    const [span] = pausedIn(sessionOf(out, call.conversationId), 0);
    expect(span?.from).toBe(1_600);
    expect(span?.to).toBeGreaterThanOrEqual(1_600 + 4_000);
    expect(recordedPcm(out, call.conversationId, 0).length).toBe(span?.to);
  });
});
