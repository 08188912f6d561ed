import { z } from 'zod';
import { setting } from './setting.js';

/** Settings of the command that runs a node: how long, and what it prints. A node itself has none of them. */
export const operationSettings = {
  seconds: setting(z.number().positive().max(31_536_000).optional(), {
    description: 'Stop after this many seconds.',
    value: 's',
    defaultText: 'until interrupted',
  }),
  drainSeconds: setting(z.number().min(0).max(3_600).default(10), {
    description:
      'How long calls may go on after SIGTERM, while no new ones are taken; a second later the process has ended.',
    value: 's',
    former: { key: 'audiohookDrainSeconds', env: 'TRUNKLINE_AUDIOHOOK_DRAIN_SECONDS' },
  }),
  logLevel: setting(z.enum(['silent', 'error', 'warn', 'info', 'debug', 'trace']).default('info'), {
    description: 'Lowest level that is logged to stderr.',
    value: 'level',
  }),
  logFormat: setting(z.enum(['auto', 'text', 'json']).default('auto'), {
    description: 'Format of the log: auto is text on a terminal and JSON elsewhere.',
    value: 'format',
  }),
  metricsSeconds: setting(z.number().min(0).max(3_600).default(5), {
    description: 'Interval between metrics lines; 0 for none.',
    value: 's',
  }),
  json: setting(z.boolean().default(false), {
    description: 'Print one JSON object as the last line of stdout, also when the command fails.',
  }),
};
