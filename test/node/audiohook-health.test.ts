import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { createNode } from '../../src/node/create-node.js';
import { SinkHealth } from '../../src/node/parts/sink-health.js';
import { audioHook } from '../../src/sources/audiohook/audiohook.js';
import { KEYS } from '../support/audiohook/node-rig.js';
import { RawCall } from '../support/audiohook/raw-call.js';
import { until } from '../support/until.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('the health of sinks', () => {
  it('is a problem for each counter that grows, until it has not for a minute', () => {
    const health = new SinkHealth();
    const at = (seconds: number, counters: Record<string, number>): string[] =>
      health.problems({ recorder: { dropped: 0, ...counters } }, seconds * 1e6);
    expect(at(0, { writeErrors: 0, framesRecorded: 10 })).toEqual([]);
    expect(at(5, { writeErrors: 2, framesRecorded: 20 })).toEqual([
      'recorder: files cannot be written (writeErrors 2)',
    ]);
    expect(at(30, { writeErrors: 2, samplesDropped: 9 })).toHaveLength(2);
    expect(at(66, { writeErrors: 2, samplesDropped: 9 })).toHaveLength(1);
    expect(at(91, { writeErrors: 2, samplesDropped: 9 })).toEqual([]);
    expect(at(92, { writeErrors: 3, samplesDropped: 9 })).toHaveLength(1);
  });

  it('is in the health check of AudioHook: 503 with the reason while recordings fail', async () => {
    let writeErrors = 0;
    const hook = audioHook({ port: 0, keys: KEYS });
    const sinks = [{ name: 'recorder', stats: () => ({ dropped: 0, writeErrors }) }];
    const node = await createNode({ sources: [hook], sinks, engine: { shards: 1, maxStreams: 16 } });
    closing.push(() => node.close());
    const health = async (): Promise<unknown[]> => {
      const response = await fetch(hook.healthUrl);
      return [response.status, await response.json()];
    };
    expect(await health()).toEqual([200, { status: 'ok', sessions: 0 }]);
    writeErrors = 7;
    const problems = ['recorder: files cannot be written (writeErrors 7)'];
    expect(await health()).toEqual([503, { status: 'failing', sessions: 0, problems }]);
  });
});

describe('recordings that cannot be written', () => {
  it('make the health check fail, and the call goes on', async () => {
    const out = mkdtempSync(join(tmpdir(), 'trunkline-health-'));
    closing.push(async () => rmSync(out, { recursive: true, force: true }));
    const settings = { out, record: true, drainMs: 0, shards: 1, maxStreams: 16 } as const;
    const node = new AudioHookNode({ ...settings, server: { port: 0, keys: KEYS } });
    node.on('error', () => {});
    await node.start();
    closing.push(() => node.close());
    rmSync(out, { recursive: true });
    // No folder can be made in a file.
    writeFileSync(out, '');
    const call = await new RawCall(node.url).open();
    call.frame(0x80);
    // The audit may find it out first.
    const problem = 'recorder: files cannot be written';
    await until(() => JSON.stringify(node.healthResponse()).includes(problem), 'the failure');
    const response = await fetch(node.healthUrl);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      status: 'failing',
      sessions: 1,
      problems: expect.arrayContaining([expect.stringContaining(problem)]),
    });
    expect(await call.settled()).toEqual([]);
    await call.close();
  });
});

describe('a node attached to an HTTP server of the embedder', () => {
  it('takes calls there, reports pauses of both sides, and leaves the server running', async () => {
    const http = createServer((request, response) => response.end(`route ${request.url}`));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => http.close(resolve)));
    const { port } = http.address() as AddressInfo;
    const node = new AudioHookNode({ drainMs: 0, shards: 1, maxStreams: 16, server: { httpServer: http, keys: KEYS } });
    await node.start();
    closing.push(() => node.close());
    const pauses: unknown[] = [];
    const spans: unknown[] = [];
    node.on('paused', ({ paused, by }) => pauses.push([by, paused]));
    node.on('marked', ({ state, channel, lengthSamples }) => spans.push([state, channel, lengthSamples]));
    expect(node.url).toBe(`ws://127.0.0.1:${port}/audiohook/ws`);
    const call = await new RawCall(node.url).open();
    call.frame(0x80);
    call.sendMessage('paused');
    call.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT1S' });
    await call.settled();
    node.pause(call.conversationId);
    node.resume(call.conversationId);
    await call.close();
    await until(() => spans.length === 2, 'the spans');
    expect(pauses).toEqual([
      ['client', true],
      ['client', false],
      ['operator', true],
      ['operator', false],
    ]);
    expect(spans).toEqual([
      ['paused', 0, 8_000],
      ['paused', 1, 8_000],
    ]);
    expect(node.healthResponse()).toEqual({ status: 'ok', sessions: expect.any(Number) });
    await node.close();
    expect(await (await fetch(`http://127.0.0.1:${port}/still`)).text()).toBe('route /still');
    expect(await new RawCall(`ws://127.0.0.1:${port}/audiohook/ws`).connected()).toBe(200);
  });
});
