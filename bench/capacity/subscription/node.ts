import { CaptureNode } from '../../../src/node/capture-node.js';
import { MEDIA_PATH } from '../../../src/simulator/genesys/server.js';
import { benchControl } from '../bench-control.js';
import { interactionIds, type Load } from '../load/plan.js';
import { type FramePlaces, NodeSubject } from '../node-subject.js';
import type { SubjectSettings } from '../processes/messages.js';
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

/**
 * A capture node as people run it: events, audit of spans, metrics; recordings when asked for. Somebody listens for
 * mediaChunk and looks at the sound, since an event without a listener is never made.
 */
class CaptureSubject extends NodeSubject<CaptureNode> {
  #loudest = 0;

  async start(): Promise<undefined> {
    this.node.on('mediaChunk', ({ payload }) => {
      this.#loudest = Math.max(this.#loudest, payload.readInt16LE(0));
    });
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
  const { load, out, record, native } = settings;
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
    native,
    services: benchControl(settings),
  });
  return new CaptureSubject(node, load, placesOf(load));
}
