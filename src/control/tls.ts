import type { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { messageOf, TrunklineError } from '../core/errors.js';
import { type CertifiedKey, checkCertifiedKey } from '../core/network/certificate.js';

/**
 * Reads and checks a certificate and its key.
 * @throws TrunklineError CONFIG_INVALID when they cannot be read or used.
 */
export function readCertifiedKey(files: { certFile: string; keyFile: string }, nowMs: number): CertifiedKey {
  const pair = { cert: contentOf(files.certFile), key: contentOf(files.keyFile) };
  checkCertifiedKey(pair, nowMs);
  return pair;
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the TLS files: ${messageOf(error)}.`, { cause: error });
  }
}
