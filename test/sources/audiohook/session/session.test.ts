import { describe, expect, it } from 'vitest';
import { CLIENT_MESSAGE_TYPES } from '../../../../src/sources/audiohook/protocol/wire.js';
import type { SessionState } from '../../../../src/sources/audiohook/session/session-context.js';
import {
  CONVERSATION_ID,
  MONO,
  NULL_ID,
  openParameters,
  PARTICIPANT_ID,
  Peer,
  SESSION_ID,
  STEREO,
  types,
} from '../../../support/audiohook/peer.js';

/** Proper parameters of every message type, for tests that are about something else. */
const PARAMETERS: Record<string, object> = {
  open: openParameters(),
  resumed: { start: 'PT0S', discarded: 'PT0S' },
  discarded: { start: 'PT0S', discarded: 'PT0S' },
  update: { language: 'en-us' },
  error: { code: 400, message: 'm' },
  close: { reason: 'end' },
};

describe('opening', () => {
  it('answers open in the same turn, with the medium verbatim', () => {
    const peer = new Peer();
    const odd = { ...STEREO, channels: ['internal', 'external'], extra: { a: [1] } };
    const [opened, ...more] = peer.sendMessage('open', openParameters({ media: [odd] }));
    expect(more).toEqual([]);
    expect(opened).toEqual({
      version: '2',
      type: 'opened',
      id: SESSION_ID,
      seq: 1,
      clientseq: 1,
      parameters: { media: [odd] },
    });
    expect(peer.session.state).toBe('ACTIVE');
  });

  it.each([
    ['nothing offered', [], []],
    [
      'nothing that we take',
      [
        { ...MONO, format: 'OPUS' },
        { ...MONO, rate: 44100 },
        { ...STEREO, channels: ['external', 'external'] },
        null,
        7,
      ],
      [],
    ],
    ['both channels before one', [MONO, STEREO], [STEREO]],
    ['the first of equals', [{ ...STEREO, format: 'L16' }, STEREO], [{ ...STEREO, format: 'L16' }]],
    ['an unknown format beside a known one', [{ ...STEREO, format: 'G722' }, MONO], [MONO]],
  ])('selects a medium: %s', (_name, media, chosen) => {
    const peer = new Peer();
    expect(peer.sendMessage('open', openParameters({ media }))[0]?.parameters.media).toEqual(chosen);
    peer.sendMessage('ping');
    // Without audio the session stays up all the same.
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
    expect(types(peer.sendMessage('close', { reason: 'end' }))).toEqual(['closed']);
  });

  it('takes every optional parameter and names languages only when asked', () => {
    const peer = new Peer({ accept: { supportedLanguages: ['en-US', 'de-DE'] } });
    const [opened] = peer.sendMessage(
      'open',
      openParameters({
        language: 'en-US',
        supportedLanguages: true,
        customConfig: { a: 1 },
        inputVariables: { b: '2' },
        continuedSessions: [{ id: SESSION_ID, serverseq: 3, clientseq: 4 }],
      }),
    );
    expect(opened?.parameters.supportedLanguages).toEqual(['en-US', 'de-DE']);
    expect(peer.request).toMatchObject({
      language: 'en-US',
      conversationId: CONVERSATION_ID,
      participantId: PARTICIPANT_ID,
      probe: false,
    });
    expect(peer.request?.continuedSessions).toEqual([{ id: SESSION_ID, serverseq: 3, clientseq: 4 }]);
    expect(new Peer().sendMessage('open', openParameters())[0]?.parameters).not.toHaveProperty('supportedLanguages');
  });

  it('says startPaused and discardTo when they are wanted', () => {
    const peer = new Peer({ accept: { startPaused: true, discardToSamples: 8001 } });
    expect(peer.sendMessage('open', openParameters())[0]?.parameters).toEqual({
      media: [STEREO],
      startPaused: true,
      discardTo: 'PT1.000125S',
    });
  });

  it('refuses another organization than the one that was authenticated', () => {
    const peer = new Peer();
    const [answer] = peer.sendMessage('open', openParameters({ organizationId: NULL_ID }));
    expect(answer).toMatchObject({ type: 'disconnect', parameters: { reason: 'unauthorized' } });
    expect(peer.of('openRequested')).toEqual([]);
  });

  it('lets the embedder refuse', () => {
    const peer = new Peer({ decide: (_request, session, nowUs) => session.refuse('completed', 'Full', nowUs) });
    expect(peer.sendMessage('open', openParameters())).toMatchObject([
      { type: 'disconnect', parameters: { reason: 'completed', info: 'Full' } },
    ]);
    expect(types(peer.sendMessage('close', { reason: 'disconnect' }))).toEqual(['closed']);
  });

  it('answers a probe like a call and knows it for one', () => {
    const peer = new Peer();
    const probe = { conversationId: NULL_ID, participant: { id: NULL_ID, ani: '', aniName: '', dnis: '' } };
    expect(types(peer.sendMessage('open', openParameters(probe)))).toEqual(['opened']);
    expect(peer.request?.probe).toBe(true);
    expect(peer.frame(0)).toEqual([]);
    peer.frame(320);
    expect(types(peer.sendMessage('close', { reason: 'end' }))).toEqual(['closed']);
    expect(peer.of('audio')).toEqual([]);
    expect(peer.session.counts).toMatchObject({ framesIgnored: 1, emptyFrames: 1, samplesKept: 0, faults: 0 });
  });
});

