import { describe, expect, it } from 'vitest';
import { API_KEY, CLIENT_SECRET } from '../../../support/audiohook/node-rig.js';
import { RawCall } from '../../../support/audiohook/raw-call.js';
import { rig as serverRig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

const keys = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];
const rig = (options: Parameters<typeof serverRig>[0]) => serverRig({ keys, ...options });

describe('a client that is throttled', () => {
  const timing = { pingWaitUs: 500_000, closeWaitUs: 400_000 };

  it('is not taken for one that does not ping: all of its backlog is recorded', async () => {
    const { url, ingest, server, ended } = await rig({ timing, limits: { messagesPerSecond: 500, messageBurst: 200 } });
    const call = await new RawCall(url).open();
    // Its ping is behind two seconds of reading.
    for (let i = 0; i < 1_200; i++) call.socket.send(Buffer.alloc(320, 0x80));
    await call.close();
    expect(ingest.streams[0]).toMatchObject({ problems: [], endReason: 'ended' });
    expect(ingest.streams[0]?.pcm(0).length).toBe(1_200 * 160);
    expect(server.counters().throttled).toBeGreaterThan(0);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ closeReason: 'end', counts: { faults: 0, samplesKept: 192_000 } });
  });

  it('is not cut off after our disconnect while its close is unread', async () => {
    const { url, ingest, server } = await rig({ timing, limits: { messagesPerSecond: 500, messageBurst: 200 } });
    const call = await new RawCall(url).open();
    for (let i = 0; i < 1_000; i++) call.socket.send(Buffer.alloc(320, 0x80));
    await until(() => server.counters().throttled > 0, 'throttling');
    server.session(call.sessionId)?.disconnect('completed');
    await call.next('disconnect');
    await call.close('disconnect');
    expect(ingest.streams[0]?.pcm(0).length).toBe(160_000);
  });

  it('loses nothing while the engine has no capacity for its audio, for longer than a ping may take', async () => {
    const { url, ingest, server } = await rig({ timing });
    const call = await new RawCall(url).open();
    ingest.ordered.full.add(0);
    for (let i = 0; i < 20; i++) call.frame(0x80);
    await until(() => server.counters().stalls > 0, 'the stall');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    ingest.ordered.full.delete(0);
    await call.close();
    expect(ingest.streams[0]?.pcm(0).length).toBe(32_000);
  });

  it('that stops pinging is still dropped once it is read again', async () => {
    const { url, ended } = await rig({ timing, limits: { messagesPerSecond: 500, messageBurst: 100 } });
    const call = await new RawCall(url).open();
    for (let i = 0; i < 300; i++) call.socket.send(Buffer.alloc(320, 0x80));
    await until(() => ended.length === 1, 'the end');
    expect(ended[0]?.fault).toEqual({ kind: 'timeout', info: "No 'ping' in time" });
  });
});

describe('control frames', () => {
  it('of a client that reads no answer are counted as its fault, not as its leaving', async () => {
    const limits = { outboundBytes: 4_096, messagesPerSecond: 1e6, messageBurst: 1e6 };
    const { url, ended, server } = await rig({ limits });
    const call = await new RawCall(url).open();
    call.socket.pause();
    const payload = Buffer.alloc(125);
    const flood = setInterval(() => {
      for (let i = 0; i < 5_000 && call.socket.readyState === call.socket.OPEN; i++) call.socket.ping(payload);
    }, 5);
    await until(() => ended.length === 1, 'the end');
    clearInterval(flood);
    expect(ended[0]).toMatchObject({ fault: { kind: 'slowReader' }, endReason: 'lost' });
    expect(server.counters().slowReaders).toBe(1);
  });

  it.each(['ping', 'pong'] as const)('%s as a flood is throttled as messages are, and hurts nobody', async (kind) => {
    const { url, server, ended } = await rig({ limits: { messagesPerSecond: 500, messageBurst: 100 } });
    const call = await new RawCall(url).open();
    for (let i = 0; i < 400; i++) call.socket[kind]();
    await until(() => server.counters().throttled > 0, 'throttling');
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ endReason: 'ended', counts: { faults: 0 } });
  });

  it('are answered, each', async () => {
    const { url } = await rig({});
    const call = await new RawCall(url).open();
    const pongs: string[] = [];
    call.socket.on('pong', (data) => pongs.push(String(data)));
    for (const text of ['a', '', 'c']) call.socket.ping(text);
    await until(() => pongs.length === 3, 'the pongs');
    expect(pongs).toEqual(['a', '', 'c']);
    await call.close();
  });
});
