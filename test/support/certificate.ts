import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** A certificate for localhost that vouches for itself, made in that folder, and good for two days, or expired. */
export function makeCertificate(folder: string, name = 'localhost', { expired = false } = {}) {
  const [certFile, keyFile] = [join(folder, `${name}.cert.pem`), join(folder, `${name}.key.pem`)];
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  if (expired) {
    // Good for no days: it expires in the second in which it is made.
    const again = ['x509', '-in', certFile, '-signkey', keyFile, '-days', '0', '-out', certFile];
    const made = spawnSync('openssl', again, { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
  }
  return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}
