import type { Buffer } from 'node:buffer';
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates } from 'node:tls';
import { messageOf, TrunklineError } from '../errors.js';

/** Both in PEM. */
export interface CertifiedKey {
  /** The server's own certificate first, then its issuers. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/**
 * Checks a certificate and its key before a port is opened, with a clear message for each fault.
 *
 * @throws TrunklineError CONFIG_INVALID for an unreadable certificate or key, for two that do not belong together, and
 *   for a certificate that is not valid at `nowMs` (wall clock).
 */
export function checkCertifiedKey({ cert, key }: CertifiedKey, nowMs: number): void {
  const certificate = attempt(
    () => new X509Certificate(cert),
    'The TLS certificate cannot be read; give a chain in PEM.',
  );
  const privateKey: KeyObject = attempt(
    () => createPrivateKey(key),
    'The TLS private key cannot be read; give it in PEM, without a passphrase.',
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalid('The TLS private key is not that of the certificate; give the pair, with its certificate first.');
  }
  const { validFrom, validTo } = certificate;
  if (nowMs > Date.parse(validTo)) throw invalid(`The TLS certificate expired on ${validTo}; renew it.`);
  if (nowMs < Date.parse(validFrom)) {
    throw invalid(`The TLS certificate holds from ${validFrom} on only; check it, and the clock of this machine.`);
  }
  attempt(
    () => createSecureContext({ cert, key }),
    'The TLS certificate chain cannot be used; check that each certificate in it is complete.',
  );
}

/**
 * The certificates that Node trusts, and those in a PEM file: for servers with a certificate of a private authority.
 *
 * @throws TrunklineError CONFIG_INVALID for a file that cannot be read or has no certificate.
 */
export function trustedCertificates(caFile: string): string[] {
  let pem: string;
  try {
    pem = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw invalid(`Cannot read the CA file ${caFile}: ${messageOf(error)}.`, error);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw invalid(`The CA file ${caFile} contains no certificate in PEM form.`);
  }
  return [...rootCertificates, pem];
}

function attempt<Result>(work: () => Result, sentence: string): Result {
  try {
    return work();
  } catch (error) {
    // OpenSSL's own message would not help.
    throw invalid(sentence, error);
  }
}

function invalid(message: string, cause?: unknown): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message, { cause });
}
