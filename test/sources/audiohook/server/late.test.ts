import { describe, expect, it } from 'vitest';
import { API_KEY, CLIENT_SECRET } from '../../../support/audiohook/node-rig.js';
import { RawCall } from '../../../support/audiohook/raw-call.js';
import { rig as serverRig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

const keys = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];
const rig = (options: Parameters<typeof serverRig>[0]) => serverRig({ keys, ...options });

/** Keeps the event loop from running, as a loaded machine does. */
function block(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

describe('a server whose process does not run for a while', () => {
  it('does not take clients for silent ones whose pings it has not read', async () => {
    const { url, ingest, ended } = await rig({ timing: { pingWaitUs: 500_000 } });
    const call = await new RawCall(url).open();
    for (let i = 0; i < 5; i++) {
      call.frame(0x80);
      call.sendMessage('ping');
      block(800);
      await call.next('pong');
    }
    await call.close();
    expect(call.types).not.toContain('disconnect');
    expect(ingest.streams[0]?.pcm(0).length).toBe(5 * 1600);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ endReason: 'ended', counts: { faults: 0, framesIgnored: 0 } });
    expect(ended[0]).not.toHaveProperty('fault');
  });

  it('lets a call that comes back meanwhile go on in its stream', async () => {
    const { url, ingest } = await rig({ lossWindowMs: 500 });
    const first = await new RawCall(url).open();
    first.frame(0x80);
    await first.settled();
    first.abort();
    await until(() => first.closeCode !== undefined, 'the loss');
    const second = new RawCall(url, { earlier: first });
    block(1_000);
    await second.open();
    second.frame(0x80);
    await second.close();
    expect(ingest.streams).toHaveLength(1);
    expect(ingest.streams[0]).toMatchObject({ endReason: 'ended', problems: [] });
  });

  it('reads what a client sent before its close, although the time for it is over', async () => {
    const timing = { closeWaitUs: 300_000, hangUpWaitUs: 300_000 };
    const { url, ingest, server } = await rig({ timing });
    const call = await new RawCall(url).open();
    server.session(call.sessionId)?.disconnect('completed');
    await call.next('disconnect');
    for (let i = 0; i < 10; i++) call.frame(0x80);
    const closed = call.close('disconnect');
    block(3_000);
    await closed;
    expect(ingest.streams[0]?.pcm(0).length).toBe(10 * 1600);
  });
});

it('audio that is in flight when a client is told that its pings are missing is recorded', async () => {
  const { url, ingest, ended } = await rig({ timing: { pingWaitUs: 300_000 } });
  const call = await new RawCall(url).open();
  await call.next('disconnect');
  for (let i = 0; i < 9; i++) call.frame(0x80);
  await call.close('disconnect');
  expect(ingest.streams[0]?.pcm(0).length).toBe(9 * 1600);
  await until(() => ended.length === 1, 'the summary');
  expect(ended[0]).toMatchObject({ endReason: 'lost', fault: { kind: 'timeout' }, counts: { framesIgnored: 0 } });
});
