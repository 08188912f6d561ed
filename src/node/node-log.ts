import type { EventEmitter } from 'node:events';
import { messageOf } from '../core/errors.js';
import type { Logger } from '../core/logger.js';
import { loadAddon } from '../native/addon.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';

/** Logs the backend once, and why when it is JavaScript. */
export function logBackend(log: Logger, backend: 'js' | 'native', native: 'off' | 'auto' | 'require'): void {
  if (backend === 'native') log.info({ backend }, 'decoding with the native addon');
  else log.info({ backend, reason: native === 'off' ? 'native is off' : whyNoAddon() }, 'decoding with JavaScript');
}

function whyNoAddon(): string {
  try {
    loadAddon();
    return 'a thread could not load the native addon';
  } catch (error) {
    return messageOf(error);
  }
}

/** Logs what happens to streams, pauses and threads. Sources log what happens to their connections. */
export function logNode(node: EventEmitter<NodeEvents>, log: Logger): void {
  node.on('streamOpened', ({ interactionId, codec, sampleRate, channels }) => {
    log.info({ interactionId, codec, sampleRate, channels }, 'stream opened');
  });
  node.on('streamEnded', ({ interactionId }, summary) => {
    const { endReason, packetsReceived, packetsLost, packetsLate, packetsDropped, packetsForeign } = summary;
    const fields = { interactionId, endReason, packetsReceived, packetsLost, packetsLate, packetsDropped };
    log.info(packetsForeign > 0 ? { ...fields, packetsForeign } : fields, 'stream ended');
  });
  node.on('streamFinished', ({ interactionId }, { outcome, cause }) => {
    if (cause !== undefined) log.warn({ interactionId, outcome, cause }, 'a stream is not complete');
  });
  node.on('paused', ({ interactionId, paused, by }) => {
    log.info({ interactionId, by }, paused ? 'paused: audio is withheld' : 'pause is over');
  });
  node.on('workerRestarted', (event) => log.warn(event, 'a worker thread died and was replaced'));
  node.on('failed', (error) => log.error({ err: error }, error.message));
}
