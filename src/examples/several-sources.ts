import {
  type AudioHookOptions,
  audioHook,
  audit,
  createNode,
  type GenesysSubscriptionOptions,
  genesysSubscription,
  type Logger,
  recorder,
} from '../index.js';

export interface SeveralSourcesOptions {
  readonly subscription: GenesysSubscriptionOptions;
  readonly hook: AudioHookOptions;
  /** Recordings and the audit of all calls, by whichever source they come. */
  readonly directory: string;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
}

/**
 * One node that subscribes to calls at Genesys Cloud and serves AudioHook at the same time. Both kinds of calls get the same
 * events, recordings, audit and pauses; events of connections are those of their source, and are typed by it.
 */
export async function startBoth({ subscription, hook, directory, logger, signal }: SeveralSourcesOptions) {
  const calls = genesysSubscription(subscription);
  const server = audioHook(hook);
  const node = await createNode({
    sources: [calls, server],
    sinks: [recorder({ directory }), audit({ directory })],
    ...(logger && { logger }),
    ...(signal && { signal }),
  });
  const log: string[] = [];
  node.on('streamOpened', ({ interactionId }) => log.push(`stream ${interactionId}`));
  node.on('paused', ({ interactionId, paused, by }) =>
    log.push(`${paused ? 'paused' : 'resumed'} ${interactionId} ${by}`),
  );
  node.on('connected', ({ connection }) => log.push(`connected ${connection}`));
  node.on('sessionOpened', ({ sessionId }) => log.push(`session ${sessionId}`));
  return { node, calls, server, log };
}
