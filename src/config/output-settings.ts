import { z } from 'zod';
import { setting, text } from './setting.js';

/** Settings of the recorder. */
export const recordingSettings = {
  out: setting(text().default('capture'), {
    description: 'Folder of the recordings and the audit; created when it does not exist.',
    value: 'dir',
  }),
  record: setting(z.boolean().default(true), {
    key: 'enabled',
    description: 'Write recordings.',
    offDescription: 'Write no recordings: no sound is stored. Events, live streams and the audit are as usual.',
  }),
};

/** Settings of the audit. */
export const auditSettings = {
  audit: setting(z.enum(['off', 'spans', 'packets']).default('spans'), {
    key: 'depth',
    description: 'What audit.jsonl contains: nothing, life-cycle events and spans, or every packet as well.',
    value: 'depth',
  }),
  auditKey: setting(text().min(16).optional(), {
    description: 'Key of the HMAC that replaces interaction ids in the audit.',
    secret: 'refused',
  }),
};
