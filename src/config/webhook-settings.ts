import { z } from 'zod';
import { setting, text } from './setting.js';

/** Settings of the notifications to another system. */
export const webhookSettings = {
  webhookUrl: setting(z.url({ protocol: /^https?$/ }).optional(), {
    description: 'Address that notifications of calls, recordings and the node are sent to.',
    secret: 'accepted',
    value: 'url',
    allowed: 'an address that begins with https:// or http://',
    defaultText: 'none: no notifications',
  }),
  webhookSecret: setting(text().optional(), {
    key: 'signingSecret',
    description: 'Secret that they are signed with: whsec_ and base64. Several, separated by commas, during a change.',
    secret: 'refused',
  }),
  webhookSecretFile: setting(text().optional(), {
    key: 'signingSecretFile',
    description: 'File of such secrets, one per line. It is read again at SIGHUP.',
    value: 'file',
    defaultText: 'none',
  }),
  webhookTypes: setting(z.array(z.string().min(1).max(64)).default([]), {
    description: 'Types of notification to send, such as recording.finished.',
    value: 'type,type',
    allowed: 'a list of types',
    defaultText: 'all',
  }),
  webhookDirectory: setting(text().optional(), {
    description: 'Folder of the notifications that wait for delivery, and of those that were given up.',
    value: 'dir',
    defaultText: '.webhooks in the output folder',
  }),
  webhookTimeoutSeconds: setting(z.number().min(0.1).max(60).default(10), {
    description: 'Time after which an attempt without an answer has failed.',
    value: 's',
  }),
  webhookGiveUpHours: setting(z.number().positive().max(720).default(24), {
    description: 'Age at which a notification that is not accepted is given up, and kept as a dead letter.',
    value: 'h',
  }),
};
