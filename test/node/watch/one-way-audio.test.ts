import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/core/clock.js';
import type { Channel } from '../../../src/core/events.js';
import { US_PER_MS } from '../../../src/core/units.js';
import { OneWayAudioWatch, oneWayEntry } from '../../../src/node/watch/one-way-audio.js';
import { frameView, streamInfo } from '../../support/frames.js';

/** What a channel sends: the peak of its frames and whether they are speech. */
const SPEECH = { peak: 9_000, isSilent: false };
const NOISE = { peak: 60, isSilent: true };
const ZEROS = { peak: 0, isSilent: true };
const A_LAW_ZEROS = { peak: 8, isSilent: true };
type Sound = typeof SPEECH | undefined;

/** A call in virtual time, watched with a threshold of ten seconds. */
class Call {
  readonly events: string[] = [];
  readonly clock = new ManualClock(1_000_000);
  readonly info = streamInfo({ channels: 2, stream: 3 });
  readonly watch: OneWayAudioWatch;
  isPaused = false;
  #ms = 0;

  constructor(channels: 1 | 2 = 2, afterSeconds = 10) {
    this.watch = new OneWayAudioWatch(4, {
      clock: this.clock,
      afterSeconds,
      isPaused: () => this.isPaused,
      onBegin: ({ channel, cause }) => this.events.push(`${this.#ms / 1000} s: channel ${channel} ${cause}`),
      onEnd: ({ channel, cause, reason }) =>
        this.events.push(`${this.#ms / 1000} s: channel ${channel} no longer ${cause}: ${reason}`),
    });
    this.watch.look(this.clock.nowUs());
    this.watch.streamOpened({ ...this.info, channels });
  }

  /** Undefined: no packets. `concealed`: what is made up in place of lost ones. */
  run(seconds: number, customer: Sound, agent: Sound, concealed = false): void {
    for (let i = 0; i < seconds * 50; i++) {
      this.clock.advanceUs(20 * US_PER_MS);
      this.#ms += 20;
      for (const [channel, sound] of [customer, agent].entries()) {
        if (sound === undefined) continue;
        const deliveredUs = this.clock.nowUs();
        this.watch.frame(frameView({ info: this.info, channel: channel as Channel, deliveredUs, concealed, ...sound }));
      }
      if (this.#ms % 1000 === 0) this.watch.look(this.clock.nowUs());
    }
  }
}

describe('one-way audio', () => {
  it('is none while both sides have a signal, no matter who speaks', () => {
    const call = new Call();
    call.run(60, SPEECH, NOISE);
    call.run(60, NOISE, SPEECH);
    call.run(60, NOISE, NOISE);
    expect(call.events).toEqual([]);
    expect(call.watch.occurrences).toBe(0);
  });

  it('is reported once when a channel gets no packets, and its end once', () => {
    const call = new Call();
    call.run(5, SPEECH, SPEECH);
    call.run(60, SPEECH, undefined);
    call.run(5, SPEECH, NOISE);
    expect(call.events).toEqual(['15 s: channel 1 noPackets', '66 s: channel 1 no longer noPackets: signal']);
  });

  it('is reported from the beginning of a call, of digital silence, for µ-law and A-law', () => {
    for (const zeros of [ZEROS, A_LAW_ZEROS]) {
      const call = new Call();
      call.run(30, zeros, SPEECH);
      expect(call.events).toEqual(['10 s: channel 0 digitalSilence']);
    }
  });

  it('is another one after a recovery', () => {
    const call = new Call();
    for (let i = 0; i < 3; i++) {
      call.run(20, undefined, SPEECH);
      call.run(2, NOISE, SPEECH);
    }
    expect(call.events).toHaveLength(6);
    expect([call.watch.occurrences, call.watch.current]).toEqual([3, 0]);
  });

  it('ends with its stream, once', () => {
    const call = new Call();
    call.run(20, SPEECH, ZEROS);
    expect(call.watch.current).toBe(1);
    call.watch.streamEnded(call.info);
    call.watch.streamEnded(call.info);
    call.watch.look(call.clock.nowUs());
    expect(call.events).toEqual([
      '10 s: channel 1 digitalSilence',
      '20 s: channel 1 no longer digitalSilence: streamEnded',
    ]);
    expect([call.watch.occurrences, call.watch.current]).toEqual([1, 0]);
  });

  it('counts only the time in which the other side speaks', () => {
    const call = new Call();
    // On hold, both are quiet.
    call.run(120, NOISE, undefined);
    expect(call.events).toEqual([]);
    // It rings: a second of tone in five, for forty seconds.
    for (let i = 0; i < 8; i++) {
      call.run(1, ZEROS, SPEECH);
      call.run(4, ZEROS, ZEROS);
    }
    expect(call.events).toEqual([]);
  });

  it('takes what was made up for lost packets for no signal', () => {
    const call = new Call();
    call.run(2, SPEECH, SPEECH);
    for (let i = 0; i < 24; i++) {
      call.run(0.5, undefined, NOISE, true);
      call.run(0.5, undefined, SPEECH);
    }
    expect(call.events).toEqual(['22 s: channel 0 noPackets']);
  });

  it('is not looked for while a call is paused, in calls with one channel, after their end, and when it is off', () => {
    const paused = new Call();
    paused.run(8, SPEECH, undefined);
    paused.isPaused = true;
    paused.run(60, SPEECH, undefined);
    paused.isPaused = false;
    paused.run(8, SPEECH, undefined);
    const mono = new Call(1);
    mono.run(60, SPEECH, undefined);
    const off = new Call(2, 0);
    off.run(60, SPEECH, undefined);
    const ended = new Call();
    ended.watch.streamEnded(ended.info);
    ended.run(60, SPEECH, undefined);
    for (const call of [paused, mono, off, ended]) expect(call.events).toEqual([]);
    expect(mono.watch.takesFramesOf({ ...mono.info, channels: 1 })).toBe(false);
    expect(off.watch.takesFramesOf(off.info)).toBe(false);
  });

  it('is an entry of the audit, with the channel and the cause', () => {
    const event = { info: streamInfo({ interactionId: 'call-1' }), channel: 1, cause: 'noPackets' } as const;
    expect(oneWayEntry(event)).toEqual({
      ...{ source: 'node', action: 'one_way_audio', interactionId: 'call-1' },
      fields: { channel: 1, reason: 'noPackets' },
    });
    expect(oneWayEntry({ ...event, reason: 'streamEnded' })).toMatchObject({
      action: 'one_way_audio_ended',
      fields: { channel: 1, reason: 'streamEnded' },
    });
  });
});
