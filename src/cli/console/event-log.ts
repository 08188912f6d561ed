import type { AudioNode } from '../../node/audio-node.js';
import type { Logger } from './logger.js';

/** Logs what a node reports, whatever its sources. */
export function logEvents(node: AudioNode, log: Logger): void {
  node.on('error', ({ message }) => log.error(message));
  node.on('failed', ({ message }) => log.fatal(message));
  node.on('workerRestarted', (event) => log.warn(event, 'a worker thread died and was replaced'));
  node.on('paused', ({ interactionId, paused }) => {
    log.info({ interactionId }, paused ? 'secure pause: audio is withheld' : 'secure pause is over');
  });
  node.on('streamOpened', ({ interactionId, codec, sampleRate, channels }) => {
    log.info({ interactionId, codec, sampleRate, channels }, 'stream opened');
  });
  node.on('streamEnded', ({ interactionId }, summary) => {
    const { endReason, packetsReceived, packetsLost, packetsLate, packetsDropped } = summary;
    log.info({ interactionId, endReason, packetsReceived, packetsLost, packetsLate, packetsDropped }, 'stream ended');
  });
  logSubscriptions(node, log);
  logSessions(node, log);
}

function logSubscriptions(node: AudioNode, log: Logger): void {
  node.on('connected', ({ again, ...which }) => log.info(which, `media connection open${again ? ' again' : ''}`));
  node.on('disconnected', ({ connection, ...why }) => {
    // 1000 is a close that both sides wanted.
    if (why.code === 1000) log.info({ connection }, 'media connection closed');
    else log.warn({ connection, ...why }, 'media connection lost');
  });
  node.on('notifications', ({ listening, reason }) => {
    if (listening) log.info('notification channel open');
    else log.warn({ reason }, 'notification channel lost; it is opened again, and calls are compared with REST then');
  });
  node.on('maxReconnectReached', (event) => {
    log.error(event, 'a media connection could not be opened again; its streams are lost');
  });
  node.on('interactionEnded', ({ interactionId, reason, detail }) => {
    const fields = { interactionId, reason, ...(detail === '' ? {} : { detail }) };
    if (reason === 'lost' || reason === 'mediaNotAvailable' || reason === 'error') log.warn(fields, 'call given up');
    else log.debug(fields, 'interaction ended');
  });
}

function logSessions(node: AudioNode, log: Logger): void {
  node.on('sessionOpened', ({ sessionId, interactionId, media, probe, continued }) => {
    const fields = { sessionId, interactionId, format: media?.format, channels: media?.channels };
    log.debug(fields, probe ? 'connection probe' : continued ? 'session continued' : 'session opened');
  });
  node.on('sessionEnded', ({ sessionId, interactionId, endReason, fault, counts }) => {
    const fields = { sessionId, interactionId, endReason, framesReceived: counts.framesReceived };
    if (fault !== undefined) log.warn({ ...fields, fault: fault.kind, info: fault.info }, 'session ended by us');
    else if (endReason === 'lost') log.warn(fields, 'session lost: the client disconnected without closing it');
    else log.debug(fields, 'session ended');
  });
  node.on('rejected', (rejection) => log.warn(rejection, 'request refused'));
}
