import { z } from 'zod';
import { setting, text } from './setting.js';

/** Settings of the AudioHook server that `trunkline serve` is. Its key and secret are not those of Genesys's REST API. */
export const serverSettings = {
  audiohookPort: setting(z.int().min(0).max(65_535).optional(), {
    description: 'Port of the AudioHook server that `serve` is; 0 for any free one.',
    flag: '--port',
    value: 'n',
  }),
  audiohookHost: setting(text().optional(), {
    description: 'Address that it listens on.',
    flag: '--host',
    value: 'address',
    defaultText: 'all with a certificate, 127.0.0.1 without',
  }),
  audiohookPath: setting(
    text()
      .regex(/^\/[^?#\s]*$/)
      .refine((path) => path !== '/health')
      .default('/audiohook/ws'),
    {
      description: 'Path of its WebSocket.',
      flag: '--path',
      value: 'path',
      allowed: 'a path that begins with /, holds no query and is not /health',
    },
  ),
  audiohookKeys: setting(text().optional(), {
    description: 'File of API keys: a JSON list of `{"apiKey": …, "clientSecret": …}`.',
    flag: '--keys',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookApiKey: setting(text().optional(), {
    description: 'One API key.',
    flag: '--api-key',
    value: 'key',
    defaultText: 'none',
    secret: 'taken',
  }),
  audiohookClientSecret: setting(text().optional(), {
    description: 'Its client secret; in the environment, others on this machine cannot read it.',
    flag: '--client-secret',
    value: 'base64',
    defaultText: 'none',
    secret: 'taken',
  }),
  audiohookAllowUnsigned: setting(z.boolean().default(false), {
    description: 'Take keys without a client secret, whose requests are not signed.',
    flag: '--allow-unsigned',
  }),
  audiohookTlsCert: setting(text().optional(), {
    description: 'File of its certificate chain, PEM; without it, have TLS ended by a proxy in front.',
    flag: '--tls-cert',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookTlsKey: setting(text().optional(), {
    description: 'File of its private key, PEM.',
    flag: '--tls-key',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookDrainSeconds: setting(z.number().min(0).max(3_600).default(10), {
    description: 'What clients are given to leave by themselves at the end.',
    flag: '--drain-seconds',
    value: 's',
  }),
  audiohookStartPaused: setting(z.boolean().default(false), {
    description: 'Begin each session with our own pause on.',
    flag: '--start-paused',
  }),
  audiohookSilenceEvents: setting(z.boolean().default(false), {
    description: 'Tell clients where their channels fall silent and speak up.',
    flag: '--silence-events',
  }),
};