describe('messages of the client', () => {
  it('ping: pong with empty parameters and the clientseq of the ping', () => {
    const peer = new Peer().opened();
    const [pong] = peer.sendMessage('ping', { rtt: 'PT0.0125S' });
    expect(pong).toEqual({ version: '2', type: 'pong', id: SESSION_ID, seq: 3, clientseq: 3, parameters: {} });
    expect(peer.session.rttSeconds).toBe(0.0125);
    expect(types(peer.sendMessage('ping', { rtt: 'soon' }))).toEqual(['pong']);
  });

  it('update: updated', () => {
    const peer = new Peer().opened();
    expect(peer.sendMessage('update', { language: 'fr-FR' })).toMatchObject([{ type: 'updated', parameters: {} }]);
    expect(peer.session.language).toBe('fr-FR');
  });

  it.each([
    ['end', 'ended'],
    ['error', 'error'],
    ['disconnect', 'stopped'],
    ['reconnect', 'interrupted'],
    ['something new', 'ended'],
  ])('close %s: finishes the stream, then closed', (reason, endReason) => {
    const peer = new Peer().opened();
    const from = peer.outputs.length;
    expect(peer.sendMessage('close', { reason })).toMatchObject([{ type: 'closed', parameters: {} }]);
    expect(peer.outputs.slice(from).map((output) => output.kind)).toEqual(['flush', 'finish', 'send']);
    expect(peer.session.endReason).toBe(endReason);
    expect(peer.session.state).toBe('CLOSED');
  });

  it('closed waits for the stream to be finished, but not beyond its time', () => {
    const peer = new Peer({ slowFinish: true }).opened();
    expect(peer.sendMessage('close', { reason: 'end' })).toEqual([]);
    // Asked again meanwhile: one close, one answer.
    expect(peer.sendMessage('close', { reason: 'end' })).toEqual([]);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
    expect(types(peer.advance(5))).toEqual(['closed']);
    peer.session.finished(peer.nowUs);
    expect(types(peer.sent).filter((type) => type === 'closed')).toHaveLength(1);
  });

  it.each([400, 405, 408, 409, 413, 415, 429, 500, 503])('error %i is tolerated and counted', (code) => {
    const peer = new Peer().opened();
    expect(peer.sendMessage('error', { code, message: 'x' })).toEqual([]);
    expect(peer.session.counts.clientErrors).toBe(1);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
  });

  it('error 429 with retryAfter holds unsolicited messages back', () => {
    const peer = new Peer().opened();
    peer.sendMessage('error', { code: 429, message: 'slow down', retryAfter: 'PT2S' });
    expect(peer.during(() => peer.session.sendEvent([{ type: 'a', data: 1 }], peer.nowUs))).toEqual([]);
    expect(peer.advance(1.5)).toEqual([]);
    expect(types(peer.advance(1))).toEqual(['event']);
  });

  it.each(['dtmf', 'playback_started', 'playback_completed'])(
    '%s of the Audio Connector is tolerated and counted',
    (type) => {
      const peer = new Peer().opened();
      expect(peer.sendMessage(type, { digit: '1' })).toEqual([]);
      expect(peer.session.counts.connectorMessages).toBe(1);
    },
  );

  it('an unknown type and unknown fields are tolerated and counted', () => {
    const peer = new Peer();
    const participant = { id: PARTICIPANT_ID, ani: '', aniName: '', dnis: '', more: 1 };
    expect(types(peer.sendMessage('open', openParameters({ participant, novelty: true }), { stamp: 'x' }))).toEqual([
      'opened',
    ]);
    expect(peer.session.counts.unknownFields).toBe(3);
    expect(peer.sendMessage('telepathy', { a: 1 })).toEqual([]);
    expect(peer.session.counts).toMatchObject({ unknownTypes: 1, faults: 0 });
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
  });

  it('a second open is not answered a second time', () => {
    const peer = new Peer().opened();
    expect(peer.sendMessage('open', openParameters())).toEqual([]);
    expect(peer.session.counts.strayMessages).toBe(1);
  });
});

