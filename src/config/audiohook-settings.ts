import { z } from 'zod';
import { setting, text } from './setting.js';

/** Settings of the AudioHook server. Its key and secret are not those of the Genesys Cloud REST API. */
export const audiohookSettings = {
  audiohookPort: setting(z.int().min(0).max(65_535).optional(), {
    description: 'Port that the AudioHook server listens on; 0 for any free one.',
    shortFlag: '--port',
    value: 'n',
    defaultText: 'none; `serve` needs one',
  }),
  audiohookHost: setting(text().optional(), {
    description: 'Address that it listens on.',
    shortFlag: '--host',
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
      shortFlag: '--path',
      value: 'path',
      allowed: 'a path that begins with /, has no query and is not /health',
    },
  ),
  audiohookKeys: setting(text().optional(), {
    description:
      'File of API keys: a JSON list of `{"apiKey": …, "clientSecret": …}`; `"organizations"` lists the ids of those that may use a key.',
    key: 'keysFile',
    shortFlag: '--keys',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookApiKey: setting(text().optional(), {
    description: 'One API key.',
    shortFlag: '--api-key',
    value: 'key',
    defaultText: 'none',
    secret: 'accepted',
  }),
  audiohookClientSecret: setting(text().optional(), {
    description: 'Its client secret. Set it in the environment: other users of this machine can read command lines.',
    shortFlag: '--client-secret',
    value: 'base64',
    defaultText: 'none',
    secret: 'accepted',
  }),
  audiohookAllowUnsigned: setting(z.boolean().default(false), {
    description: 'Accept keys without a client secret, whose requests are not signed.',
    shortFlag: '--allow-unsigned',
  }),
  audiohookTlsCert: setting(text().optional(), {
    description: 'PEM file of its certificate chain. Without it, TLS must be terminated by a proxy.',
    shortFlag: '--tls-cert',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookTlsKey: setting(text().optional(), {
    description: 'PEM file of its private key.',
    shortFlag: '--tls-key',
    value: 'file',
    defaultText: 'none',
  }),
  audiohookPublicAuthority: setting(text().optional(), {
    description: 'Authority that clients connect to and sign, when a proxy rewrites Host.',
    shortFlag: '--public-authority',
    value: 'host',
    defaultText: 'from the request',
  }),
  audiohookPublicPath: setting(
    text()
      .regex(/^\/[^?#\s]*$/)
      .optional(),
    {
      description: 'Path that clients connect to and sign, when a proxy rewrites the path.',
      shortFlag: '--public-path',
      value: 'path',
      allowed: 'a path that begins with / and has no query',
      defaultText: 'from the request',
    },
  ),
  audiohookTrustedProxies: setting(z.array(text()).default([]), {
    description:
      'Proxies whose `Forwarded` and `X-Forwarded-…` headers are believed; `loopback` stands for this machine.',
    shortFlag: '--trusted-proxies',
    value: 'address,subnet',
    allowed: 'a list of addresses, subnets such as 10.0.0.0/8, or loopback',
    defaultText: 'none',
  }),
  audiohookNonceFile: setting(text().optional(), {
    description: 'File that keeps the nonces of signed requests over a restart, so that none can be replayed after it.',
    shortFlag: '--nonce-file',
    value: 'file',
    defaultText: 'none; requests signed before the start are refused',
  }),
  audiohookStartPaused: setting(z.boolean().default(false), {
    description: 'Begin each session paused by this server, until it is resumed.',
    shortFlag: '--start-paused',
  }),
  audiohookSilenceEvents: setting(z.boolean().default(false), {
    description: 'Send clients an event when a channel becomes silent and when it is no longer silent.',
    shortFlag: '--silence-events',
  }),
};
