import type { EventEmitter } from 'node:events';
import { parseOptions } from '../config/options.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import type { HealthCheck } from '../core/health.js';
import { US_PER_SECOND } from '../core/units.js';
import type { RunningNode, Service, ServiceContext } from '../node/service.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';
import { Delivery, type WebhookStats } from './delivery/delivery.js';
import { callStarted, streamFinished, typeOfOutcome } from './message.js';
import { secretsOf, type WebhookOptions, type WebhookSettings, webhookOptionsSchema } from './options.js';
import { Signer } from './signature.js';

/** What close() gives notifications that can be delivered; the others stay in the directory. */
const CLOSE_MS = 1_000;
/** How often a new checkpoint of the audit is told by itself. */
const CHECKPOINT_MS = 60_000;
/** A refusal or a failed write counts as present for so long. */
const PRESENT_US = 60 * US_PER_SECOND;
/** Reasons for which a subscription gives a call up. */
const GIVEN_UP = ['lost', 'mediaNotAvailable', 'error'];

interface Running {
  readonly context: ServiceContext;
  readonly delivery: Delivery;
  /** Takes the listeners off the node. */
  readonly unlisten: () => void;
}

/** Tells another system what happens to calls, recordings and the node. Made by webhooks(). */
export class Webhooks implements Service {
  readonly name = 'webhooks';
  readonly #settings: WebhookSettings;
  #running: Running | undefined;
  #failures = { count: 0, grewUs: Number.NEGATIVE_INFINITY };
  /** After close(). */
  #last: WebhookStats = NOTHING;
  #isClosed = false;
  #checkpoints: NodeJS.Timeout | undefined;
  #told: string | undefined;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: WebhookOptions) {
    this.#settings = parseOptions('webhooks()', webhookOptionsSchema, options);
    // Checked at once, and made again at the start.
    new Signer(secretsOf(this.#settings));
  }

  /**
   * Takes over what an earlier process could not deliver, and begins to listen.
   * @throws TrunklineError FILE_FAILED when the folder cannot be made; CONFIG_INVALID for a CA file or a proxy.
   */
  async start(context: ServiceContext): Promise<void> {
    const { clock, logger } = context;
    let hasFailed = false;
    const delivery = new Delivery(this.#settings, {
      clock,
      onFault: (thrown) => {
        // The counter goes on; one sentence is enough.
        if (!hasFailed) context.report(new TrunklineError('FILE_FAILED', faultText(this.#settings.directory, thrown)));
        hasFailed = true;
      },
      auditCheckpoint: () => context.auditCheckpoint(),
      onState: (state, reason) => {
        if (state === 'accepting') logger.info('the receiver of the webhooks accepts notifications again');
        else logger.warn({ reason }, 'the receiver of the webhooks does not accept notifications; they wait');
      },
      onGivenUp: ({ id, type }, reason) => {
        logger.warn({ id, type, reason }, 'a notification was given up: it is a dead letter now');
        context.audit('webhook_given_up', { reason: type, detail: reason });
      },
    });
    await delivery.open();
    const unlisten = listen(context.node, delivery);
    this.#checkpoints = setInterval(() => this.#tellCheckpoint(), CHECKPOINT_MS).unref();
    this.#running = { context, delivery, unlisten };
    if (this.#isClosed) await this.close();
  }

  /** Reads the secrets again, and tries a receiver again that has answered 410. */
  reopen(): void {
    try {
      this.#running?.delivery.reload();
    } catch (error) {
      this.#running?.context.report(error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#checkpoints);
    this.#tellCheckpoint();
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.unlisten();
    await running.delivery.close(CLOSE_MS);
    this.#last = running.delivery.stats();
  }

  stats(): WebhookStats {
    return this.#running?.delivery.stats() ?? this.#last;
  }

  refusals(): Readonly<Record<string, number>> {
    const { refused, deadLettersLost } = this.stats();
    return { refused, deadLettersLost };
  }

  /** `degraded` at the most: what a receiver does must not make a node get no more calls. */
  health(): readonly HealthCheck[] {
    const reason = this.#problem();
    const status = reason === undefined ? 'ok' : 'degraded';
    return [{ name: 'webhooks', status, affects: 'ready', ...(reason === undefined ? {} : { reason }) }];
  }

  /** Where it is not the one that was told last. */
  #tellCheckpoint(): void {
    const checkpoint = this.#running?.context.auditCheckpoint();
    if (checkpoint === undefined || checkpoint === this.#told) return;
    this.#told = checkpoint;
    this.#running?.delivery.notify('audit.checkpoint', {});
  }

  #problem(): string | undefined {
    if (this.#running === undefined) return undefined;
    const { delivery, context } = this.#running;
    const { waiting, refused, deadLettersLost, writeErrors } = delivery.stats();
    if (delivery.state !== 'accepting') return `Notifications are not accepted, ${waiting} wait: ${delivery.reason}.`;
    const nowUs = context.clock.nowUs();
    const count = refused + deadLettersLost + writeErrors;
    if (count > this.#failures.count) this.#failures = { count, grewUs: nowUs };
    if (nowUs - this.#failures.grewUs >= PRESENT_US) return undefined;
    return 'Notifications cannot be written to the disk, or are refused because too many wait.';
  }
}

const NOTHING: WebhookStats = {
  ...{ waiting: 0, waitingBytes: 0, attempts: 0, failedAttempts: 0, delivered: 0 },
  ...{ deadLetters: 0, deadLettersLost: 0, refused: 0, writeErrors: 0 },
};

function faultText(directory: string, thrown: unknown): string {
  return `Notifications in ${directory} cannot be kept: ${messageOf(thrown)}. They wait in memory; free space or make it writable.`;
}

/** Turns what happens on a node into notifications; returns what ends that. */
function listen(node: RunningNode, delivery: Delivery): () => void {
  // Looked up once: stats() reads every stream.
  let isRecording: boolean | undefined;
  const listeners = {
    streamOpened: (info) => {
      // A change of format does not start a call.
      if (info.segment === undefined) delivery.notify('call.started', callStarted(info), info.interactionId);
    },
    streamFinished: (info, result) => {
      isRecording ??= 'recorder' in node.stats().sinks;
      const type = typeOfOutcome(result.outcome, isRecording);
      delivery.notify(type, streamFinished(info, result), info.interactionId);
    },
    attributesChanged: ({ interactionId, attributes = {} }) =>
      delivery.notify('call.attributes_changed', { interactionId, attributes }, interactionId),
    oneWayAudio: ({ info: { interactionId }, channel, cause }) =>
      delivery.notify('call.one_way_audio', { interactionId, channel, cause }, interactionId),
    oneWayAudioEnded: ({ info: { interactionId }, channel, cause, reason }) =>
      delivery.notify('call.one_way_audio_ended', { interactionId, channel, cause, reason }, interactionId),
    recordingRepaired: (recording) => delivery.notify('recording.repaired', recording, recording.interactionId),
    recordingAttributesChanged: (recording) =>
      delivery.notify('recording.attributes_changed', recording, recording.interactionId),
    recordingArchived: (recording) => delivery.notify('recording.archived', recording, recording.interactionId),
    archiveState: ({ isFailing, reason, message, waiting }) =>
      isFailing
        ? delivery.notify('archive.failing', { waiting, message, ...(reason === undefined ? {} : { reason }) })
        : delivery.notify('archive.recovered', { waiting }),
    workerRestarted: (event) => delivery.notify('worker.restarted', event),
    diskLow: ({ isLow, ...space }) => delivery.notify(isLow ? 'disk.low' : 'disk.recovered', space),
    draining: () => delivery.notify('node.draining', {}),
    failed: ({ code, message }) => delivery.notify('node.failed', { code, message }),
    sourceEvent: ({ name, values }) => {
      if (name !== 'interactionEnded') return;
      const [{ interactionId, reason } = {}] = values as [{ interactionId?: string; reason?: string }?];
      if (interactionId === undefined || reason === undefined || !GIVEN_UP.includes(reason)) return;
      delivery.notify('call.given_up', { interactionId, reason }, interactionId);
    },
  } satisfies Partial<{ [Name in keyof NodeEvents]: (...values: NodeEvents[Name]) => void }>;
  const emitter: EventEmitter = node;
  for (const [name, listener] of Object.entries(listeners)) emitter.on(name, listener);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) emitter.off(name, listener);
  };
}

/**
 * Notifications by the Standard Webhooks specification: signed, repeated until they are accepted, and kept on the disk
 * until then.
 *
 * @example
 * const node = await createNode({
 *   sources,
 *   sinks: [recorder({ directory: 'capture' })],
 *   services: [webhooks({ url: 'https://example.com/hooks', secret: process.env.SECRET, directory: 'webhooks' })],
 * });
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function webhooks(options: WebhookOptions): Webhooks {
  return new Webhooks(options);
}