describe('what is answered with disconnect error', () => {
  const faults: [string, (peer: Peer) => unknown][] = [
    ['a sequence number skipped', (peer) => peer.sendMessage('ping', {}, { seq: 7 })],
    ['a sequence number repeated', (peer) => peer.sendMessage('ping', {}, { seq: 2 })],
    ['a sequence number that is none', (peer) => peer.sendMessage('ping', {}, { seq: '3' })],
    ['a huge sequence number', (peer) => peer.sendMessage('ping', {}, { seq: 1e300 })],
    ['serverseq of a message never sent', (peer) => peer.sendMessage('ping', {}, { serverseq: 3 })],
    ['no serverseq', (peer) => peer.sendMessage('ping', {}, { serverseq: undefined })],
    ['another version', (peer) => peer.sendMessage('ping', {}, { version: '3' })],
    ['another session id', (peer) => peer.sendMessage('ping', {}, { id: CONVERSATION_ID })],
    ['no position', (peer) => peer.sendMessage('ping', {}, { position: undefined })],
    ['a position that is no duration', (peer) => peer.sendMessage('ping', {}, { position: 'PT1M' })],
    ['no parameters', (peer) => peer.sendMessage('ping', {}, { parameters: undefined })],
    ['parameters that are a list', (peer) => peer.sendMessage('ping', {}, { parameters: [] })],
    ['no JSON', (peer) => peer.raw('{"version":')],
    ['JSON that is no object', (peer) => peer.raw('[1]')],
    ['no UTF-8', (peer) => peer.raw(Uint8Array.of(0x22, 0xff, 0x22))],
    ['text over 64 KiB', (peer) => peer.sendMessage('ping', { filler: 'x'.repeat(65_536) })],
    ['discarded without a length', (peer) => peer.sendMessage('discarded', { start: 'PT0S' })],
    ['resumed with a number for a duration', (peer) => peer.sendMessage('resumed', { start: 0, discarded: 1 })],
    [
      'a time line a day ahead of the clock',
      (peer) => peer.sendMessage('discarded', { start: 'PT0S', discarded: 'PT86400S' }),
    ],
  ];

  it.each(faults)('%s', (_name, act) => {
    const peer = new Peer().opened();
    act(peer);
    const [disconnect, ...more] = peer.sent.slice(2);
    expect(more).toEqual([]);
    expect(disconnect).toMatchObject({ type: 'disconnect', seq: 3, parameters: { reason: 'error' } });
    expect(peer.session.state).toBe('FAULTED');
    expect(peer.of('mark')).toEqual([]);
    expect(peer.of('hangUp')).toEqual([]);
    // Nothing more is taken, but the client can still close properly, whatever number it goes on with.
    peer.frame(320);
    expect(peer.of('audio')).toEqual([]);
    expect(types(peer.sendMessage('close', { reason: 'disconnect' }))).toEqual(['closed']);
    expect(peer.session.endReason).toBe('error');
  });

  it('audio before open', () => {
    const peer = new Peer();
    expect(peer.frame(160)).toMatchObject([
      { kind: 'send', message: { type: 'disconnect', parameters: { reason: 'error' } } },
      { kind: 'flush' },
      { kind: 'faulted' },
    ]);
    // `open` comes too late then.
    expect(peer.sendMessage('open', openParameters())).toEqual([]);
  });

  it('half a sample of L16', () => {
    const peer = new Peer().opened({ media: [{ ...MONO, format: 'L16' }] });
    expect(peer.frame(321)).toMatchObject([
      { kind: 'send', message: { type: 'disconnect' } },
      { kind: 'flush' },
      { kind: 'faulted' },
    ]);
  });

  it('64 KiB exactly is allowed', () => {
    const peer = new Peer().opened();
    const text = JSON.stringify({
      version: '2',
      id: SESSION_ID,
      type: 'ping',
      seq: 3,
      serverseq: 2,
      position: 'PT0S',
      parameters: { filler: '' },
    });
    const fill = (bytes: number): string => text.replace('""', `"${'x'.repeat(bytes - text.length)}"`);
    expect(types(peer.raw(fill(65_536)))).toEqual(['pong']);
    expect(types(peer.raw(fill(65_537)))).toEqual(['disconnect']);
  });

  it('a second violation is not answered again', () => {
    const peer = new Peer().opened();
    peer.raw('}');
    expect(peer.raw('}')).toEqual([]);
    expect(peer.session.counts.faults).toBe(2);
  });
});

