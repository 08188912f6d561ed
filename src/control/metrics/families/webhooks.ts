import { counter, type Family, gauge, type Values } from '../family.js';

/** What webhooks() counts; see WebhookStats. */
interface WebhookCounts {
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly attempts: number;
  readonly failedAttempts: number;
  readonly delivered: number;
  readonly deadLetters: number;
  readonly deadLettersLost: number;
  readonly refused: number;
  readonly writeErrors: number;
}

export function isWebhooks(stats: object): stats is WebhookCounts {
  return 'deadLettersLost' in stats && 'failedAttempts' in stats;
}

/** The notifications of webhooks(), by the service's name. */
export function webhookFamilies(services: readonly (readonly [service: string, stats: WebhookCounts])[]): Family[] {
  const each = (value: (stats: WebhookCounts) => number): Values =>
    services.map(([service, stats]) => [{ service }, value(stats)] as const);
  return [
    gauge(
      'webhook_waiting',
      'Notifications that wait for delivery.',
      each(({ waiting }) => waiting),
    ),
    gauge(
      'webhook_waiting_bytes',
      'Bytes of the notifications that wait for delivery.',
      each(({ waitingBytes }) => waitingBytes),
    ),
    counter(
      'webhook_requests',
      'Requests to the receiver of notifications.',
      each(({ attempts }) => attempts),
    ),
    counter(
      'webhook_requests_failed',
      'Requests that the receiver did not answer with success.',
      each(({ failedAttempts }) => failedAttempts),
    ),
    counter(
      'webhook_delivered',
      'Notifications that the receiver accepted.',
      each(({ delivered }) => delivered),
    ),
    counter(
      'webhook_dead_letters',
      'Notifications that were given up and kept as dead letters.',
      each(({ deadLetters }) => deadLetters),
    ),
    counter(
      'webhook_dead_letters_lost',
      'Notifications that were given up and could not be kept.',
      each(({ deadLettersLost }) => deadLettersLost),
    ),
    counter(
      'webhook_refused',
      'Notifications for which there was no space.',
      each(({ refused }) => refused),
    ),
    counter(
      'webhook_write_errors',
      'Failed writes of notifications to the disk.',
      each(({ writeErrors }) => writeErrors),
    ),
  ];
}
