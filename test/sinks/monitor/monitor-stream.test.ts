import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { MonitorStream } from '../../../src/sinks/monitor/monitor-stream.js';
import { frameView, streamInfo } from '../../support/frames.js';

const pcm = Int16Array.of(1, -2, 3, -32768);

async function lines(monitor: MonitorStream, feed: () => void): Promise<Record<string, unknown>[]> {
  const read: Record<string, unknown>[] = [];
  const reader = createInterface({ input: monitor });
  reader.on('line', (line) => read.push(JSON.parse(line)));
  await new Promise(setImmediate);
  feed();
  monitor.push(null);
  await once(reader, 'close');
  return read;
}

describe('lines', () => {
  it('describe each frame with speech', async () => {
    const monitor = new MonitorStream();
    const read = await lines(monitor, () => {
      monitor.frame(frameView({ pcm, sequenceNumber: 7, timestamp: 1120, positionSamples: 160, meanSquare: 0.01 }));
      monitor.frame(frameView({ isSilent: true, meanSquare: 0 }));
    });
    expect(read).toEqual([
      {
        type: 'monitor',
        interactionId: streamInfo().interactionId,
        channel: 0,
        sequenceNumber: 7,
        timestamp: 1120,
        positionMs: 20,
        sampleRate: 8000,
        isSilent: false,
        concealed: false,
        levelDbfs: -20,
        payload: Buffer.from(pcm.buffer).toString('base64'),
      },
    ]);
  });

  it('describe silent frames too, or no payload, or one interaction only, on request', async () => {
    const other = streamInfo({ stream: 1, interactionId: 'other' });
    const monitor = new MonitorStream({ includeSilent: true, payload: false, interactionId: 'other' });
    const read = await lines(monitor, () => {
      monitor.frame(frameView({ pcm }));
      monitor.frame(frameView({ info: other, isSilent: true, meanSquare: 0, pcm }));
    });
    expect(read).toMatchObject([{ interactionId: 'other', isSilent: true, levelDbfs: -120 }]);
    expect(read[0]).not.toHaveProperty('payload');
  });
});

describe('what it asks of the engine', () => {
  it.each([
    [{}, 'speech'],
    [{ includeSilent: true }, 'all'],
    [{ payload: false }, 'none'],
    [{ interactionId: 'other' }, 'none'],
    [{ interactionId: streamInfo().interactionId }, 'speech'],
  ] as const)('with %j samples of %s', (options, selection) => {
    expect(new MonitorStream(options).pcmSelection(streamInfo())).toBe(selection);
  });

  it('is nothing once it is ended or destroyed', () => {
    const ended = new MonitorStream();
    ended.push(null);
    const destroyed = new MonitorStream().destroy();
    for (const monitor of [ended, destroyed]) {
      expect(monitor.pcmSelection(streamInfo())).toBe('none');
      expect(monitor.active).toBe(false);
      monitor.frame(frameView({ pcm }));
    }
  });
});

describe('a reader', () => {
  it('that has not come yet costs nothing and misses nothing that is counted', () => {
    const monitor = new MonitorStream();
    expect(monitor.active).toBe(false);
    const untouchable = {
      ...frameView(),
      copyPcmBytes: () => expect.fail('samples were copied although no reader wants them'),
    };
    monitor.frame(untouchable);
    expect([monitor.readableLength, monitor.droppedFrames]).toEqual([0, 0]);
  });

  it('that is slow loses whole frames, counted, and memory stays within the bound', async () => {
    const bufferBytes = 10_000;
    const monitor = new MonitorStream({ bufferBytes });
    monitor.once('readable', () => {});
    await new Promise(setImmediate);
    for (let n = 0; n < 1000; n++) {
      monitor.frame(frameView({ pcm, sequenceNumber: n }));
      expect(monitor.readableLength).toBeLessThanOrEqual(bufferBytes);
    }
    const first = String(monitor.read()).trim().split('\n');
    expect(first.map((line) => JSON.parse(line).sequenceNumber)).toEqual(first.map((_, n) => n));
    expect(first.length + monitor.droppedFrames).toBe(1000);
    monitor.frame(frameView({ pcm, sequenceNumber: 1000 }));
    expect(JSON.parse(String(monitor.read())).sequenceNumber).toBe(1000);
  });
});
