import type { MediaChunk } from '../../../src/core/media/media-chunk.js';
import { CaptureNode } from '../../../src/node/capture-node.js';
import { MEDIA_PATH } from '../../../src/simulator/genesys/server.js';
import { RECIPIENT } from '../../recipient.js';
import { benchControl } from '../bench-control.js';
import { interactionIds, type Load } from '../load/plan.js';
import { type FramePlaces, NodeSubject } from '../node-subject.js';
import type { Consumer, SubjectSettings } from '../processes/messages.js';
import type { Subject } from '../roles.js';
import { OPUS_SAMPLE_RATE, TickReader } from './plan.js';

/** A packet is a frame, and its number tells its tick. */
function placesOf({ streams }: Load): FramePlaces {
  const reader = new TickReader(streams);
  return {
    tick: (index, frame) => reader.tick(index, frame.sequenceNumber),
    share: () => 1,
    enginePackets: 1,
  };
}

/** The longest frame of Opus, 120 ms, at its highest rate. */
const MOST_SAMPLES = 5_760;

/** Takes the audio, and looks at one sample of each frame, as a stand-in for what a consumer does with it. */
function consume(node: CaptureNode, consumer: Consumer): void {
  let loudest = 0;
  const look = ({ payload }: MediaChunk): void => {
    loudest = Math.max(loudest, payload.readInt16LE(0));
  };
  switch (consumer) {
    case 'none':
      return;
    case 'views': {
      const samples = new Int16Array(MOST_SAMPLES);
      void node.addSink({
        pcmSelection: () => 'speech',
        frame: (frame) => {
          if (frame.copyPcmTo(samples) > 0) loudest = Math.max(loudest, samples[0] ?? 0);
        },
      });
      return;
    }
    case 'chunks':
      node.on('mediaChunk', look);
      return;
    case 'batches':
      node.on('chunks', (chunks) => {
        for (const chunk of chunks) look(chunk);
      });
  }
}

/** A capture node as people run it: events, audit of spans, metrics; recordings when asked for. */
class CaptureSubject extends NodeSubject<CaptureNode> {
  async start(): Promise<undefined> {
    await this.node.start();
  }

  stop(): Promise<void> {
    return this.node.stop();
  }

  protected sourceLosses(): Record<string, number> {
    const { messages: _messages, ...losses } = this.node.sourceCounters();
    return losses;
  }
}

export function makeCaptureNode(settings: SubjectSettings, peer: string): Subject {
  const { load, out, record, encrypt, native, consumer } = settings;
  const node = new CaptureNode({
    apiUrl: `http://${peer}`,
    mediaUrl: `ws://${peer}${MEDIA_PATH}`,
    clientId: 'bench',
    clientSecret: 'bench',
    interactions: interactionIds(load.streams),
    opusSampleRate: OPUS_SAMPLE_RATE,
    maxStreams: load.streams,
    out,
    record,
    encryptTo: encrypt ? [RECIPIENT] : [],
    native,
    services: benchControl(settings),
  });
  consume(node, consumer);
  return new CaptureSubject(node, load, placesOf(load));
}