describe('the first moments', () => {
  it('nothing unsolicited between opened and the first pong', () => {
    const peer = new Peer();
    peer.sendMessage('open', openParameters());
    const held = peer.during(() => {
      peer.session.pause(peer.nowUs);
      peer.session.sendEvent([{ type: 'a', data: 1 }], peer.nowUs);
      peer.session.requestReconnect('go', peer.nowUs);
    });
    expect(held).toEqual([]);
    expect(peer.advance(3)).toEqual([]);
    expect(types(peer.sendMessage('update', { language: 'en-us' }))).toEqual(['updated']);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong', 'reconnect', 'pause', 'event']);
  });

  it('a disconnect of ours waits as well', () => {
    const peer = new Peer();
    peer.sendMessage('open', openParameters());
    expect(peer.during(() => peer.session.disconnect('completed', 'bye', peer.nowUs))).toEqual([]);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong', 'disconnect']);
  });

  it('a ping before open does not count as the first', () => {
    const peer = new Peer();
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
    peer.sendMessage('open', openParameters());
    expect(peer.during(() => peer.session.pause(peer.nowUs))).toEqual([]);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong', 'pause']);
  });
});

describe('pause', () => {
  it('the client pauses and resumes; the stretch is marked and takes its time', () => {
    const peer = new Peer().opened();
    peer.frame(3200);
    expect(peer.sendMessage('paused')).toEqual([]);
    expect(peer.session.state).toBe('PAUSED');
    expect(peer.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT12.34S' })).toEqual([]);
    expect(peer.session.state).toBe('ACTIVE');
    peer.frame(2);
    expect(peer.of('mark')).toEqual([{ kind: 'mark', state: 'paused', at: 1600, length: 98_720 }]);
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 100_320]);
    expect(peer.session.counts).toMatchObject({ pauses: 1, resumes: 1, startAhead: 0, startBehind: 0 });
  });

  it('a duplicate paused is tolerated and counted; resumed without paused as well', () => {
    const peer = new Peer().opened();
    peer.sendMessage('paused');
    expect(peer.sendMessage('paused')).toEqual([]);
    expect(peer.session.counts.duplicatePaused).toBe(1);
    peer.sendMessage('resumed', { start: 'PT0S', discarded: 'PT1S' });
    expect(peer.sendMessage('resumed', { start: 'PT1S', discarded: 'PT0S' })).toEqual([]);
    expect(peer.session.positionSamples).toBe(8000);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
  });

  it('nothing of audio that comes during a pause is kept; it keeps its length', () => {
    const peer = new Peer().opened();
    peer.frame(320);
    peer.sendMessage('paused');
    peer.frame(640);
    peer.sendMessage('resumed', { start: 'PT0.02S', discarded: 'PT0S' });
    peer.frame(320);
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 480]);
    expect(peer.of('mark')).toEqual([{ kind: 'mark', state: 'paused', at: 160, length: 320 }]);
  });

  it('ours: nothing is kept from the call on, and each request is sent and answered', () => {
    const peer = new Peer().opened();
    peer.frame(320);
    expect(types(peer.during(() => peer.session.pause(peer.nowUs)))).toEqual(['pause']);
    // In flight before our request reached the client.
    peer.frame(320);
    peer.sendMessage('paused');
    expect(types(peer.during(() => peer.session.pause(peer.nowUs)))).toEqual(['pause']);
    peer.sendMessage('paused');
    expect(peer.session.counts.duplicatePaused).toBe(0);
    expect(types(peer.during(() => peer.session.resume(peer.nowUs)))).toEqual(['resume']);
    peer.sendMessage('resumed', { start: 'PT0.04S', discarded: 'PT0.5S' });
    peer.frame(320);
    expect(types(peer.during(() => peer.session.resume(peer.nowUs)))).toEqual(['resume']);
    peer.sendMessage('resumed', { start: 'PT0.56S', discarded: 'PT0S' });
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 4320]);
    expect(peer.of('mark')).toMatchObject([
      { state: 'paused', at: 160, length: 160 },
      { state: 'paused', at: 320, length: 4000 },
    ]);
  });

  it('audio flows only when both pauses are over', () => {
    const peer = new Peer().opened();
    peer.sendMessage('paused');
    peer.session.pause(peer.nowUs);
    peer.sendMessage('paused');
    peer.session.resume(peer.nowUs);
    // The client's own pause is still on: it answers paused.
    peer.sendMessage('paused');
    peer.frame(320);
    expect(peer.of('audio')).toEqual([]);
    peer.session.pause(peer.nowUs);
    // The client's ends, ours has begun again.
    peer.sendMessage('resumed', { start: 'PT0S', discarded: 'PT1S' });
    peer.frame(320);
    expect(peer.of('audio')).toEqual([]);
    peer.session.resume(peer.nowUs);
    peer.frame(320);
    expect(peer.of('audio')).toHaveLength(1);
  });

  it('startPaused: nothing is kept until we resume and the client has resumed', () => {
    const peer = new Peer({ accept: { startPaused: true } }).opened();
    peer.frame(320);
    peer.sendMessage('paused');
    expect(peer.session.counts.duplicatePaused).toBe(0);
    peer.session.resume(peer.nowUs);
    peer.sendMessage('resumed', { start: 'PT0.02S', discarded: 'PT1S' });
    peer.frame(320);
    expect(peer.of('audio').map((output) => output.at)).toEqual([160 + 8000]);
  });

  it('a pause asked for before open begins the session paused', () => {
    const peer = new Peer();
    peer.session.pause(peer.nowUs);
    expect(peer.sendMessage('open', openParameters())[0]?.parameters.startPaused).toBe(true);
  });

  it('pause and resume in quick succession stay within the rate limit, and the last one counts', () => {
    const peer = new Peer().opened();
    const sent = peer.during(() => {
      for (let i = 0; i < 100; i++) {
        peer.session.pause(peer.nowUs);
        peer.session.resume(peer.nowUs);
      }
    });
    expect(sent.length).toBeLessThanOrEqual(10);
    expect(types(peer.advance(2))).toEqual(['resume']);
  });
});

