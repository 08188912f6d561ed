import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePcmu } from '../../../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../../../src/audio/sample-memory.js';
import { STEREO, uuid } from '../../../support/audiohook/raw-call.js';
import { rig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

// Media, states and the probe, line by line of the protocol, over a real socket.

const NULL_ID = '00000000-0000-0000-0000-000000000000';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What one place of an interleaved stream says, decoded by formula. */
function decoded(format: string, bytes: Uint8Array, place: number, places: number): Int16Array {
  const sampleBytes = format === 'PCMU' ? 1 : 2;
  const count = bytes.length / sampleBytes / places;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (format === 'L16')
    return Int16Array.from({ length: count }, (_, i) => view.getInt16((i * places + place) * 2, true));
  const codes = Uint8Array.from({ length: count }, (_, i) => bytes[i * places + place] ?? 0);
  const out = new SampleMemory(new ArrayBuffer(2 * count));
  decodePcmu(SampleMemory.copyOf(codes), 0, count, out, 0);
  return out.samples;
}

describe('media', () => {
  const orders = [['external'], ['internal'], ['external', 'internal'], ['internal', 'external']];
  const media = ['PCMU', 'L16'].flatMap((format) => orders.map((channels) => ({ ...STEREO, format, channels })));

  it.each(media)('$format of $channels: each side on its own channel, whatever the frames are', async (medium) => {
    const { dial, ingest } = await rig();
    const places = medium.channels.length;
    const pairBytes = (medium.format === 'PCMU' ? 1 : 2) * places;
    const call = dial();
    await call.connected();
    const opened = await call.ask('opened', 'open', call.openParameters({ media: [medium] }));
    expect(opened.parameters.media).toEqual([medium]);
    // 20 ms, 200 ms, nothing, one sample, odd sizes, a second.
    const frames = [160, 1_600, 0, 1, 77, 8_000].map((samples, n) =>
      Uint8Array.from({ length: samples * pairBytes }, (_, i) => (i * 31 + n * 7 + (i >> 8)) & 0xff),
    );
    for (const frame of frames) call.socket.send(frame);
    await call.close();
    const all = new Uint8Array(Buffer.concat(frames));
    medium.channels.forEach((name, place) => {
      const channel = places === 1 || name === 'external' ? 0 : 1;
      expect(ingest.streams[0]?.pcm(channel)).toEqual(decoded(medium.format, all, place, places));
    });
    expect(ingest.streams[0]).toMatchObject({ problems: [], marks: [] });
  });

  it('20 s of history at once is taken at once, and the time line goes on from there', async () => {
    const { dial, ingest, ended } = await rig();
    const call = await dial().open();
    for (let i = 0; i < 100; i++) call.frame(0x80);
    expect(await call.settled()).toEqual([]);
    call.sendMessage('discarded', { start: 'PT20S', discarded: 'PT0.5S' });
    await call.close();
    expect(ingest.streams[0]?.marks).toEqual([{ state: 'discarded', start: 160_000, length: 4_000 }]);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({ samplesKept: 160_000, startAhead: 0, startBehind: 0 });
  });

  it('time is what came and what was thrown away, to the sample, in whatever fractions it is said', async () => {
    const { dial, ingest } = await rig();
    const stretch = fc.record({
      frame: fc.integer({ min: 0, max: 700 }),
      kind: fc.constantFrom('discarded', 'resumed'),
      gap: fc.integer({ min: 1, max: 100_000 }),
      digits: fc.integer({ min: 4, max: 9 }),
    });
    const once = fc.asyncProperty(fc.array(stretch, { minLength: 1, maxLength: 12 }), async (stretches) => {
      const call = await dial().open();
      let at = 0;
      const marks: { state: string; start: number; length: number }[] = [];
      for (const { frame, kind, gap, digits } of stretches) {
        call.socket.send(new Uint8Array(2 * frame));
        at += frame;
        const text = (samples: number): string => `PT${(samples / 8_000).toFixed(digits)}S`;
        if (kind === 'resumed') call.sendMessage('paused');
        call.sendMessage(kind, { start: text(at), discarded: text(gap) });
        const state = kind === 'resumed' ? 'paused' : 'discarded';
        const last = marks.at(-1);
        if (last?.state === state && last.start + last.length === at) last.length += gap;
        else marks.push({ state, start: at, length: gap });
        at += gap;
      }
      await call.close();
      const stream = ingest.streams.find(({ interactionId }) => interactionId === call.conversationId);
      expect(stream).toMatchObject({ problems: [], marks });
      expect(stream?.pcm(0).length).toBe(at);
    });
    await fc.assert(once, { numRuns: 40 });
  });

  it('half a sample of L16 is answered with disconnect error', async () => {
    const { dial } = await rig();
    const call = await dial().open({ media: [{ ...STEREO, format: 'L16' }] });
    call.socket.send(new Uint8Array(321));
    expect((await call.next('disconnect')).parameters.reason).toBe('error');
    await call.close('disconnect');
  });

  it('a binary message of our own never comes, and 415 for one is tolerated', async () => {
    const { dial } = await rig();
    const call = await dial().open();
    call.sendMessage('error', { code: 415, message: 'Unexpected binary message' });
    expect(await call.settled()).toEqual([]);
    await call.close();
    expect(call.binaries).toBe(0);
  });
});

describe('opening', () => {
  it('opened goes out before anything else, and everything sent at once with open is answered in order', async () => {
    // A backend that takes for ever must not hold it up.
    const { dial, ingest } = await rig({
      finishStream: () => new Promise(() => {}),
      timing: { finishWaitUs: 100_000 },
    });
    const call = dial();
    await call.connected();
    call.sendMessage('open', call.openParameters());
    call.frame(0x80);
    call.sendMessage('ping', {}, { serverseq: 0 });
    call.sendMessage('update', { language: 'en-us' });
    call.sendMessage('paused');
    call.sendMessage('close', { reason: 'end' });
    await call.next('closed');
    expect(call.types).toEqual(['opened', 'pong', 'updated', 'closed']);
    expect(ingest.streams[0]?.pcm(0).length).toBe(1_600);
  });

  it('a ping before open is answered, a paused, resumed, discarded, update or close then is tolerated', async () => {
    const { dial, ended } = await rig();
    const call = dial();
    await call.connected();
    call.sendMessage('paused');
    call.sendMessage('resumed', { start: 'PT0S', discarded: 'PT9S' });
    call.sendMessage('discarded', { start: 'PT0S', discarded: 'PT9S' });
    call.sendMessage('update', { language: 'en-us' });
    await call.ask('pong', 'ping');
    await call.ask('opened', 'open', call.openParameters());
    await call.close();
    expect(call.types).toEqual(['pong', 'opened', 'closed']);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ positionSamples: 0, counts: { strayMessages: 4, faults: 0 } });
  });

  it('closing without having opened: closed', async () => {
    const call = (await rig()).dial();
    await call.connected();
    await call.close();
    expect(call.types).toEqual(['closed']);
  });

  it('nothing unsolicited between opened and the first pong, not even disconnect', async () => {
    const { dial, server } = await rig();
    const call = dial();
    await call.connected();
    await call.ask('opened', 'open', call.openParameters());
    server.setPaused(call.conversationId, true);
    const session = server.session(call.sessionId);
    session?.sendEvent([{ type: 'a', data: 1 }]);
    session?.requestReconnect();
    await call.ask('updated', 'update', { language: 'en-us' });
    await pause(400);
    expect(call.types).toEqual(['opened', 'updated']);
    await call.ask('pong', 'ping');
    await until(() => call.types.includes('event'), 'what waited');
    expect(call.types).toEqual(['opened', 'updated', 'pong', 'reconnect', 'pause', 'event']);
    const other = dial();
    await other.connected();
    await other.ask('opened', 'open', other.openParameters());
    server.session(other.sessionId)?.disconnect('completed');
    await pause(400);
    expect(other.types).toEqual(['opened']);
    other.sendMessage('ping');
    await until(() => other.types.length === 3, 'the disconnect');
    expect(other.types).toEqual(['opened', 'pong', 'disconnect']);
  });

  it('audio before open: disconnect error, and an open that follows is not answered', async () => {
    const { dial, ingest } = await rig();
    const call = dial();
    await call.connected();
    call.frame(0x80);
    expect((await call.next('disconnect')).parameters).toEqual({
      reason: 'error',
      info: 'Audio before the session was opened',
    });
    call.sendMessage('open', call.openParameters());
    await call.close('disconnect');
    expect(call.types).toEqual(['disconnect', 'closed']);
    expect(ingest.streams).toEqual([]);
  });

  it('a second open is not answered', async () => {
    const { dial, ingest } = await rig();
    const call = await dial().open();
    call.sendMessage('open', call.openParameters());
    expect(await call.settled()).toEqual([]);
    await call.close();
    expect(ingest.streams).toHaveLength(1);
  });

  it('at most one live session an id, in whatever case; when it is over the id is free', async () => {
    const { dial, rejected } = await rig();
    const sessionId = 'abcdef00-0000-4000-8000-000000000000';
    const first = await dial({ sessionId }).open();
    expect(await dial({ sessionId: sessionId.toUpperCase() }).connected()).toBe(409);
    expect(rejected).toMatchObject([{ reason: 'sessionLive', status: 409 }]);
    expect(await first.settled()).toEqual([]);
    await first.close();
    await (await dial({ sessionId }).open()).close();
  });
});

