import { z } from 'zod';
import { parseAttributeRule } from '../core/attributes/attribute-rule.js';
import { parseRetentionRule } from '../core/retention/policy.js';
import { setting, text } from './setting.js';

/** Settings of the recorder. */
export const recordingSettings = {
  out: setting(text().default('capture'), {
    description: 'Folder of the recordings and the audit; created when it does not exist.',
    value: 'dir',
  }),
  directoryTemplate: setting(
    z
      .string()
      .max(256)
      .regex(/^(?:(?:[A-Za-z0-9_-]|\{\w+\})+\/){0,7}\{interactionId\}$/)
      .default('{interactionId}'),
    {
      description:
        'Folders of a recording within the output folder: `{date}/{queue}/{interactionId}`. Also year, month, day, hour, user, direction, division, organization.',
      value: 'template',
      allowed: 'folders of letters, digits, - and _ with placeholders such as {date}, which end with {interactionId}',
    },
  ),
  record: setting(z.boolean().default(true), {
    key: 'enabled',
    description: 'Write recordings.',
    offDescription: 'Write no recordings: no sound is stored. Events, live streams and the audit are as usual.',
  }),
  recordFormat: setting(z.enum(['wav', 'flac', 'opus']).default('wav'), {
    key: 'format',
    flag: '--format',
    description:
      'What recordings are stored as: wav; flac, lossless at half the size; opus, the packets of Opus calls as they came, and flac for other calls.',
    value: 'format',
  }),
  keepDays: setting(z.int().min(1).max(36_525).optional(), {
    description: 'Days after its end that a recording is deleted; see also the rules and legal holds.',
    value: 'n',
    defaultText: 'for ever',
  }),
  retentionRules: setting(
    z
      .array(
        z
          .string()
          .min(1)
          .max(1_024)
          .refine((rule) => isTaken(parseRetentionRule, rule)),
      )
      .default([]),
    {
      description:
        'Rules of how long recordings of some calls are kept, such as `queue=Sales:days=30`; the first that matches decides.',
      flag: '--retention-rule',
      value: 'rule,rule',
      allowed: 'a list of rules such as queue=Sales:days=30 or tag=claim:days=forever',
      defaultText: 'none',
    },
  ),
  fileMode: setting(z.enum(['600', '640', '644']).default('600'), {
    description: 'Permissions of recordings and audit, octal; those who may read them may enter their folders.',
    value: 'mode',
  }),
  encryptTo: setting(z.array(text()).max(100).default([]), {
    description:
      'Encrypt recordings for this age recipient (age1…); repeat it for several. `trunkline open` opens them.',
    value: 'recipient',
  }),
  encryptToFile: setting(text().optional(), {
    description: 'File with recipients, one a line, as for `age -R`; beside those of `--encrypt-to`.',
    value: 'file',
  }),
  recordBufferMegabytes: setting(z.int().min(1).max(1024).default(64), {
    key: 'bufferMegabytes',
    description: 'Memory for audio that waits while the disk is slow; what does not fit is lost, and marked so.',
    value: 'n',
  }),
  recordMinFreeMegabytes: setting(z.int().min(0).max(1_000_000_000).default(1024), {
    key: 'minFreeMegabytes',
    description:
      'Free space of the disk below which the node is degraded, and below a quarter of it not ready and without new recordings.',
    value: 'n',
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
  auditSigningKey: setting(text().optional(), {
    description:
      'File with the key that signs the audit; it is made when there is none. Keep it outside the output folder.',
    value: 'file',
    defaultText: '~/.config/trunkline/audit-signing-key',
  }),
  auditMaxMegabytes: setting(z.int().min(0).max(1_000_000).default(1024), {
    description: 'Size at which audit.jsonl is put aside as audit-<time>.jsonl and another one begins; 0 for never.',
    value: 'n',
  }),
  auditDaily: setting(z.boolean().default(false), {
    description: 'Begin another audit.jsonl with each day, by UTC.',
  }),
};

/** Whether `parse` takes a text; it throws for those that it does not take. */
function isTaken(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Settings of what is kept of calls beside their audio. */
export const attributeSettings = {
  attributeRules: setting(
    z
      .array(
        z
          .string()
          .min(1)
          .max(1_024)
          .refine((rule) => isTaken(parseAttributeRule, rule)),
      )
      .default([]),
    {
      description:
        'Rules that set attributes of calls, such as `queue=Sales&direction=inbound:tag=vip`; later ones see what earlier ones have set.',
      flag: '--attribute-rule',
      value: 'rule,rule',
      allowed: 'a list of rules such as queue=Sales&direction=inbound:tag=vip&division=West',
      defaultText: 'none',
    },
  ),
  keepIdentities: setting(z.boolean().default(false), {
    description: 'Keep telephone numbers and names of callers, in recordings, events, webhooks and the API.',
  }),
};

/** Settings of the upload of finished recordings. */
export const archiveSettings = {
  archiveS3: setting(
    z
      .string()
      .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[^?#]*)?$/)
      .optional(),
    {
      description: 'Bucket, and what the names of objects begin with, that finished recordings are uploaded to.',
      value: 's3://bucket/prefix',
      allowed: 'an address such as s3://bucket/prefix',
      defaultText: 'none: nothing is uploaded',
    },
  ),
  archiveEndpoint: setting(z.url({ protocol: /^https?$/ }).optional(), {
    description: 'Address of the S3 server when it is not Amazon’s.',
    value: 'url',
    allowed: 'an address that begins with https:// or http://',
    defaultText: 'that of Amazon’s region',
  }),
  archiveRegion: setting(text().optional(), {
    description: 'Region of the bucket.',
    value: 'region',
    defaultText: 'AWS_REGION, or that of the AWS configuration file; us-east-1 with --archive-endpoint',
  }),
  archivePathStyle: setting(z.enum(['auto', 'on', 'off']).default('auto'), {
    description: 'Put the bucket into the path of addresses, not into the host: auto does so with --archive-endpoint.',
    value: 'when',
  }),
  archiveName: setting(text().default('{date}/{queue}/{interactionId}'), {
    description:
      'Names of objects, without that of the file: {date}, {year}, {month}, {day}, {hour} of the start (UTC), {queue}, {user}, {direction}, {division}, {interactionId}.',
    value: 'template',
    allowed: 'a template with {interactionId}',
  }),
  archiveDeleteLocal: setting(z.boolean().default(false), {
    description: 'Delete a recording from the disk once the bucket has all of it; the audit says so.',
  }),
  archiveParallel: setting(z.int().min(1).max(32).default(4), {
    description: 'Recordings that are uploaded at a time; each takes up to 8 MB of memory.',
    value: 'n',
  }),
  archiveMaxMegabits: setting(z.number().min(0).max(100_000).default(0), {
    description: 'Most megabits a second of all uploads together; 0 for no limit.',
    value: 'n',
  }),
  archiveEncryption: setting(z.enum(['none', 'AES256', 'aws:kms']).default('none'), {
    description: 'Encryption that the store is asked for: none leaves it to the settings of the bucket.',
    value: 'kind',
  }),
  archiveKmsKey: setting(text().optional(), {
    description: 'Id, alias or ARN of the key of aws:kms.',
    value: 'key',
    defaultText: 'that of the bucket',
  }),
  archiveLock: setting(z.enum(['none', 'governance', 'compliance']).default('none'), {
    description: 'Object lock: nobody can delete an object for --archive-lock-days; the bucket must have it enabled.',
    value: 'mode',
  }),
  archiveLockDays: setting(z.int().min(1).max(36_500).default(1), {
    description: 'Days that an object is locked for, from its upload on.',
    value: 'n',
  }),
  archiveLegalHold: setting(z.boolean().default(false), {
    description: 'Put a legal hold on every object, until somebody takes it away.',
  }),
};
