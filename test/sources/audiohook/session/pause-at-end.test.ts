import { describe, expect, it } from 'vitest';
import { MONO, NULL_ID, openParameters, Peer } from '../../../support/audiohook/peer.js';

/** 200 ms of audio, as the client counts it. */
function opened(options: ConstructorParameters<typeof Peer>[0] = {}): Peer {
  const peer = new Peer(options).opened({ media: [MONO] });
  peer.frame(1_600);
  peer.positionSamples = 1_600;
  return peer;
}

const paused = (at: number, length: number) => [{ kind: 'mark', state: 'paused', at, length }];

describe('a pause that is active when the session ends', () => {
  it('of the client is marked up to the position in its close', () => {
    const peer = opened();
    peer.sendMessage('paused');
    peer.advance(3);
    peer.positionSamples = 25_600;
    peer.sendMessage('close', { reason: 'end' });
    expect(peer.of('mark')).toEqual(paused(1_600, 24_000));
    expect(peer.session.positionSamples).toBe(25_600);
    expect(peer.session.counts.pausedUnsentSamples).toBe(24_000);
  });

  it('of ours is marked as well, whether the client answered it or only stopped sending', () => {
    for (const answers of [true, false]) {
      const peer = opened();
      peer.session.pause(peer.nowUs);
      if (answers) peer.sendMessage('paused');
      peer.advance(3);
      peer.positionSamples = 25_600;
      peer.sendMessage('close', { reason: 'end' });
      expect(peer.of('mark')).toEqual(paused(1_600, 24_000));
    }
  });

  it('is measured by the clock when the client does not count it, or the connection is lost', () => {
    const ends: ((peer: Peer) => void)[] = [
      (peer) => peer.sendMessage('close', { reason: 'end' }),
      (peer) => peer.session.transportClosed(peer.nowUs),
      (peer) => peer.raw('{'),
    ];
    for (const end of ends) {
      const peer = opened();
      peer.sendMessage('paused');
      peer.advance(3);
      end(peer);
      peer.session.transportClosed(peer.nowUs);
      expect(peer.of('mark')).toEqual(paused(1_600, 24_000));
    }
  });

  it('is measured by the clock when the position is beyond what the clock allows', () => {
    const peer = opened();
    peer.sendMessage('paused');
    peer.advance(3);
    peer.sendMessage('close', { reason: 'end' }, { position: 'PT100000S' });
    expect(peer.of('mark')).toEqual(paused(1_600, 24_000));
  });

  it('counts a session that began paused and was never resumed', () => {
    const peer = new Peer({ accept: { startPaused: true } });
    peer.sendMessage('open', openParameters({ media: [MONO] }));
    peer.advance(2);
    peer.positionSamples = 16_000;
    peer.sendMessage('close', { reason: 'end' });
    expect(peer.of('mark')).toEqual(paused(0, 16_000));
  });

  it('adds nothing to what the client went on to send into our pause', () => {
    const peer = opened();
    peer.session.pause(peer.nowUs);
    for (let i = 0; i < 5; i++) {
      peer.advance(0.2);
      peer.frame(1_600);
    }
    peer.positionSamples = 9_600;
    peer.advance(0.1);
    peer.sendMessage('close', { reason: 'end' });
    expect(peer.session.positionSamples).toBe(9_600);
    expect(peer.session.counts).toMatchObject({ samplesPaused: 8_000, pausedUnsentSamples: 0 });
  });

  it('is not marked twice, nor in a probe, nor after resumed', () => {
    const twice = opened();
    twice.sendMessage('paused');
    twice.advance(1);
    twice.sendMessage('close', { reason: 'end' });
    twice.advance(1);
    twice.session.transportClosed(twice.nowUs);
    expect(twice.of('mark')).toEqual(paused(1_600, 8_000));

    const probe = new Peer().opened({ conversationId: NULL_ID, participant: { id: NULL_ID } });
    probe.sendMessage('paused');
    probe.advance(1);
    probe.sendMessage('close', { reason: 'end' });
    expect(probe.of('mark')).toEqual([]);

    const over = opened();
    over.sendMessage('paused');
    over.advance(1);
    over.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT1S' });
    over.advance(1);
    over.sendMessage('close', { reason: 'end' });
    expect(over.of('mark')).toEqual(paused(1_600, 8_000));
  });
});

describe('pauses', () => {
  it('are reported as they begin and end, by whom', () => {
    const peer = opened();
    peer.sendMessage('paused');
    peer.session.pause(peer.nowUs);
    peer.session.pause(peer.nowUs);
    peer.sendMessage('resumed', { start: 'PT0.2S', discarded: 'PT1S' });
    peer.session.resume(peer.nowUs);
    peer.session.resume(peer.nowUs);
    expect(peer.of('pauseChanged').map(({ by, paused: on }) => [by, on])).toEqual([
      ['client', true],
      ['server', true],
      ['client', false],
      ['server', false],
    ]);
  });
});