describe('the time line', () => {
  it('counts samples of frames of any size', () => {
    const peer = new Peer().opened();
    const frames = [3200, 2, 0, 320, 6400, 64_000];
    let at = 0;
    for (const bytes of frames) {
      peer.frame(bytes);
      at += bytes / 2;
      expect(peer.session.positionSamples).toBe(at);
    }
    expect(peer.session.counts).toMatchObject({ emptyFrames: 1, framesReceived: 6, samplesKept: at });
  });

  it('a pair split over two frames is one sample', () => {
    const peer = new Peer().opened();
    peer.frame(161);
    expect(peer.session.positionSamples).toBe(80);
    peer.frame(1);
    expect(peer.session.positionSamples).toBe(81);
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 80]);
    expect(peer.session.counts.splitPairs).toBe(1);
  });

  it('a pair split by our own pause belongs to the pause, and the channels stay in step', () => {
    const peer = new Peer().opened();
    peer.frame(Uint8Array.of(1, 2, 3));
    peer.session.pause(peer.nowUs);
    peer.frame(Uint8Array.of(4, 5, 6, 7));
    peer.session.resume(peer.nowUs);
    peer.frame(Uint8Array.of(8, 9, 10));
    expect(peer.of('audio')).toMatchObject([
      { at: 0, bytes: [1, 2, 3] },
      { at: 4, bytes: [9, 10] },
    ]);
    expect(peer.of('mark')).toMatchObject([
      { at: 1, length: 2 },
      { at: 3, length: 1 },
    ]);
    expect(peer.session.positionSamples).toBe(5);
  });

  it.each([
    ['where it is', 'PT0.02S', { startAhead: 0, startBehind: 0 }],
    ['ahead of the true position', 'PT9S', { startAhead: 1, startBehind: 0 }],
    ['behind it', 'PT0S', { startAhead: 0, startBehind: 1 }],
  ])('discarded %s: the time line goes on by what was discarded', (_name, start, counts) => {
    const peer = new Peer().opened();
    peer.frame(320);
    expect(peer.sendMessage('discarded', { start, discarded: 'PT1.000125S' })).toEqual([]);
    peer.frame(320);
    expect(peer.of('mark')).toEqual([{ kind: 'mark', state: 'discarded', at: 160, length: 8001 }]);
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 8161]);
    expect(peer.session.counts).toMatchObject({ discards: 1, discardedSamples: 8001, ...counts });
  });

  it('flushes buffered audio before a stretch begins', () => {
    const peer = new Peer().opened();
    peer.frame(3);
    const from = peer.outputs.length;
    peer.sendMessage('discarded', { start: 'PT0S', discarded: 'PT1S' });
    expect(peer.outputs.slice(from).map((output) => output.kind)).toEqual(['flush', 'mark']);
    // Half a pair before a discard never gets its other half.
    peer.frame(2);
    expect(peer.of('audio').map((output) => output.at)).toEqual([0, 8001]);
  });

  it('a session that continues another begins where that one ended', () => {
    const peer = new Peer({ accept: { baseSamples: 50_000 } });
    peer.positionSamples = 40_000;
    peer.opened();
    peer.frame(320);
    peer.sendMessage('discarded', { start: 'PT5.02S', discarded: 'PT1S' });
    expect(peer.of('audio').map((output) => output.at)).toEqual([50_000]);
    expect(peer.session.positionSamples).toBe(58_160);
    expect(peer.session.counts).toMatchObject({ startAhead: 0, startBehind: 0 });
  });

  it('a burst of 20 s of history is taken at once', () => {
    const peer = new Peer().opened();
    for (let i = 0; i < 100; i++) peer.frame(3200);
    expect(peer.session.positionSamples).toBe(160_000);
    expect(peer.session.counts.faults).toBe(0);
  });

  it('audio an hour ahead of the clock is too much', () => {
    const peer = new Peer().opened();
    peer.sendMessage('discarded', { start: 'PT0S', discarded: 'PT3599S' });
    peer.frame(16_000);
    expect(peer.session.counts.faults).toBe(0);
    peer.frame(16_000);
    expect(peer.session.state).toBe('FAULTED');
  });
});

