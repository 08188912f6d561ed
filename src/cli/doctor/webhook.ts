import type { Config } from '../../config/schema.js';
import { Transport } from '../../sources/genesys/rest/transport.js';
import { webhookOptions } from '../webhook-options.js';
import { type Finding, failure, ok } from './finding.js';
import { connectionFindings, reached } from './platform.js';
import { secrecyFindings } from './servers.js';

/** The receiver of notifications. Nothing is sent to its path, and of its address, which may hold a key, the host is shown. */
export async function checkWebhook(config: Config): Promise<Finding[]> {
  const name = 'webhook';
  try {
    const options = webhookOptions(config);
    if (options === undefined) return [];
    const { webhookSecretFile: file } = config;
    const origin = new URL(new URL(options.url).origin);
    return [
      ok(name, 'has an address and a secret'),
      ...(file === undefined ? [] : secrecyFindings(name, file)),
      ...connectionFindings([await reached(origin, new Transport(config))], name),
    ];
  } catch (error) {
    return [failure(name, error, 'Set --webhook-url and TRUNKLINE_WEBHOOK_SECRET, or neither.')];
  }
}
