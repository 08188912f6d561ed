import { describe, expect, it } from 'vitest';
import type { AudioHookCallLedger } from '../../../../src/simulator/audiohook/ledger.js';
import { expectRecorded } from '../../../support/audiohook/recorded.js';
import { exchange, rig, SECRET } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

describe('calls over real sockets', () => {
  it('recordings equal the ledger bit for bit: frames, bursts, discards and pauses', async () => {
    const { call, ingest, ended, server, errors } = await rig();
    const orders = [['external', 'internal'], ['internal', 'external'], ['external']] as const;
    const ledger = await call({
      sessions: 24,
      rate: 500,
      seconds: 4,
      pingSeconds: 0.1,
      vary: (i) => ({
        frameMs: [20, 200, 7, 1000][i % 4] as number,
        media: [{ format: i % 2 === 0 ? 'PCMU' : 'L16', channels: orders[i % 3] as (typeof orders)[number] }],
        burstSeconds: i % 5 === 0 ? 2 : 0,
        pauses: i % 3 === 0 ? [{ atSeconds: 0.5, lastsSeconds: 0.51 }] : [],
        discards:
          i % 4 === 1
            ? [
                { atSeconds: 1.0001, lastsSeconds: 0.30025 },
                { atSeconds: 2.5, lastsSeconds: 1 },
              ]
            : [],
      }),
    });
    expect(ledger.outcomes).toEqual({ closed: 24, lost: 0, refused: 0, failed: 0 });
    expect(ledger.calls.flatMap((one) => one.violations)).toEqual([]);
    for (const one of ledger.calls) expectRecorded(ingest, one);
    expect(ledger.ping.count).toBeGreaterThan(24);
    await until(() => ended.length === 24, 'the summaries');
    for (const summary of ended) {
      expect(summary).toMatchObject({
        endReason: 'ended',
        closeReason: 'end',
        droppedSamples: 0,
        probe: false,
        continued: false,
      });
      expect(summary.counts).toMatchObject({ faults: 0, startAhead: 0, startBehind: 0, strayMessages: 0 });
    }
    expect(ingest.streams.map((stream) => stream.endReason)).toEqual(Array(24).fill('ended'));
    expect(server.counters()).toMatchObject({
      sessionsLive: 0,
      sessionsOpened: 24,
      sessionsEnded: 24,
      internalErrors: 0,
      rejected: {},
    });
    expect(errors).toEqual([]);
  });

  it('a probe is answered, counted apart and records nothing', async () => {
    const { call, ingest, server } = await rig();
    const ledger = await call({ probe: true });
    expect(ledger.calls[0]).toMatchObject({ outcome: 'closed', received: { opened: 1, closed: 1 } });
    expect(ingest.streams).toEqual([]);
    expect(server.counters()).toMatchObject({ probes: 1 });
  });

  it('a call without a medium stays up', async () => {
    const { call, ingest, ended } = await rig();
    const ledger = await call({ media: [], pingSeconds: 0.02 });
    expect(ledger.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    expect(ledger.calls[0]?.media).toBeUndefined();
    expect(ingest.streams).toEqual([]);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).not.toHaveProperty('interactionId');
  });

  it('our own pause keeps nothing, and the time line goes on', async () => {
    const { call, ingest, server } = await rig();
    server.on('sessionOpened', ({ interactionId }) => {
      const session = server.sessionOf(interactionId ?? '');
      setTimeout(() => session?.pause(), 300);
      setTimeout(() => session?.resume(), 500);
    });
    const ledger = await call({ seconds: 8 });
    const one = ledger.calls[0] as AudioHookCallLedger;
    expect(one).toMatchObject({ outcome: 'closed', violations: [], received: { pause: 1, resume: 1 } });
    const stream = ingest.streams[0];
    expect(stream?.pcm(0).length).toBe(one.positionSamples);
    const marked = stream?.marks.reduce((sum, { length }) => sum + length, 0) ?? 0;
    expect(marked).toBeGreaterThan(8000);
    // What the client sent before our pause reached it is marked as well, and not recorded.
    const wire = one.stretches
      .filter(({ kind }) => kind === 'paused')
      .reduce((sum, { lengthSamples }) => sum + lengthSamples, 0);
    expect(marked).toBeGreaterThanOrEqual(wire);
  });

  it('startPaused: nothing before we resume', async () => {
    const { call, ingest } = await rig({ startPaused: true });
    const ledger = await call({});
    expect(ledger.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    const audible = ingest.streams[0]?.pcm(0).some((sample) => sample !== 0);
    expect(audible).toBe(false);
    expect(ingest.streams[0]?.pcm(0).length).toBe(ledger.calls[0]?.positionSamples);
  });

  it('events reach the client', async () => {
    const { call, server } = await rig();
    server.on('sessionOpened', ({ sessionId }) =>
      server.session(sessionId)?.sendEvent([{ type: 'silence', data: { silent: true } }]),
    );
    const ledger = await call({ seconds: 5 });
    expect(ledger.calls[0]?.received).toMatchObject({ event: 1 });
  });
});

describe('connections that end early', () => {
  it('a loss ends the stream as lost, with what had come', async () => {
    const { call, ingest, ended } = await rig();
    const ledger = await call({ seconds: 5, lossAtSeconds: 2 });
    expect(ledger.calls[0]?.outcome).toBe('lost');
    await until(() => ingest.streams[0]?.endReason !== undefined, 'the end of the stream');
    expect(ingest.streams[0]).toMatchObject({ endReason: 'lost', problems: [] });
    expect(ended[0]).toMatchObject({ endReason: 'lost' });
  });

  it('a call that comes back is joined to its stream', async () => {
    const { call, ingest, server } = await rig({ lossWindowMs: 2000 });
    const ledger = await call({ seconds: 5, lossAtSeconds: 2, rejoin: true });
    const one = ledger.calls[0] as AudioHookCallLedger;
    expect(one).toMatchObject({ outcome: 'closed', violations: [] });
    expect(one.sessionIds).toHaveLength(2);
    expect(ingest.streams).toHaveLength(1);
    expect(ingest.streams[0]).toMatchObject({ endReason: 'ended', problems: [] });
    expect(ingest.streams[0]?.pcm(0).length).toBe(one.positionSamples);
    expect(server.counters()).toMatchObject({ continued: 1, streamsDetached: 0 });
  });

  it('a call asked to reconnect goes on in the same stream, bit for bit', async () => {
    const { call, ingest, server } = await rig();
    let asked = false;
    server.on('sessionOpened', ({ sessionId }) => {
      if (!asked) setTimeout(() => server.session(sessionId)?.requestReconnect('elsewhere'), 200);
      asked = true;
    });
    const ledger = await call({ seconds: 5, rejoin: true });
    const one = ledger.calls[0] as AudioHookCallLedger;
    expect(one).toMatchObject({ outcome: 'closed', violations: [], received: { reconnect: 1, opened: 2, closed: 2 } });
    expect(ingest.streams).toHaveLength(1);
    expectRecorded(ingest, one);
  });

  it('two sessions of one conversation get streams of their own', async () => {
    const { ingest, server, url } = await rig();
    const { WebSocket } = await import('ws');
    const { requestHeaders } = await import('../../../../src/simulator/audiohook/protocol-faults.js');
    const sessions = ['1', '2'].map((n) => `0000000${n}-0000-4000-8000-000000000000`);
    const organizationId = sessions[0] as string;
    for (const sessionId of sessions) {
      const identity = {
        url: new URL(url),
        organizationId,
        sessionId,
        correlationId: sessionId,
        apiKey: 'key',
        clientSecret: SECRET,
      };
      const socket = new WebSocket(url, { headers: requestHeaders(identity, Date.now()) as Record<string, string> });
      const media = [{ type: 'audio', format: 'PCMU', channels: ['external'], rate: 8000 }];
      const conversationId = '090eaa2f-72fa-480a-83e0-8667ff89c0ec';
      const parameters = { organizationId, conversationId, participant: { id: sessionId }, media };
      const message = { version: '2', id: sessionId, type: 'open', seq: 1, serverseq: 0, position: 'PT0S', parameters };
      socket.on('open', () => socket.send(JSON.stringify(message)));
      await new Promise((resolve) => socket.once('message', resolve));
    }
    expect(ingest.streams.map(({ interactionId }) => interactionId)).toEqual([
      '090eaa2f-72fa-480a-83e0-8667ff89c0ec',
      '090eaa2f-72fa-480a-83e0-8667ff89c0ec.00000002-0000-4000-8000-000000000000',
    ]);
    expect(server.counters().sessionsLive).toBe(2);
  });

  it('drain: health says so, no new sessions, reconnect, disconnect at the deadline, closed properly', async () => {
    const { call, server, port, ingest, rejected } = await rig();
    const calls = call({ sessions: 3, seconds: 600 });
    await until(() => server.counters().totals.pings >= 3, 'the first pings');
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    const drained = server.drain(300);
    const health = await fetch(`http://127.0.0.1:${port}/health`);
    expect([health.status, await health.json()]).toEqual([503, { status: 'draining', sessions: 3 }]);
    expect((await call({})).calls[0]).toMatchObject({ outcome: 'refused', status: 503 });
    expect(rejected).toMatchObject([{ reason: 'draining' }]);
    await drained;
    for (const one of (await calls).calls) {
      expect(one).toMatchObject({
        outcome: 'closed',
        violations: [],
        received: { reconnect: 1, disconnect: 1, closed: 1 },
        disconnect: { reason: 'completed' },
      });
    }
    expect(ingest.streams.map((stream) => stream.endReason)).toEqual(['stopped', 'stopped', 'stopped']);
  });
});

describe('limits', () => {
  it('sessions, sessions an organization, handshakes, paths', async () => {
    const full = await rig({ limits: { sessions: 2 } });
    expect((await full.call({ sessions: 4, seconds: 5 })).outcomes).toMatchObject({ closed: 2, refused: 2 });
    expect(full.rejected[0]).toMatchObject({ reason: 'sessionLimit', status: 503 });
    const organization = await rig({ limits: { sessionsPerOrganization: 1 } });
    expect((await organization.call({ sessions: 3, seconds: 5 })).outcomes).toMatchObject({ closed: 1, refused: 2 });
    expect(organization.rejected[0]).toMatchObject({ reason: 'organizationLimit', status: 429 });
    const slow = await rig({ limits: { handshakesPerSecond: 1 } });
    expect((await slow.call({ sessions: 4, rate: 1000 })).outcomes).toMatchObject({ closed: 2, refused: 2 });
    expect(slow.rejected[0]).toMatchObject({ reason: 'handshakeRate', status: 429 });
    expect((await slow.call({ url: `${slow.url}/else` })).calls[0]).toMatchObject({ status: 404 });
    expect((await fetch(slow.url.replace('ws:', 'http:'))).status).toBe(426);
    expect((await fetch(`http://127.0.0.1:${slow.port}/`)).status).toBe(404);
  });

  it('a request whose headers never end is cut off', async () => {
    const { port } = await rig({ limits: { headerMs: 300 } });
    const silent = exchange(port, '');
    const slow = exchange(port, 'GET /audiohook/ws HTTP/1.1\r\nHost: a\r\n');
    for (const answer of await Promise.all([silent, slow])) expect(answer).toMatch(/^(HTTP\/1.1 408 .*)?$/s);
  });

  it('the engine’s own limit costs one session, with a reason that tells nothing', async () => {
    const { call, ingest, errors } = await rig();
    ingest.maxStreams = 1;
    const { calls } = await call({ sessions: 2, seconds: 4 });
    expect(calls.map((one) => one.disconnect)).toEqual([undefined, { reason: 'error', info: 'No capacity left' }]);
    expect(errors).toEqual(['Too many.']);
  });

  it.each([
    ['badJson', 'error'],
    ['hugeText', 'error'],
    ['skipSeq', 'error'],
    ['wrongVersion', 'error'],
    ['wrongId', 'error'],
    ['missingParameters', 'error'],
    ['audioBeforeOpen', 'error'],
  ] as const)('%s is answered with disconnect, then closed; the client hangs up first', async (fault, reason) => {
    const { call, ended } = await rig();
    const { calls } = await call({ fault, seconds: 20 });
    expect(calls[0]).toMatchObject({ outcome: 'closed', violations: [], disconnect: { reason } });
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ fault: { kind: 'protocol' }, closeReason: 'disconnect' });
  });

  it.each(['unknownType', 'unknownField', 'duplicatePaused', 'discardedAhead', 'error'] as const)(
    '%s is tolerated',
    async (fault) => {
      const { call, ended } = await rig();
      const { calls } = await call({ fault, seconds: 2 });
      expect(calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
      expect(calls[0]?.received).not.toHaveProperty('disconnect');
      await until(() => ended.length === 1, 'the summary');
      expect(ended[0]?.counts.faults).toBe(0);
    },
  );

  it('clients that never open, never ping, never read or flood do not disturb a call beside them', async () => {
    // Shorter than the stalls of a busy machine, which must not count against the good call.
    const timing = { openWaitUs: 400_000, pingWaitUs: 800_000, closeWaitUs: 300_000 };
    const { call, server, ended, ingest, errors } = await rig({ timing, limits: { outboundBytes: 4096 } });
    const stop = new AbortController();
    const fault = ['neverOpen', 'neverPing', 'neverRead', 'tinyFrames'] as const;
    const bad = call({ sessions: 4, seconds: 600, signal: stop.signal, vary: (i) => ({ fault: fault[i] }) });
    const good = await call({ seconds: 20, pingSeconds: 0.2 });
    expect(good.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    expectRecorded(ingest, good.calls[0] as AudioHookCallLedger);
    await until(() => server.counters().throttled > 0, 'the flood to be held up', 30_000);
    await until(() => ended.filter(({ fault }) => fault?.kind === 'timeout').length >= 2, 'the watchdog', 30_000);
    stop.abort();
    await server.close();
    await bad;
    expect(server.counters()).toMatchObject({ sessionsLive: 0, internalErrors: 0 });
    expect(errors).toEqual([]);
  });

  it('a client that reads nothing is cut off when too much waits for it', async () => {
    const { call, server, ended } = await rig({
      limits: { outboundBytes: 65_536, messagesPerSecond: 1e6, messageBurst: 1e6 },
    });
    const { calls } = await call({ seconds: 600, fault: 'neverRead' });
    expect(calls[0]?.outcome).toBe('lost');
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ fault: { kind: 'slowReader' } });
    expect(server.counters().slowReaders).toBe(1);
  });

  it('a listener that throws costs nobody a session', async () => {
    const { call, server } = await rig();
    server.on('sessionOpened', () => {
      throw new Error('mine');
    });
    expect((await call({})).outcomes.closed).toBe(1);
    expect(server.counters().internalErrors).toBe(1);
  });
});

it('a port that is taken is said so', async () => {
  const { port } = await rig();
  await expect(rig({ port })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
});
