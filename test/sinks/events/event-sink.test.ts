import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { StreamSummary } from '../../../src/core/events.js';
import type { MediaChunk } from '../../../src/core/media/media-chunk.js';
import { EventSink, type NodeEvents } from '../../../src/sinks/events/event-sink.js';
import { frameView, streamInfo } from '../../support/frames.js';

const info = streamInfo();

function rig() {
  const node = new EventEmitter<NodeEvents>();
  const sink = new EventSink(node, {});
  const frame = (k: number, isSilent = false) =>
    sink.frame(
      frameView({
        ...{ info, sequenceNumber: k, positionSamples: k * 160, isSilent },
        ...(isSilent ? {} : { pcm: new Int16Array(160).fill(k) }),
      }),
    );
  const preRoll = (k: number, speech: number) => {
    const pcm = new Int16Array(160).fill(k);
    sink.preRoll(frameView({ info, sequenceNumber: k, positionSamples: k * 160, isSilent: true, pcm }), speech * 160);
  };
  return { node, sink, frame, preRoll };
}

const numbers = (chunks: readonly MediaChunk[]): number[] => chunks.map(({ metadata }) => metadata.sequenceNumber);

describe('EventSink', () => {
  it('gives the chunks of a batch at once, the same ones as one by one', () => {
    const { node, sink, frame, preRoll } = rig();
    const single: MediaChunk[] = [];
    const batches: (readonly MediaChunk[])[] = [];
    node.on('mediaChunk', (chunk) => single.push(chunk));
    node.on('chunks', (chunks) => batches.push(chunks));
    sink.refresh();
    frame(0);
    frame(1, true);
    sink.batchEnd();
    preRoll(1, 2);
    frame(2);
    frame(3);
    sink.batchEnd();
    sink.batchEnd();
    expect(batches.map(numbers)).toEqual([[0], [1, 2, 3]]);
    expect(batches.flat()).toEqual(single);
    expect(single.map(({ roll }) => roll)).toEqual([undefined, 'pre', undefined, undefined]);
    expect(single.map(({ payload }) => payload.readInt16LE(0))).toEqual([0, 1, 2, 3]);
  });

  it('gives a batch before the end of its streams', () => {
    const { node, sink, frame } = rig();
    const told: string[] = [];
    node.on('chunks', (chunks) => told.push(`chunks ${numbers(chunks)}`));
    node.on('streamEnded', () => told.push('ended'));
    sink.refresh();
    frame(0);
    frame(1);
    sink.streamEnded(info, {} as StreamSummary);
    sink.batchEnd();
    expect(told).toEqual(['chunks 0,1', 'ended']);
  });

  it('gives every chunk the same fields in the same order', () => {
    const { node, sink, frame, preRoll } = rig();
    const fields = new Set<string>();
    node.on('mediaChunk', (chunk) => fields.add(Object.keys(chunk).join()));
    sink.refresh();
    preRoll(0, 1);
    frame(1);
    expect([...fields]).toEqual(['payload,metadata,isSilent,roll,processedAt']);
  });

  it('asks for samples and silence before speech only while somebody takes chunks', () => {
    const { node, sink, frame } = rig();
    const wanted = () => {
      sink.refresh();
      return [sink.pcmSelection(), sink.pcmRoll()];
    };
    expect(wanted()).toEqual(['none', undefined]);
    for (const name of ['mediaChunk', 'chunks'] as const) {
      const listener = () => {};
      node.on(name, listener);
      expect(wanted()).toEqual(['speech', { preRollMs: 200, postRollMs: 0 }]);
      node.off(name, listener);
      expect(wanted()).toEqual(['none', undefined]);
    }
    frame(0);
    sink.batchEnd();
  });
});