describe('pause', () => {
  it('every request of ours is sent, said twice or not, and every answer tolerated', async () => {
    const { dial, server, ended } = await rig();
    const call = await dial().open();
    for (const paused of [true, true, false, false]) {
      server.setPaused(call.conversationId, paused);
      await call.next(paused ? 'pause' : 'resume');
      if (paused) call.sendMessage('paused');
      else call.sendMessage('resumed', { start: 'PT0S', discarded: 'PT0.5S' });
      await call.settled();
    }
    call.frame(0x80);
    await call.close();
    expect(call.types.filter((type) => /pause|resume/.test(type))).toEqual(['pause', 'pause', 'resume', 'resume']);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({
      samplesKept: 1_600,
      pausedUnsentSamples: 8_000,
      duplicatePaused: 0,
      faults: 0,
    });
  });

  it('a duplicate paused of the client is tolerated and counted', async () => {
    const { dial, ended } = await rig();
    const call = await dial().open();
    call.sendMessage('paused');
    call.sendMessage('paused');
    call.sendMessage('resumed', { start: 'PT0S', discarded: 'PT1S' });
    call.sendMessage('resumed', { start: 'PT1S', discarded: 'PT0S' });
    expect(await call.settled()).toEqual([]);
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ positionSamples: 8_000, counts: { duplicatePaused: 1, faults: 0 } });
  });

  it('a discarded ahead of the true position, or behind it, is tolerated and counted', async () => {
    const { dial, ended } = await rig();
    const call = await dial().open();
    call.frame(0x80);
    call.sendMessage('discarded', { start: 'PT5S', discarded: 'PT1S' });
    call.sendMessage('discarded', { start: 'PT0S', discarded: 'PT1S' });
    expect(await call.settled()).toEqual([]);
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    const counts = { startAhead: 1, startBehind: 1, discards: 2, faults: 0 };
    expect(ended[0]).toMatchObject({ positionSamples: 17_600, counts });
  });
});

