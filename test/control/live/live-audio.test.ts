import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AudioFormat, type AudioRequest } from '../../../src/control/live/audio-format.js';
import { type AudioOutput, type ListenEnd, LiveAudio } from '../../../src/control/live/live-audio.js';
import { ManualClock } from '../../../src/core/clock.js';
import { ListenStream } from '../../../src/sinks/monitor/listen-stream.js';
import { frameView, streamInfo } from '../../support/frames.js';
import { until } from '../../support/until.js';

const ramp = (from: number, count: number) => Int16Array.from({ length: count }, (_, i) => from + i + 1);

function samplesOf(...parts: Buffer[]): Int16Array {
  const bytes = Buffer.concat(parts);
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i));
}

describe('the format', () => {
  const stereo = streamInfo({ channels: 2 });
  const mono = streamInfo();
  const convert = (info: typeof mono, request: AudioRequest, ...samples: number[]) => {
    const format = new AudioFormat(info, request);
    return [
      format.channels,
      format.sampleRate,
      ...samplesOf(format.convert(Buffer.from(Int16Array.from(samples).buffer))),
    ];
  };

  it('is that of the stream without a request, byte for byte', () => {
    expect(convert(stereo, {}, 1, -2, 3, -4)).toEqual([2, 8000, 1, -2, 3, -4]);
    expect(convert(mono, { channels: 'mono', rate: 8000 }, 1, 2)).toEqual([1, 8000, 1, 2]);
  });

  it('mixes both sides at their own level, and clips only what exceeds full scale', () => {
    expect(convert(stereo, { channels: 'mono' }, 100, 20, -30_000, -30_000, 32_767, 1)).toEqual([
      ...[1, 8000, 120, -32_768, 32_767],
    ]);
  });

  it('gives one side to both ears', () => {
    expect(convert(mono, { channels: 'stereo' }, 5, -6)).toEqual([2, 8000, 5, 5, -6, -6]);
  });

  it('changes the rate after the channels', () => {
    const format = new AudioFormat(stereo, { channels: 'mono', rate: 16_000 });
    const out = format.convert(Buffer.from(new Int16Array(2 * 8_000).fill(1_000).buffer));
    expect(out.length / format.bytesPerSecond).toBeCloseTo(1, 1);
    expect(samplesOf(out).subarray(200, 8_000)).toEqual(new Int16Array(7_800).fill(2_000));
  });
});

/** A client whose socket takes as much as the test lets it take. */
class TestOutput implements AudioOutput {
  unsentBytes = 0;
  readonly written: (Buffer | string)[] = [];
  ended: ListenEnd | undefined;
  isDestroyed = false;

  write(pcm: Buffer): void {
    this.written.push(pcm);
    this.unsentBytes += pcm.length;
  }

  missed(milliseconds: number): void {
    this.written.push(`missed ${milliseconds} ms`);
  }

  end(reason: ListenEnd): void {
    this.ended = reason;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  get samples(): Int16Array {
    return samplesOf(...this.written.filter((one) => typeof one !== 'string'));
  }
}

describe('a client', () => {
  const info = streamInfo();
  const clock = new ManualClock();
  const output = () => new TestOutput();
  let stream: ListenStream;
  let audio: LiveAudio;

  function listen(to: TestOutput): void {
    stream = new ListenStream(info);
    audio = new LiveAudio(stream, new AudioFormat(info, {}), to, clock, { bufferMs: 2_000, stalledMs: 20_000 });
  }

  /** Frames of 20 ms; from the first one on they are in the output at the next turn. */
  async function play(from: number, frames: number): Promise<void> {
    for (let n = 0; n < frames; n++) {
      stream.frame(frameView({ info, positionSamples: from + n * 160, pcm: ramp((from + n * 160) % 30_000, 160) }));
    }
    await new Promise(setImmediate);
  }

  afterEach(() => audio.close());

  it('that is slow loses the oldest audio, is told how much, and goes on close to the call', async () => {
    const client = output();
    listen(client);
    // 200 ms go to the socket, 2 s wait, and the 2.8 s before them are dropped.
    await play(0, 250);
    expect(client.samples).toEqual(ramp(0, 1_600));
    client.unsentBytes = 0;
    await until(() => client.written.length > 11, 'more to be sent');
    expect(client.written[10]).toBe('missed 2800 ms');
    expect(samplesOf(client.written[11] as Buffer)).toEqual(ramp((250 - 100) * 160, 160));
    expect(audio.missedMs).toBe(2_800);
  });

  it('that takes nothing is cut off after the time for it, and costs no more than the bound until then', async () => {
    const client = output();
    listen(client);
    await play(0, 100);
    for (let second = 1; second < 20; second++) {
      clock.advanceUs(1_000_000);
      await play(16_000, 50);
      expect([client.isDestroyed, client.unsentBytes]).toEqual([false, 3_200]);
    }
    clock.advanceUs(1_100_000);
    await play(16_000, 1);
    await until(() => client.isDestroyed, 'the client to be cut off');
    expect([audio.endReason, stream.destroyed]).toEqual(['cut', true]);
  });

  it('that is slow has one timer, however many frames have come meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const client = output();
    listen(client);
    for (let n = 0; n < 20; n++) {
      await play(n * 1_600, 10);
      vi.advanceTimersByTime(100);
    }
    expect(client.unsentBytes).toBe(3_200);
    expect(vi.getTimerCount()).toBe(1);
  });

  it('has all that waits, and then the reason, when the interaction ends', async () => {
    const client = output();
    listen(client);
    await play(0, 50);
    stream.streamEnded(info, { endReason: 'ended' } as never);
    await until(() => client.ended !== undefined, 'the end');
    expect(client.ended).toBe('ended');
    expect(client.samples).toEqual(ramp(0, 8_000));
  });
});
