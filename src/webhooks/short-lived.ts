import { parseOptions } from '../config/options.js';
import { systemClock } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import { Delivery } from './delivery/delivery.js';
import { type WebhookOptions, webhookOptionsSchema } from './options.js';

/** What a command has delivered. */
export interface DeliveryReport<Result> {
  /** Of the work. */
  readonly result: Result;
  readonly delivered: number;
  /** Those that stay in the directory: the next node or command delivers them. */
  readonly waiting: number;
  /** Why the last attempt failed; empty when none did. */
  readonly reason: string;
}

/**
 * Notifications of a command that ends by itself: `work` makes them, and what is not accepted within `graceMs` stays in
 * the directory.
 *
 * @throws TrunklineError CONFIG_INVALID, FILE_FAILED, and whatever `work` throws.
 */
export async function deliverDuring<Result>(
  options: WebhookOptions,
  graceMs: number,
  work: (delivery: Delivery) => Promise<Result>,
  complain: (sentence: string) => void,
): Promise<DeliveryReport<Result>> {
  const delivery = new Delivery(parseOptions('webhooks()', webhookOptionsSchema, options), {
    clock: systemClock,
    onFault: (thrown) => complain(`Notifications in ${options.directory} cannot be kept: ${messageOf(thrown)}`),
    onState: () => {},
    onGivenUp: ({ id }, reason) => complain(`The notification ${id} is a dead letter now: ${reason}`),
  });
  await delivery.open();
  let result: Result;
  try {
    result = await work(delivery);
  } finally {
    await delivery.close(graceMs);
  }
  const { delivered, waiting } = delivery.stats();
  return { result, delivered, waiting, reason: delivery.reason };
}