describe('events', () => {
  it('carry their entities, at least one', () => {
    const peer = new Peer().opened();
    const entities = [{ type: 'silence', data: { channel: 'external', silent: true } }];
    expect(peer.during(() => peer.session.sendEvent(entities, peer.nowUs))).toMatchObject([
      { type: 'event', seq: 3, parameters: { entities } },
    ]);
    expect(peer.during(() => peer.session.sendEvent([], peer.nowUs))).toEqual([]);
  });

  it('are limited to well below what Genesys allows; what waits is sent together', () => {
    const peer = new Peer().opened();
    let queued = 0;
    const perSecond: number[] = [];
    for (let second = 0; second < 10; second++) {
      let messages = 0;
      for (let i = 0; i < 10; i++) {
        messages += peer.during(() => {
          if (peer.session.sendEvent([{ type: 'n', data: queued }], peer.nowUs)) queued += 1;
        }).length;
        messages += peer.advance(0.1).length;
      }
      perSecond.push(messages);
      peer.sendMessage('ping');
    }
    peer.advance(2);
    expect(Math.max(...perSecond.slice(1))).toBeLessThanOrEqual(5);
    const data = peer.sent
      .filter((m) => m.type === 'event')
      .flatMap((m) => m.parameters.entities.map((e: { data: number }) => e.data));
    expect(data).toEqual(Array.from({ length: queued }, (_, i) => i));
    expect(queued).toBe(100);
  });

  it('queue is bounded, messages stay below the limit', () => {
    const peer = new Peer().opened();
    const entity = { type: 'big', data: 'x'.repeat(15_000) };
    const accepted = Array.from({ length: 200 }, () => peer.session.sendEvent([entity], peer.nowUs)).filter(
      Boolean,
    ).length;
    expect(accepted).toBeLessThan(100);
    expect(peer.session.counts.entitiesRefused).toBe(200 - accepted);
    peer.advance(20);
    for (const message of peer.sent) expect(JSON.stringify(message).length).toBeLessThan(64_000);
    expect(peer.session.counts.entitiesSent).toBe(accepted);
  });

  it('that are no JSON are the caller’s fault, with a sentence', () => {
    const peer = new Peer().opened();
    const circular: { self?: unknown } = {};
    circular.self = circular;
    for (const data of [circular, undefined, 'x'.repeat(20_000), 10n]) {
      expect(() => peer.session.sendEvent([{ type: 'a', data }], peer.nowUs)).toThrowError(/event entity needs/);
    }
  });

  it('are refused before open and after close', () => {
    const peer = new Peer();
    expect(peer.session.sendEvent([{ type: 'a', data: 1 }], peer.nowUs)).toBe(false);
    peer.opened().sendMessage('close', { reason: 'end' });
    expect(peer.session.sendEvent([{ type: 'a', data: 1 }], peer.nowUs)).toBe(false);
  });
});

