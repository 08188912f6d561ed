import { createHash } from 'node:crypto';

const SAFE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/;
/** Device names that some file systems do not give to folders. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/**
 * The folder of an interaction. Ids come from outside, so nothing of them is trusted: what is made of up to 80 letters,
 * digits, `-` and `_` (as every UUID is) stays as it is; of anything else the safe characters stay, and 16 digits of
 * its SHA-256 keep different ids apart. No name has a dot, so none leaves the folder or meets a file that lies there.
 */
export function folderName(interactionId: string): string {
  if (SAFE.test(interactionId) && !RESERVED.test(interactionId)) return interactionId;
  const kept = interactionId.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 60);
  const digest = createHash('sha256').update(interactionId, 'utf8').digest('hex').slice(0, 16);
  return `id_${kept}-${digest}`;
}
