import { describe, expect, it } from 'vitest';
import { type RawCall, STEREO, uuid } from '../../../support/audiohook/raw-call.js';
import { rig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

// Transport, envelope and both tables of messages, line by line: a client does it, and what comes over the wire counts.

const KEYS_OF_MESSAGE = ['clientseq', 'id', 'parameters', 'seq', 'type', 'version'];

function expectEnvelopes(call: RawCall): void {
  call.received.forEach((message, i) => {
    expect(Object.keys(message).sort()).toEqual(KEYS_OF_MESSAGE);
    expect(message).toMatchObject({ version: '2', id: call.sessionId, seq: i + 1 });
    expect(message.parameters).toBeTypeOf('object');
  });
  expect(call.binaries).toBe(0);
}

describe('transport', () => {
  it.each([
    ['version 1', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
    ['version 4', '30b0e395-84d3-4570-ac13-9a62d8f514c0'],
    ['version 7', '019a7c3e-5b7a-7c3e-9b7a-0123456789ab'],
    ['no version at all', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['capitals', '30B0E395-84D3-4570-AC13-9A62D8F514C1'],
  ])('a session id that is a UUID of %s is taken, and given back as it was written', async (_name, sessionId) => {
    const call = await (await rig()).dial({ sessionId }).open();
    await call.close();
    expectEnvelopes(call);
  });

  it.each([
    ['Audiohook-Session-Id', 'audiohook-session-id'],
    ['Audiohook-Organization-Id', 'audiohook-organization-id'],
  ])('without a UUID in %s it is 400', async (_name, header) => {
    const { dial, rejected } = await rig({ keys: [{ apiKey: 'key' }], allowUnsigned: true });
    expect(await dial({ clientSecret: undefined, headers: { [header]: 'four' } }).connected()).toBe(400);
    expect(rejected).toMatchObject([{ reason: 'identity' }]);
  });

  it.each(['0', '7', 'again'])('Audiohook-Retry-Attempt %s changes nothing', async (attempt) => {
    const call = await (await rig()).dial({ headers: { 'audiohook-retry-attempt': attempt } }).open();
    await call.close();
    expect(call.types).toEqual(['opened', 'pong', 'closed']);
  });

  it('text of 64 KiB is taken, one byte more is answered with disconnect error', async () => {
    const { dial } = await rig();
    const call = await dial().open();
    const message = { version: '2', id: call.sessionId, type: 'ping', seq: 3, serverseq: 2, position: 'PT0S' };
    const text = JSON.stringify({ ...message, parameters: { filler: '' } });
    call.socket.send(text.replace('""', `"${'x'.repeat(65_536 - text.length)}"`));
    await call.next('pong');
    call.socket.send(text.replace('""', `"${'x'.repeat(65_537 - text.length)}"`));
    expect((await call.next('disconnect')).parameters).toEqual({
      reason: 'error',
      info: 'Text message larger than 64 KiB',
    });
    expectEnvelopes(call);
  });
});

describe('envelope', () => {
  it('is whole in every message of the server, with parameters though they be empty', async () => {
    const { dial, server } = await rig();
    const call = await dial().open();
    server.setPaused(call.conversationId, true);
    server.setPaused(call.conversationId, false);
    await call.ask('updated', 'update', { language: 'de-DE' });
    server.session(call.sessionId)?.sendEvent([{ type: 'a', data: null }]);
    server.session(call.sessionId)?.requestReconnect();
    await call.next('reconnect');
    await call.close();
    expect(call.types).toEqual(['opened', 'pong', ...['pause', 'resume', 'updated', 'event', 'reconnect'], 'closed']);
    expectEnvelopes(call);
    for (const text of call.texts) {
      if (!/"type":"(opened|event)"/.test(text)) expect(text).toContain('"parameters":{}');
    }
    expect(call.received.map(({ clientseq }) => clientseq)).toEqual([1, 2, 2, 2, 3, 3, 3, 4]);
  });

  it.each([
    ['version', '1'],
    ['version', undefined],
    ['id', uuid()],
    ['id', undefined],
    ['seq', 4],
    ['seq', 2],
    ['seq', 2 ** 53],
    ['seq', undefined],
    ['serverseq', 9],
    ['serverseq', undefined],
    ['position', 'P1D'],
    ['position', undefined],
    ['parameters', undefined],
    ['parameters', null],
  ])(
    'of the client with %s %s is answered with disconnect error, and the client may still close',
    async (key, value) => {
      const { dial, ended } = await rig();
      const call = await dial().open();
      call.sendMessage('ping', {}, { [key]: value });
      expect((await call.next('disconnect')).parameters).toMatchObject({ reason: 'error' });
      await call.close('disconnect');
      expect(call.types).toEqual(['opened', 'pong', 'disconnect', 'closed']);
      expectEnvelopes(call);
      await until(() => ended.length === 1, 'the summary');
      expect(ended[0]).toMatchObject({ endReason: 'error', fault: { kind: 'protocol' }, closeReason: 'disconnect' });
    },
  );
});

describe('messages of the client', () => {
  it('open with every parameter there is', async () => {
    const { dial } = await rig({ supportedLanguages: ['en-US', 'de-DE'] });
    const call = dial();
    await call.connected();
    const opened = await call.ask(
      'opened',
      'open',
      call.openParameters({
        language: 'en-US',
        supportedLanguages: true,
        customConfig: { nested: [1, { a: null }] },
        continuedSessions: [{ id: uuid(), serverseq: 5, clientseq: 8 }],
        inputVariables: { name: 'value' },
      }),
    );
    expect(opened.parameters).toEqual({ media: [STEREO], supportedLanguages: ['en-US', 'de-DE'] });
    await call.close();
  });

  it('open with the least there may be', async () => {
    const call = (await rig({ supportedLanguages: ['en-US'] })).dial();
    await call.connected();
    const opened = await call.ask('opened', 'open', call.openParameters({ participant: { id: uuid() } }));
    expect(opened.parameters).toEqual({ media: [STEREO] });
  });

  it.each([
    ['organizationId', { organizationId: undefined }],
    ['conversationId', { conversationId: undefined }],
    ['conversationId', { conversationId: 'four' }],
    ['participant', { participant: undefined }],
    ['participant.id', { participant: { ani: '', aniName: '', dnis: '' } }],
    ['media', { media: undefined }],
    ['media', { media: STEREO }],
    ['continuedSessions.0.id', { continuedSessions: [{ serverseq: 1, clientseq: 1 }] }],
  ])('open without a proper %s is answered with disconnect error', async (path, change) => {
    const { dial, ingest } = await rig();
    const call = dial();
    await call.connected();
    const { parameters } = await call.ask('disconnect', 'open', call.openParameters(change));
    expect(parameters).toEqual({ reason: 'error', info: `Parameter '${path}' of 'open' is missing or not valid` });
    await call.close('disconnect');
    expect(ingest.streams).toEqual([]);
  });

  it('ping, with and without rtt: pong', async () => {
    const { dial, ended } = await rig();
    const call = await dial().open();
    await call.ask('pong', 'ping', { rtt: 'PT0.0425S' });
    await call.ask('pong', 'ping', { rtt: 42 });
    await call.close();
    expect(call.types).toEqual(['opened', 'pong', 'pong', 'pong', 'closed']);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ rttSeconds: 0.0425, counts: { pings: 3, faults: 0 } });
  });

  it('paused, resumed and discarded: no answer, and their stretches marked to the sample', async () => {
    const { dial, ingest } = await rig();
    const call = await dial().open();
    call.frame(0x80);
    call.sendMessage('paused');
    call.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT12.34S' });
    call.frame(0x80);
    call.sendMessage('discarded', { start: 'PT12.74S', discarded: 'PT0.000125S' });
    call.frame(0x80);
    expect(await call.settled()).toEqual([]);
    await call.close();
    expect(ingest.streams[0]).toMatchObject({
      problems: [],
      marks: [
        { state: 'paused', start: 1_600, length: 98_720 },
        { state: 'discarded', start: 101_920, length: 1 },
      ],
    });
    expect(ingest.streams[0]?.pcm(1).length).toBe(101_921 + 1_600);
  });

  it.each([
    ['resumed', { start: 'PT0S' }],
    ['discarded', { start: 'PT0S' }],
    ['discarded', { start: 'PT0S', discarded: 'PT-1S' }],
    ['discarded', { start: '0', discarded: '1' }],
  ])('%s with %j is answered with disconnect error', async (type, parameters) => {
    const { dial, ingest } = await rig();
    const call = await dial().open();
    expect((await call.ask('disconnect', type, parameters)).parameters).toMatchObject({ reason: 'error' });
    await call.close('disconnect');
    expect(ingest.streams[0]?.marks).toEqual([]);
  });

  it('update: updated, and the language in the summary', async () => {
    const { dial, ended } = await rig();
    const call = await dial().open({ language: 'en-US' });
    expect((await call.ask('updated', 'update', { language: 'fr-FR' })).parameters).toEqual({});
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ language: 'fr-FR', counts: { updates: 1 } });
  });

  it.each([400, 405, 408, 409, 413, 415, 429, 500, 503])('error %i is tolerated and counted', async (code) => {
    const { dial, ended } = await rig();
    const call = await dial().open();
    call.sendMessage('error', { code, message: 'Something' });
    expect(await call.settled()).toEqual([]);
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({ clientErrors: 1, faults: 0 });
  });

  it('error 429 with retryAfter: nothing unsolicited until then', async () => {
    const { dial, server } = await rig();
    const call = await dial().open();
    call.sendMessage('error', { code: 429, message: 'Slow down', retryAfter: 'PT0.6S' });
    await call.settled();
    server.session(call.sessionId)?.sendEvent([{ type: 'a', data: 1 }]);
    // The ping does not shake it loose.
    expect(await call.settled()).toEqual([]);
    await call.next('event');
  });

  it.each([
    ['end', 'ended'],
    ['error', 'error'],
    ['disconnect', 'stopped'],
  ])('close %s: closed, after which the stream has ended as %s', async (reason, endReason) => {
    const { dial, ingest, ended } = await rig();
    const call = await dial().open();
    await call.ask('closed', 'close', { reason });
    expect(ingest.streams[0]?.endReason).toBe(endReason);
    call.socket.close(1000);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]).toMatchObject({ closeReason: reason, endReason });
  });

  it('close reconnect: closed, and the stream waits for the session that goes on', async () => {
    const { dial, ingest, server } = await rig({ reconnectWindowMs: 300 });
    const call = await dial().open();
    await call.close('reconnect');
    expect([ingest.streams[0]?.endReason, server.counters().streamsDetached]).toEqual([undefined, 1]);
    await until(() => ingest.streams[0]?.endReason === 'interrupted', 'the end of the wait');
  });

  it.each(['dtmf', 'playback_started', 'playback_completed', 'telepathy', 'hold'])(
    '%s is tolerated and counted, and audio goes on',
    async (type) => {
      const { dial, ingest, ended } = await rig();
      const call = await dial().open();
      call.frame(0x80);
      call.sendMessage(type, { digit: '5' });
      // Hold is not pause: its music is part of the call.
      call.frame(0x80);
      expect(await call.settled()).toEqual([]);
      await call.close();
      expect(ingest.streams[0]?.pcm(0)).toEqual(new Int16Array(3_200).fill(32_124));
      await until(() => ended.length === 1, 'the summary');
      const counts = ended[0]?.counts;
      expect([(counts?.connectorMessages ?? 0) + (counts?.unknownTypes ?? 0), counts?.faults]).toEqual([1, 0]);
    },
  );

  it('fields that nobody knows are tolerated and counted', async () => {
    const { dial, ended } = await rig();
    const call = await dial().open({ novelty: 1 });
    call.sendMessage('ping', { novelty: 1 }, { novelty: 1 });
    await call.next('pong');
    await call.close();
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({ unknownFields: 3, faults: 0 });
  });
});