describe('the end', () => {
  it('our disconnect: what is in flight is taken, close is answered, the client hangs up first', () => {
    const peer = new Peer().opened();
    expect(peer.during(() => peer.session.disconnect('completed', 'bye', peer.nowUs))).toMatchObject([
      { type: 'disconnect', parameters: { reason: 'completed', info: 'bye' } },
    ]);
    peer.frame(320);
    expect(peer.of('audio')).toHaveLength(1);
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
    expect(types(peer.sendMessage('close', { reason: 'disconnect' }))).toEqual(['closed']);
    expect(peer.session.endReason).toBe('stopped');
    peer.advance(4);
    expect(peer.of('hangUp')).toEqual([]);
    peer.advance(2);
    expect(peer.of('hangUp').length).toBeGreaterThan(0);
  });

  it('a client that does not close after disconnect is dropped after a while, not before', () => {
    const peer = new Peer().opened();
    peer.session.disconnect('completed', undefined, peer.nowUs);
    peer.advance(4.9);
    expect(peer.of('hangUp')).toEqual([]);
    peer.advance(0.5);
    expect(peer.of('hangUp').length).toBeGreaterThan(0);
  });

  it('reconnect is asked for once, with its reason', () => {
    const peer = new Peer().opened();
    expect(peer.during(() => peer.session.requestReconnect('moving', peer.nowUs))).toMatchObject([
      { type: 'reconnect', parameters: { info: 'moving' } },
    ]);
    expect(types(peer.sendMessage('close', { reason: 'reconnect' }))).toEqual(['closed']);
  });

  it('a client that never opens is told and dropped', () => {
    const peer = new Peer();
    expect(peer.advance(9.9)).toEqual([]);
    expect(peer.advance(0.3)).toMatchObject([{ type: 'disconnect', parameters: { reason: 'error' } }]);
    expect(peer.of('hangUp')).toEqual([]);
    peer.advance(5.2);
    expect(peer.of('hangUp').length).toBeGreaterThan(0);
    expect(peer.session.endReason).toBe('lost');
  });

  it('a client that stops pinging is told and dropped, though it goes on sending audio', () => {
    const peer = new Peer().opened();
    for (let second = 0; second < 29; second++) {
      peer.frame(16_000);
      expect(peer.advance(1)).toEqual([]);
    }
    expect(types(peer.sendMessage('ping'))).toEqual(['pong']);
    expect(peer.advance(29)).toEqual([]);
    expect(types(peer.advance(2))).toEqual(['disconnect']);
    expect(peer.of('faulted')).toEqual([{ kind: 'faulted', fault: 'timeout' }]);
    // What was held up on the way is recorded, up to its close; a client that does not close is dropped.
    const before = peer.session.positionSamples;
    peer.frame(1600);
    expect(peer.session.positionSamples).toBeGreaterThan(before);
    expect(peer.session.counts).toMatchObject({ framesIgnored: 0, faults: 1 });
    expect(peer.of('hangUp')).toEqual([]);
    peer.advance(6);
    expect(peer.of('hangUp').length).toBeGreaterThan(0);
    expect(types(peer.sendMessage('close', { reason: 'disconnect' }))).toEqual(['closed']);
    expect(peer.session.endReason).toBe('lost');
  });

  it('time in which the server did not run does not count against a client', () => {
    const peer = new Peer().opened();
    peer.session.extendTimers(25e6, peer.nowUs);
    expect(peer.advance(29)).toEqual([]);
    peer.session.extendTimers(25e6, peer.nowUs);
    expect(peer.advance(24)).toEqual([]);
    expect(types(peer.advance(6))).toEqual(['disconnect']);
  });

  it('a connection that breaks ends as lost, whatever was queued', () => {
    const peer = new Peer().opened();
    peer.session.transportClosed(peer.nowUs);
    expect(peer.session.endReason).toBe('lost');
    expect(peer.advance(60)).toEqual([]);
  });
});