describe('the end', () => {
  it('closed comes only when the stream has been finished', async () => {
    let finish = (): void => {};
    const { dial } = await rig({
      finishStream: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const call = await dial().open();
    call.sendMessage('close', { reason: 'end' });
    await pause(300);
    expect(call.types).toEqual(['opened', 'pong']);
    finish();
    await call.next('closed');
  });

  it('closed comes although the stream is never finished', async () => {
    const options = { finishStream: () => new Promise<void>(() => {}), timing: { finishWaitUs: 300_000 } };
    const call = await (await rig(options)).dial().open();
    await call.close();
    expect(call.types.at(-1)).toBe('closed');
  });

  it('the server never hangs up first: not after disconnect, not after closed, but for a client that forgets to', async () => {
    const { dial, server } = await rig({ timing: { closeWaitUs: 700_000, hangUpWaitUs: 700_000 } });
    const told = await dial().open();
    const closed = await dial().open();
    server.session(told.sessionId)?.disconnect('completed');
    await told.next('disconnect');
    await closed.ask('closed', 'close', { reason: 'end' });
    await pause(400);
    expect([told.closeCode, closed.closeCode]).toEqual([undefined, undefined]);
    await Promise.all([once(told.socket, 'close'), once(closed.socket, 'close')]);
    expect([told.closeCode, closed.closeCode]).toEqual([1000, 1000]);
    expect(told.types).toEqual(['opened', 'pong', 'disconnect']);
    expect(closed.types).toEqual(['opened', 'pong', 'closed']);
  });

  it('after our disconnect what is in flight is taken, a ping answered, and nothing unsolicited is sent any more', async () => {
    const { dial, server, ingest } = await rig();
    const call = await dial().open();
    server.session(call.sessionId)?.disconnect('completed');
    await call.next('disconnect');
    server.setPaused(call.conversationId, false);
    server.session(call.sessionId)?.requestReconnect();
    expect(server.session(call.sessionId)?.sendEvent([{ type: 'a', data: 1 }])).toBe(false);
    call.frame(0x80);
    expect(await call.settled()).toEqual([]);
    await call.close('disconnect');
    expect(call.types).toEqual(['opened', 'pong', 'disconnect', 'pong', 'closed']);
    expect(ingest.streams[0]?.pcm(0).length).toBe(1_600);
  });

  it('after closed nothing is answered, and audio is not taken', async () => {
    const { dial, ended, ingest } = await rig();
    const call = await dial().open();
    await call.ask('closed', 'close', { reason: 'end' });
    call.sendMessage('ping');
    call.sendMessage('close', { reason: 'end' });
    call.frame(0x80);
    call.socket.close(1000);
    await once(call.socket, 'close');
    expect(call.types).toEqual(['opened', 'pong', 'closed']);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({ strayMessages: 2, framesIgnored: 1, samplesKept: 0 });
    expect(ingest.streams[0]?.problems).toEqual([]);
  });

  it('a client that never opens, or stops pinging, is told and then dropped', async () => {
    const timing = { openWaitUs: 400_000, pingWaitUs: 600_000, closeWaitUs: 200_000 };
    const { dial, ended } = await rig({ timing });
    const silent = dial();
    await silent.connected();
    const mute = await dial().open();
    const audio = setInterval(() => mute.frame(0x80), 50);
    await Promise.all([once(silent.socket, 'close'), once(mute.socket, 'close')]);
    clearInterval(audio);
    expect(silent.received.map(({ parameters }) => parameters)).toEqual([
      { reason: 'error', info: "No 'open' in time" },
    ]);
    expect(mute.received.at(-1)?.parameters).toEqual({ reason: 'error', info: "No 'ping' in time" });
    await until(() => ended.length === 2, 'the summaries');
    expect(ended.map(({ fault }) => fault?.kind)).toEqual(['timeout', 'timeout']);
  });
});

describe('connection probe', () => {
  it('is answered properly, empty frame or not; nothing is recorded, and it is counted apart', async () => {
    const { dial, ingest, ended, server } = await rig();
    for (const frames of [[], [0], [0, 320]]) {
      const call = dial();
      await call.connected();
      const participant = { id: NULL_ID, ani: '', aniName: '', dnis: '' };
      if (frames.length > 0) call.socket.send(new Uint8Array(0));
      await call.ask('opened', 'open', call.openParameters({ conversationId: NULL_ID, participant }));
      for (const bytes of frames) call.socket.send(new Uint8Array(bytes));
      await call.close();
      expect(call.types).toEqual(['opened', 'closed']);
      expect(call.received[0]?.parameters).toEqual({ media: [STEREO] });
    }
    expect(ingest.streams).toEqual([]);
    await until(() => ended.length === 3, 'the summaries');
    for (const summary of ended) expect(summary).toMatchObject({ probe: true, counts: { faults: 0, samplesKept: 0 } });
    expect(server.counters()).toMatchObject({ probes: 3, sessionsOpened: 3, openedSeconds: { count: 3 } });
  });

  it('half a probe is a call', async () => {
    const { dial, ingest } = await rig();
    const call = await dial().open({ conversationId: NULL_ID, participant: { id: uuid() } });
    await call.close();
    expect(ingest.streams).toHaveLength(1);
  });
});
