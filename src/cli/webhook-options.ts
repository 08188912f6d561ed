import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import type { WebhookOptions } from '../index.js';

/**
 * The options of the webhooks that the settings ask for; undefined for none.
 *
 * @throws TrunklineError CONFIG_INVALID
 */
export function webhookOptions(config: Config): WebhookOptions | undefined {
  const { webhookUrl: url, webhookSecret: secret, webhookSecretFile: file, webhookTypes: types, caFile } = config;
  if (url === undefined) {
    if (secret === undefined && file === undefined) return undefined;
    throw usage('A webhook secret belongs to an address: give --webhook-url as well.');
  }
  if (secret === undefined && file === undefined) {
    throw usage(
      'Webhooks are signed: set TRUNKLINE_WEBHOOK_SECRET, or name a file of secrets with --webhook-secret-file.',
    );
  }
  return {
    url,
    secret: () => [...wordsOf(secret ?? ''), ...(file === undefined ? [] : wordsOf(textOf(file)))],
    directory: webhookDirectory(config),
    // It may be the one to make the output folder, which has the permissions of the recordings.
    parentFolderMode: folderMode(Number.parseInt(config.fileMode, 8)),
    timeoutSeconds: config.webhookTimeoutSeconds,
    giveUpAfterHours: config.webhookGiveUpHours,
    ...(types.length === 0 ? {} : { types }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

/** Where notifications wait. */
export function webhookDirectory({ webhookDirectory: directory, out }: Config): string {
  return directory ?? join(out, '.webhooks');
}

/** Those who may read files may enter folders: 0640 gives 0750. */
function folderMode(fileMode: number): number {
  return 0o700 | fileMode | ((fileMode & 0o444) >> 2);
}

function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usage(`Cannot read the file of webhook secrets: ${messageOf(error)}.`);
  }
}

function usage(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