describe('every state and every message', () => {
  const reach: Record<SessionState, () => Peer> = {
    CONNECTED: () => new Peer(),
    OPENING: () => {
      const peer = new Peer({ decide: () => {} });
      peer.sendMessage('open', openParameters());
      return peer;
    },
    ACTIVE: () => new Peer().opened(),
    PAUSED: () => {
      const peer = new Peer().opened();
      peer.sendMessage('paused');
      return peer;
    },
    ENDING: () => {
      const peer = new Peer().opened();
      peer.session.disconnect('completed', undefined, peer.nowUs);
      return peer;
    },
    FAULTED: () => {
      const peer = new Peer().opened();
      peer.raw('}');
      return peer;
    },
    CLOSING: () => {
      const peer = new Peer({ slowFinish: true }).opened();
      peer.sendMessage('close', { reason: 'end' });
      return peer;
    },
    CLOSED: () => {
      const peer = new Peer().opened();
      peer.sendMessage('close', { reason: 'end' });
      return peer;
    },
  };
  const live = { ping: ['pong'], update: ['updated'], close: ['closed'] };
  const early = { ping: ['pong'], close: ['closed'], binary: ['disconnect'] };
  /** What is answered; everything that is not listed is tolerated in silence. */
  const answers: Record<SessionState, Record<string, string[]>> = {
    CONNECTED: { ...early, open: ['opened'] },
    OPENING: early,
    ACTIVE: live,
    PAUSED: live,
    ENDING: live,
    FAULTED: { ping: ['pong'], close: ['closed'] },
    CLOSING: { ping: ['pong'] },
    CLOSED: {},
  };
  const states = Object.keys(answers) as SessionState[];
  const arrivals = [...CLIENT_MESSAGE_TYPES, 'unknown', 'binary'] as const;
  const pairs = states.flatMap((state) => arrivals.map((arrival) => [state, arrival] as const));

  it.each(pairs)('%s × %s', (state, arrival) => {
    const peer = reach[state]();
    expect(peer.session.state).toBe(state);
    const before = peer.sent.length;
    if (arrival === 'binary') peer.frame(320);
    else peer.sendMessage(arrival === 'unknown' ? 'telepathy' : arrival, PARAMETERS[arrival] ?? {});
    expect(types(peer.sent.slice(before))).toEqual(answers[state][arrival] ?? []);
    expect(peer.sent.map((message) => message.seq)).toEqual(peer.sent.map((_, i) => i + 1));
  });
});
