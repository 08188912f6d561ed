import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/core/clock.js';
import { ListenStream } from '../../../src/sinks/monitor/listen-stream.js';
import { frameView, streamInfo } from '../../support/frames.js';

const ramp = (from: number, count: number) => Int16Array.from({ length: count }, (_, i) => ((from + i) % 32_000) + 1);

/** `silence 160` and `8000–8160`, for samples that count up from 8001. */
function runsOf(samples: Int16Array): string[] {
  const runs: string[] = [];
  for (let at = 0; at < samples.length; ) {
    const from = at;
    const first = samples[at] as number;
    if (first === 0) while (samples[at] === 0) at++;
    else while (at < samples.length && samples[at] === ((first - 1 + at - from) % 32_000) + 1) at++;
    runs.push(first === 0 ? `silence ${at - from}` : `${first - 1}–${first - 1 + at - from}`);
  }
  return runs;
}

/** A call at 8 kHz whose frames of 20 ms arrive by a clock that the test moves. */
class LiveCall {
  readonly clock = new ManualClock();
  readonly info;
  readonly stream: ListenStream;

  constructor(channels: 1 | 2 = 1) {
    this.info = streamInfo({ channels });
    this.stream = new ListenStream(this.info, { clock: this.clock });
  }

  /** Lets time pass, as the timer of the node sees it. */
  wait(ms: number): void {
    for (let passed = 0; passed < ms; passed += 20) {
      this.clock.advanceUs(20_000);
      this.stream.keepPace(this.clock.nowUs());
    }
  }

  frame(positionSamples: number, pcm = ramp(positionSamples, 160), channel: 0 | 1 = 0): void {
    this.stream.frame(frameView({ info: this.info, channel, positionSamples, pcm }));
  }

  /** Frames in time, from a position on. */
  play(from: number, frames: number): void {
    for (let n = 0; n < frames; n++) {
      this.frame(from + n * 160);
      this.wait(20);
    }
  }

  samples(): Int16Array {
    const bytes: Buffer = this.stream.read() ?? Buffer.alloc(0);
    return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }

  /** What has been put out since the last reading, as runs of silence and of a ramp. */
  runs(): string[] {
    return runsOf(this.samples());
  }
}

describe('a listener in real time', () => {
  it('has silence from the start, before the first packet, and through a pause, as long as it lasts', () => {
    const call = new LiveCall();
    call.wait(1000);
    expect(call.runs()).toEqual(['silence 8000']);
    call.play(0, 50);
    expect(call.runs()).toEqual(['0–8000']);
    call.wait(60_000);
    expect(call.runs()).toEqual(['silence 480000']);
    // On the time line the pause took 20 ms longer than by the clock.
    call.play(488_160, 50);
    expect(call.runs()).toEqual(['silence 160', '8160–16160']);
  });

  it('has every sample of packets that arrive unevenly, and no silence among them', () => {
    const call = new LiveCall();
    for (let burst = 0; burst < 40; burst++) {
      for (let n = 0; n < 5; n++) call.frame((burst * 5 + n) * 160);
      call.wait(100);
    }
    expect(call.runs()).toEqual(['0–32000']);
  });

  it('puts no silence in after a stall of the process, because packets that have arrived are read first', () => {
    const call = new LiveCall();
    call.play(0, 10);
    // Only one call of the timer between the packets, however long it took.
    call.frame(1600);
    call.clock.advanceUs(400_000);
    call.stream.keepPace(call.clock.nowUs());
    for (let n = 11; n < 30; n++) call.frame(n * 160);
    expect(call.runs()).toEqual(['0–4800']);
  });

  it('puts out in full what was 160 ms late, stays late by that, and makes up for it in the next gap', () => {
    const call = new LiveCall();
    call.play(0, 50);
    call.wait(160);
    expect(call.runs()).toEqual(['0–8000', 'silence 1280']);
    for (let n = 50; n < 58; n++) call.frame(n * 160);
    call.play(58 * 160, 42);
    expect(call.runs()).toEqual(['8000–16000']);
    // 500 ms without audio, of which 340 are silence: the delay is over.
    call.wait(500);
    call.play(20_000, 1);
    expect(call.runs()).toEqual(['silence 2720', '20000–20160']);
  });

  it('is never late by more than 200 ms: audio that is further behind is left out', () => {
    const call = new LiveCall();
    call.play(0, 50);
    call.wait(1000);
    expect(call.runs()).toEqual(['0–8000', 'silence 8000']);
    for (let n = 50; n < 100; n++) call.frame(n * 160);
    call.play(16_000, 50);
    expect(call.runs()).toEqual(['14400–24000']);
  });

  it('is not put behind by a time line that jumps ahead without time having passed', () => {
    const call = new LiveCall();
    call.play(0, 50);
    call.play(28_000, 1);
    // 100 ms more than the time that has passed.
    expect(call.runs()).toEqual(['0–8000', 'silence 800', '28000–28160']);
  });

  it('keeps both channels aligned through a pause', () => {
    const call = new LiveCall(2);
    for (let n = 0; n < 10; n++) {
      call.frame(n * 160, ramp(n * 160, 160), 0);
      call.frame(n * 160, ramp(n * 160, 160), 1);
      call.wait(20);
    }
    const sides = (samples: Int16Array) => [0, 1].map((side) => runsOf(samples.filter((_, i) => i % 2 === side)));
    expect(sides(call.samples())).toEqual([['0–1600'], ['0–1600']]);
    call.wait(2000);
    expect(sides(call.samples())).toEqual([['silence 16000'], ['silence 16000']]);
    // The internal channel goes on first, and 20 ms further on.
    call.frame(17_760, ramp(17_760, 160), 1);
    call.frame(17_600, ramp(17_600, 160), 0);
    call.frame(17_760, ramp(17_760, 160), 0);
    expect(sides(call.samples())).toEqual([['17600–17920'], ['silence 160', '17760–17920']]);
  });

  it('puts out what it has of one channel before it goes on with silence', () => {
    const call = new LiveCall(2);
    call.frame(0, ramp(0, 1600), 0);
    expect(call.runs()).toEqual([]);
    call.wait(400);
    const [audio, silence, ...rest] = runsOf(call.samples().filter((_, i) => i % 2 === 0));
    expect([audio, rest]).toEqual(['0–1600', []]);
    expect(silence).toMatch(/^silence/);
  });
});
