import { z } from 'zod';

export interface WebhookOptions {
  /** Where notifications are sent: `https:`, or `http:` for a receiver on this machine or in a closed network. */
  readonly url: string;
  /**
   * The secret that they are signed with, `whsec_` and base64. Several while a secret is being replaced: each message
   * has a signature for each of them. A function is asked again at AudioNode.reopen().
   */
  readonly secret: string | readonly string[] | (() => string | readonly string[]);
  /** Folder of the notifications that wait for delivery, and of the dead letters; made when it is missing. */
  readonly directory: string;
  /** Permissions of folders above it that have to be made; default 0o700. It is itself for its owner alone. */
  readonly parentFolderMode?: number | undefined;
  /** Types to send; default all. */
  readonly types?: readonly string[] | undefined;
  /** Requests at a time, 1 to 64; default 8. Notifications of one call are sent one after another, in their order. */
  readonly concurrency?: number | undefined;
  /** Seconds until an attempt without an answer has failed, 0.1 to 60; default 10. */
  readonly timeoutSeconds?: number | undefined;
  /** Milliseconds to the second attempt, which double with each further one, 1 to 60,000; default 1,000. */
  readonly leastRetryMs?: number | undefined;
  /** Most milliseconds between two attempts, up to a day; default 600,000. */
  readonly mostRetryMs?: number | undefined;
  /** Hours after which a notification becomes a dead letter when an attempt fails, above 0 and up to 720; default 24. */
  readonly giveUpAfterHours?: number | undefined;
  /** Notifications that may wait for delivery, 1 to 1,000,000; default 100,000. Those beyond are refused and counted. */
  readonly maxMessages?: number | undefined;
  /** Megabytes of them, 1 to 1,024; default 64. */
  readonly maxMegabytes?: number | undefined;
  /** PEM file of certificates that are trusted beside those that Node brings. */
  readonly caFile?: string | undefined;
}

const isSecret = (value: unknown): boolean =>
  typeof value === 'string' || typeof value === 'function' || (Array.isArray(value) && value.length > 0);

export const webhookOptionsSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: 'must be an address that begins with https:// or http://' })
    // It would be printed with the settings.
    .refine(
      (url) => new URL(url).username === '',
      'must not contain a user or a password; the signature identifies you',
    ),
  secret: z.custom<WebhookOptions['secret']>(isSecret, 'must be a text that begins with whsec_, or several of them'),
  directory: z.string().min(1),
  parentFolderMode: z.int().min(0o700).max(0o777).default(0o700),
  types: z.array(z.string()).exactOptional(),
  concurrency: z.int().min(1).max(64).default(8),
  timeoutSeconds: z.number().min(0.1).max(60).default(10),
  leastRetryMs: z.int().min(1).max(60_000).default(1_000),
  mostRetryMs: z.int().min(1).max(86_400_000).default(600_000),
  giveUpAfterHours: z.number().positive().max(720).default(24),
  maxMessages: z.int().min(1).max(1_000_000).default(100_000),
  maxMegabytes: z.int().min(1).max(1_024).default(64),
  caFile: z.string().min(1).exactOptional(),
});

export type WebhookSettings = z.output<typeof webhookOptionsSchema>;

/** The secrets as they are now. */
export function secretsOf({ secret }: Pick<WebhookSettings, 'secret'>): readonly string[] {
  const value = typeof secret === 'function' ? secret() : secret;
  return typeof value === 'string' ? [value] : value;
}
