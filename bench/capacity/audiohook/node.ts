import { AudioHookNode } from '../../../src/node/audiohook-node.js';
import { RECIPIENT } from '../../recipient.js';
import { benchControl } from '../bench-control.js';
import type { Load } from '../load/plan.js';
import { type FramePlaces, NodeSubject } from '../node-subject.js';
import type { SubjectSettings } from '../processes/messages.js';
import type { Subject } from '../roles.js';
import { CHANNELS, HOOK_KEY, samplesPerTick } from './plan.js';

/** Each channel comes apart, in packets of the engine's choice: where the samples lie tells which message had them. */
function placesOf({ tickUs }: Load): FramePlaces {
  const samples = samplesPerTick(tickUs);
  return {
    tick: (_, frame) => Math.ceil((frame.positionSamples + frame.sampleCount) / samples) - 1,
    share: (frame) => frame.sampleCount / (samples * CHANNELS),
    enginePackets: CHANNELS,
  };
}

/** The node as `trunkline serve` runs it: silence detection, audit, metrics; recordings when asked for. */
class AudioHookSubject extends NodeSubject<AudioHookNode> {
  async start(): Promise<string> {
    await this.node.start();
    return this.node.url;
  }

  stop(): Promise<void> {
    return this.node.stop();
  }

  protected sourceLosses(): Record<string, number> {
    const { slowReaders, internalErrors, rejected, totals } = this.node.status().counters;
    const refused = Object.values(rejected).reduce((sum, count) => sum + count, 0);
    const { faults, clientErrors, strayMessages, framesIgnored, samplesPaused } = totals;
    return {
      slowReaders,
      internalErrors,
      refused,
      faults,
      clientErrors,
      strayMessages,
      framesIgnored,
      samplesPaused,
    };
  }
}

export function makeAudioHookNode(settings: SubjectSettings): Subject {
  const { load, out, record, encrypt, native } = settings;
  const node = new AudioHookNode({
    server: { port: 0, host: '127.0.0.1', keys: [HOOK_KEY] },
    maxStreams: load.streams,
    out,
    record,
    encryptTo: encrypt ? [RECIPIENT] : [],
    native,
    services: benchControl(settings),
  });
  return new AudioHookSubject(node, load, placesOf(load));
}
