import { US_PER_SECOND } from '../../../src/core/units.js';
import { uuid } from '../load/plan.js';

/** The integration's settings on both sides: requests are signed, as a real organisation's are. */
export const HOOK_KEY = { apiKey: 'bench', clientSecret: Buffer.from('the secret of a benchmark').toString('base64') };
export const ORGANIZATION_ID = uuid('trunkline bench organisation');

export const SAMPLE_RATE = 8_000;
/** External and internal. */
export const CHANNELS = 2;

/** Samples of one channel in one message. */
export function samplesPerTick(tickUs: number): number {
  return (tickUs * SAMPLE_RATE) / US_PER_SECOND;
}

/** How often each client pings, as Genesys Cloud does. */
export const PING_US = 5 * US_PER_SECOND;
