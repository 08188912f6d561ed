import { readFileSync } from 'node:fs';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { parseRecipient, parseRecipients } from './age-keys.js';

/** Each costs 0.1 ms and 100 bytes a recording. */
export const MAX_RECIPIENTS = 100;

/**
 * The recipients of the options and of the file that they name, each once.
 * @throws TrunklineError CONFIG_INVALID when one cannot be encrypted to, with its line; or when the file cannot be read,
 *   or has none: a node that was to encrypt must not store recordings as they are.
 */
export function readRecipients({
  encryptTo,
  encryptToFile,
}: {
  readonly encryptTo: readonly string[];
  readonly encryptToFile?: string | undefined;
}): readonly string[] {
  const recipients = encryptTo.map((text) => text.trim());
  for (const [at, text] of recipients.entries()) {
    try {
      parseRecipient(text);
    } catch (thrown) {
      throw new TrunklineError('CONFIG_INVALID', `Recipient ${at + 1} of encryptTo: ${messageOf(thrown)}`);
    }
  }
  if (encryptToFile !== undefined) recipients.push(...fromFile(encryptToFile));
  const different = [...new Set(recipients.map((text) => text.toLowerCase()))];
  if (different.length <= MAX_RECIPIENTS) return different;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `There are ${different.length} recipients; at most ${MAX_RECIPIENTS} can be.`,
  );
}

function fromFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the recipients in ${path}: ${messageOf(thrown)}`);
  }
  return parseRecipients(text, path).map((recipient) => recipient.text);
}
