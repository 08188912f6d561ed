import { z } from 'zod';
import { parseOptions } from '../config/options.js';
import type { AttributeRule } from '../core/attributes/attribute-rule.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { Sink } from '../sinks/sink.js';
import type { EventsOf, Source } from '../sources/source.js';
import { AudioNode } from './audio-node.js';
import type { NodeEngineOptions, NodeOptions } from './options.js';
import type { Service } from './service.js';
import type { AudioNodeOf } from './typed-events.js';

/** A node that emits, beside its own events, those of its sources. */
export type NodeWith<Sources extends readonly Source[]> = AudioNodeOf<EventsOf<Sources[number]>>;

export interface CreateNodeOptions<Sources extends readonly Source[]> extends NodeOptions<Sources> {
  /**
   * Start the node before it is returned; default true. With false, call start() yourself, after you have added listeners
   * for what happens during the start.
   */
  readonly start?: boolean;
}

const hasMethods = (value: unknown, names: readonly string[]): boolean =>
  typeof value === 'object' && value !== null && names.every((name) => typeof Reflect.get(value, name) === 'function');

const schema = z.strictObject({
  sources: z
    .array(
      z.custom<Source>(
        (value) => hasMethods(value, ['start', 'drain', 'close', 'status', 'pause', 'resume']),
        'a source has start, drain, close, status, pause and resume; make one with genesysSubscription() or audioHook()',
      ),
    )
    .exactOptional(),
  sinks: z
    .array(z.custom<Sink>((value) => typeof value === 'object' && value !== null, 'a sink is an object'))
    .exactOptional(),
  services: z
    .array(
      z.custom<Service>(
        (value) => hasMethods(value, ['start', 'close']),
        'a service has start and close; make one with control()',
      ),
    )
    .exactOptional(),
  // Checked by the engine, with its own schema.
  engine: z
    .custom<NodeEngineOptions>((value) => typeof value === 'object' && value !== null, 'an object')
    .exactOptional(),
  includeSilent: z.boolean().exactOptional(),
  preRollMs: z.number().min(0).max(2_000).exactOptional(),
  oneWaySeconds: z.number().min(0).max(600).exactOptional(),
  postRollMs: z.number().min(0).max(2_000).exactOptional(),
  attributeRules: z
    .array(z.custom<AttributeRule>((value) => typeof value === 'object' && value !== null))
    .exactOptional(),
  keepIdentities: z.boolean().exactOptional(),
  logger: z
    .custom<Logger>(
      (value) => hasMethods(value, ['debug', 'info', 'warn', 'error']),
      'a logger has debug, info, warn and error',
    )
    .exactOptional(),
  signal: z.instanceof(AbortSignal).exactOptional(),
  clock: z
    .custom<Clock>((value) => hasMethods(value, ['nowUs', 'wallMs']), 'a clock has nowUs and wallMs')
    .exactOptional(),
  start: z.boolean().default(true),
});

/**
 * A node composed of sources and sinks, started.
 *
 * @example
 * await using node = await createNode({
 *   sources: [genesysSubscription({ clientId, clientSecret, queues: [queueId] }), audioHook({ port: 8080, keys })],
 *   sinks: [recorder({ directory: 'capture' }), audit({ directory: 'capture' })],
 *   logger: pino(),
 * });
 * for await (const { metadata, payload } of node.chunks()) transcribe(metadata.interactionId, payload);
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right, and whatever start() throws.
 */
export async function createNode<const Sources extends readonly Source[] = readonly []>(
  options: CreateNodeOptions<Sources> = {},
): Promise<NodeWith<Sources>> {
  const { start, ...nodeOptions } = parseOptions('createNode()', schema, options);
  const node = new AudioNode(nodeOptions) as NodeWith<Sources>;
  if (start) await node.start(options.signal === undefined ? {} : { signal: options.signal });
  return node;
}