describe('messages of the server', () => {
  it('opened gives the chosen medium back verbatim, whatever else stands in it', async () => {
    const medium = { ...STEREO, channels: ['internal', 'external'], novelty: { deep: [1, 'two', null] }, rate: 8000 };
    const { dial } = await rig();
    const call = dial();
    await call.connected();
    const offer = [{ ...STEREO, format: 'OPUS' }, medium, STEREO];
    const opened = await call.ask('opened', 'open', call.openParameters({ media: offer }));
    expect(opened.parameters).toEqual({ media: [medium] });
    expect(call.texts[0]).toContain(`"parameters":{"media":[${JSON.stringify(medium)}]}`);
  });

  it.each([
    ['an empty offer', []],
    ['nothing that we take', [{ ...STEREO, format: 'OPUS' }, null, 'PCMU']],
  ])('opened with no medium for %s; the session stays up without audio', async (_name, media) => {
    const { dial, ingest, ended } = await rig();
    const call = dial();
    await call.connected();
    expect((await call.ask('opened', 'open', call.openParameters({ media }))).parameters).toEqual({ media: [] });
    call.frame(0x80);
    expect(await call.settled()).toEqual([]);
    await call.close();
    expect(ingest.streams).toEqual([]);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.counts).toMatchObject({ framesIgnored: 1, faults: 0 });
  });

  it('opened says startPaused, and nothing is kept until resume has been sent and answered', async () => {
    const { dial, server, ingest } = await rig({ startPaused: ({ language }) => language === 'xx' });
    const call = dial();
    await call.connected();
    const opened = await call.ask('opened', 'open', call.openParameters({ language: 'xx' }));
    expect(opened.parameters).toEqual({ media: [STEREO], startPaused: true });
    call.sendMessage('paused');
    call.frame(0x80);
    await call.ask('pong', 'ping');
    server.setPaused(call.conversationId, false);
    await call.next('resume');
    call.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT0.1S' });
    call.frame(0x80);
    await call.close();
    expect(ingest.streams[0]?.marks).toEqual([{ state: 'paused', start: 0, length: 2_400 }]);
    expect(ingest.streams[0]?.pcm(0).subarray(2_400)).toEqual(new Int16Array(1_600).fill(32_124));
    const other = dial();
    await other.connected();
    expect((await other.ask('opened', 'open', other.openParameters())).parameters).toEqual({ media: [STEREO] });
  });

  it('event carries its entities, never none, and stays below the rate of the platform', async () => {
    const { dial, server } = await rig();
    const call = await dial().open();
    const session = server.session(call.sessionId);
    const from = performance.now();
    let sent = 0;
    while (performance.now() - from < 1_500) {
      session?.sendEvent([]);
      if (session?.sendEvent([{ type: 'n', data: sent }]) === true) sent += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until(() => call.received.flatMap(({ parameters }) => parameters.entities ?? []).length === sent, 'them all');
    const seconds = (performance.now() - from) / 1_000;
    const events = call.received.filter(({ type }) => type === 'event');
    // Four at once, and four a second.
    expect(events.length).toBeLessThanOrEqual(4 + 4 * seconds);
    for (const { parameters } of events) expect(parameters.entities.length).toBeGreaterThan(0);
    expect(events.flatMap(({ parameters }) => parameters.entities)).toEqual(
      Array.from({ length: sent }, (_, i) => ({ type: 'n', data: i })),
    );
  });

  it('disconnect unauthorized for another organization than signed', async () => {
    const { dial, ended, ingest } = await rig();
    const call = dial();
    await call.connected();
    const open = call.openParameters({ organizationId: uuid() });
    expect((await call.ask('disconnect', 'open', open)).parameters).toEqual({
      reason: 'unauthorized',
      info: 'Organization id does not match',
    });
    await call.close('disconnect');
    expect(ingest.streams).toEqual([]);
    await until(() => ended.length === 1, 'the summary');
    expect(ended[0]?.fault?.kind).toBe('unauthorized');
  });

  it.each([
    ['completed', 'Thank you', { reason: 'completed', info: 'Thank you' }],
    ['completed', undefined, { reason: 'completed' }],
    ['error', 'Sorry', { reason: 'error', info: 'Sorry' }],
  ] as const)('disconnect %s with info %s', async (reason, info, parameters) => {
    const { dial, server } = await rig();
    const call = await dial().open();
    server.session(call.sessionId)?.disconnect(reason, info);
    expect((await call.next('disconnect')).parameters).toEqual(parameters);
    await call.close('disconnect');
  });

  it.each([
    [undefined, {}],
    ['Moving', { info: 'Moving' }],
  ])('reconnect with info %s', async (info, parameters) => {
    const { dial, server } = await rig();
    const call = await dial().open();
    server.session(call.sessionId)?.requestReconnect(info);
    expect((await call.next('reconnect')).parameters).toEqual(parameters);
  });
});
