import { describe, expect, it } from 'vitest';
import { durationSamples, durationSeconds } from '../../../../src/sources/audiohook/protocol/duration.js';
import { CONVERSATION_ID, openParameters, PARTICIPANT_ID, Peer, types } from '../../../support/audiohook/peer.js';

const participant = { id: PARTICIPANT_ID, ani: '+1', aniName: 'A', dnis: '+2' };

describe('fields that decide nothing may have any value', () => {
  it.each<[string, object]>([
    ['ani null', { participant: { ...participant, ani: null } }],
    ['ani a number', { participant: { ...participant, ani: 15_550_100 } }],
    ['aniName an object', { participant: { ...participant, aniName: {} } }],
    ['dnis false', { participant: { ...participant, dnis: false } }],
    ['language null', { language: null }],
    ['language a list', { language: ['en-US'] }],
    ['language far too long', { language: 'x'.repeat(5_000) }],
    ['supportedLanguages null', { supportedLanguages: null }],
    ['continuedSessions null', { continuedSessions: null }],
    ['continuedSessions with numbers as text', { continuedSessions: [{ id: CONVERSATION_ID, serverseq: '1' }] }],
    ['customConfig and inputVariables null', { customConfig: null, inputVariables: null }],
  ])('open with %s', (_name, extra) => {
    const peer = new Peer();
    expect(types(peer.sendMessage('open', openParameters(extra)))).toEqual(['opened']);
    expect(peer.session.counts.faults).toBe(0);
  });

  it.each<[string, object]>([
    ['update', {}],
    ['update', { language: null }],
    ['update', { language: 7 }],
    ['ping', { rtt: null }],
    ['error', { code: null, message: null, retryAfter: null }],
    ['close', { reason: null }],
    ['dtmf', { digit: null }],
  ])('%s with %j', (type, parameters) => {
    const peer = new Peer().opened({ language: 'en-US' });
    expect(types(peer.sendMessage(type, parameters))).not.toContain('disconnect');
    expect(peer.session.counts.faults).toBe(0);
    expect(peer.session.language).toBe('en-US');
  });

  it.each([undefined, null, 0, 'soon', 'PT1M'])('start %s of a discard, whose length counts', (start) => {
    const peer = new Peer().opened();
    peer.sendMessage('discarded', { start, discarded: 'PT1S' });
    expect(peer.of('mark')).toEqual([{ kind: 'mark', state: 'discarded', at: 0, length: 8_000 }]);
    expect(peer.session.counts).toMatchObject({ faults: 0, startInvalid: 1, startAhead: 0, startBehind: 0 });
  });
});

describe('what decides something is still checked', () => {
  it.each<[string, object]>([
    ['a participant id of null', { participant: { ...participant, id: null } }],
    ['a continued session without an id', { continuedSessions: [{ id: null }] }],
    ['media null', { media: null }],
    ['another organization', { organizationId: CONVERSATION_ID }],
  ])('open with %s', (_name, extra) => {
    expect(types(new Peer().sendMessage('open', openParameters(extra)))).toEqual(['disconnect']);
  });

  it.each([null, undefined, 1, 'PT-1S', 'PT1M', 'PT1e999S'])('discarded %s', (discarded) => {
    const peer = new Peer().opened();
    expect(types(peer.sendMessage('discarded', { start: 'PT0S', discarded }))).toEqual(['disconnect']);
  });
});

describe('durations as floating-point clients print them', () => {
  it('every value that adding 0.02 makes is read to the sample', () => {
    const peer = new Peer().opened();
    let seconds = 0;
    let long = 0;
    for (let i = 1; i <= 500; i++) {
      seconds += 0.02;
      const text = `PT${seconds}S`;
      if (text.length > 'PT0.'.length + 16) long += 1;
      expect([text, durationSamples(text, 8_000)]).toEqual([text, i * 160]);
      expect(types(peer.sendMessage('ping', {}, { position: text }))).toEqual(['pong']);
    }
    expect(long).toBeGreaterThan(100);
  });

  it.each([
    ['PT0.30000000000000004S', 0.3],
    ['PT2E-7S', 2e-7],
    ['PT1.25e1S', 12.5],
    ['PT1e+2S', 100],
    ['PT.5S', 0.5],
    ['PT3.S', 3],
  ])('%s', (text, seconds) => {
    expect(durationSeconds(text)).toBeCloseTo(seconds, 12);
  });

  it.each(['PT1e13S', 'PT1e999S', 'PTe5S', 'PT1eS', 'PT1e1.5S', 'PTInfinityS', 'PTNaNS', 'PT-1S', '1S', 'PT1e5', ''])(
    '%s is none',
    (text) => {
      expect(durationSeconds(text)).toBe(-1);
    },
  );
});
