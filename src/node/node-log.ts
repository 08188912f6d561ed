import type { EventEmitter } from 'node:events';
import type { Logger } from '../core/logger.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';

/** Logs what happens to streams, pauses and threads. Sources log what happens to their connections. */
export function logNode(node: EventEmitter<NodeEvents>, log: Logger): void {
  node.on('streamOpened', ({ interactionId, codec, sampleRate, channels }) => {
    log.info({ interactionId, codec, sampleRate, channels }, 'stream opened');
  });
  node.on('streamEnded', ({ interactionId }, summary) => {
    const { endReason, packetsReceived, packetsLost, packetsLate, packetsDropped } = summary;
    const fields = { interactionId, endReason, packetsReceived, packetsLost, packetsLate, packetsDropped };
    log.info(fields, 'stream ended');
    const { packetsForeign } = summary;
    if (packetsForeign > 0) {
      log.warn({ interactionId, packetsForeign }, 'a channel had packets of a second numbering; they were not used');
    }
  });
  node.on('paused', ({ interactionId, paused, by }) => {
    log.info({ interactionId, by }, paused ? 'paused: audio is withheld' : 'pause is over');
  });
  node.on('workerRestarted', (event) => log.warn(event, 'a worker thread died and was replaced'));
  node.on('failed', (error) => log.error({ err: error }, error.message));
}
