import { z } from 'zod';
import { SAMPLE_RATES } from '../core/codec.js';
import { LIMITS } from '../core/limits.js';
import { setting, text } from './setting.js';

const id = () => text().max(LIMITS.maxNameBytes);

/** Settings of the subscription to Genesys Cloud media. */
export const genesysSettings = {
  clientId: setting(text().optional(), {
    description: 'OAuth client id (client credentials grant, scope media:stream:read).',
    env: 'GENESYS_CLIENT_ID',
    value: 'id',
  }),
  clientSecret: setting(text().optional(), {
    description: 'OAuth client secret.',
    env: 'GENESYS_CLIENT_SECRET',
    secret: 'refused',
  }),
  region: setting(text().default('us-east-1'), {
    description: 'Genesys Cloud region, such as eu-central-1, or its domain, such as mypurecloud.de.',
    env: 'GENESYS_REGION',
    value: 'name',
  }),
  apiUrl: setting(z.url({ protocol: /^https?$/ }).optional(), {
    description: 'Address of the REST API and the sign-in, for a simulator or a private deployment.',
    value: 'url',
    allowed: 'an address that begins with http:// or https://',
    defaultText: 'by region',
  }),
  mediaUrl: setting(z.url({ protocol: /^wss?$/ }).optional(), {
    description: 'Address of the media WebSocket.',
    value: 'url',
    allowed: 'an address that begins with ws:// or wss://',
    defaultText: 'by region',
  }),
  interactions: setting(z.array(id()).default([]), {
    description: 'Interactions to capture.',
    env: 'TARGET_INTERACTIONS',
    value: 'id,id',
  }),
  interactionsFile: setting(text().optional(), {
    description: 'File of interaction ids, one per line. It is watched: ids can be added and removed at run time.',
    value: 'file',
    defaultText: 'none',
  }),
  queues: setting(z.array(id()).max(20_000).default([]), {
    description: 'Queues whose calls are captured as they arrive; repeat `--queue` for several.',
    flag: '--queue',
    value: 'id',
  }),
  users: setting(z.array(id()).max(20_000).default([]), {
    description: 'Users whose calls are captured as they arrive; repeat `--user` for several.',
    flag: '--user',
    value: 'id',
  }),
  codecs: setting(
    z
      .array(z.enum(['opus', 'pcmu', 'pcma', 'l16']))
      .min(1)
      .default(['opus', 'pcmu']),
    { description: 'Codecs to request, the preferred one first.', value: 'name,name' },
  ),
  opusSampleRate: setting(z.literal([...SAMPLE_RATES]).default(16000), {
    description: 'Sample rate that Opus is decoded to. 16000 is enough for speech; 48000 takes three times the disk.',
    value: 'hz',
  }),
  interactionsPerConnection: setting(z.int().min(1).max(LIMITS.interactionsPerConnection).default(50), {
    description: 'Maximum number of interactions on one media connection.',
    value: 'n',
  }),
  leastConnections: setting(z.int().min(1).max(400).default(4), {
    description: 'Media connections that interactions are spread over, even when fewer would be enough.',
    value: 'n',
  }),
  reconnectAttempts: setting(z.int().min(1).max(1_000).default(5), {
    description: 'Attempts to reconnect a lost media connection before its streams end.',
    value: 'n',
  }),
  heartbeatSeconds: setting(z.number().min(0.1).max(300).default(30), {
    description: 'Interval between pings. A connection that has not answered one ping by the next is dead.',
    value: 's',
  }),
  caFile: setting(text().optional(), {
    description: 'PEM file of certificates to trust in addition to the usual ones, such as that of a proxy.',
    value: 'file',
    defaultText: 'none',
  }),
  insecureTls: setting(z.boolean().default(false), {
    description: 'Continue although NODE_TLS_REJECT_UNAUTHORIZED=0 has disabled certificate verification.',
  }),
};
