import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer, isIP } from 'node:net';
import process from 'node:process';
import type { Config } from '../../config/schema.js';
import { readTokenFile } from '../../control/access/token-file.js';
import { systemClock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { checkCertifiedKey } from '../../core/network/certificate.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { audioHookOptions } from '../audiohook-options.js';
import { type Finding, fail, failure, ok, warn } from './finding.js';

const DAY_MS = 24 * 3600 * MS_PER_SECOND;
const RENEWAL_DAYS = 21;
const PROBE_MS = 2_000;

/** The AudioHook server: keys, certificate, port. Nothing when it is not configured. */
export async function checkAudioHook(config: Config): Promise<Finding[]> {
  const { audiohookPort: port, audiohookTlsCert: cert, audiohookTlsKey: key, audiohookKeys } = config;
  if (port === undefined) return [];
  const host = config.audiohookHost ?? (cert === undefined ? '127.0.0.1' : undefined);
  const findings = [keysFinding(config)];
  if (audiohookKeys !== undefined) findings.push(...secrecyFindings('audiohook keys', audiohookKeys));
  if (cert !== undefined && key !== undefined) findings.push(...certificateFindings('audiohook tls', cert, key));
  else if (host !== undefined && !isLoopback(host)) {
    const fix = 'Give --tls-cert and --tls-key, unless only a proxy that terminates TLS can reach the port.';
    findings.push(warn('audiohook tls', `no certificate, and the port is open on ${host}`, fix));
  }
  findings.push(await portFinding('audiohook port', port, host, cert !== undefined, '/health'));
  return findings;
}

function keysFinding(config: Config): Finding {
  try {
    const { keys } = audioHookOptions(config);
    const unsigned = keys.filter(({ clientSecret }) => clientSecret === undefined).length;
    if (unsigned === 0) return ok('audiohook keys', `${keys.length}, all with a client secret`);
    const fix = 'Give each key a client secret, in the settings here and in the integration of Genesys Cloud.';
    const message = `${unsigned} of ${keys.length} without a client secret`;
    if (!config.audiohookAllowUnsigned)
      return fail('audiohook keys', `${message}, and --allow-unsigned is not set`, fix);
    return warn('audiohook keys', `${message}: the key alone is enough to send audio`, fix);
  } catch (error) {
    return failure('audiohook keys', error, 'The operations guide shows the file: src/deploy/README.md.');
  }
}

/** The control server: tokens, certificate, port. */
export async function checkControl(config: Config): Promise<Finding[]> {
  const { controlPort: port, controlHost: host, controlTokens, controlTlsCert: cert, controlTlsKey: key } = config;
  if (port === 0)
    return [warn('control', 'no control server: no health checks, metrics or console', 'Set --control-port.')];
  const findings = controlTokens === undefined ? [withoutTokens(host)] : tokenFindings(controlTokens);
  if (cert !== undefined && key !== undefined) findings.push(...certificateFindings('control tls', cert, key));
  else if (!isLoopback(host)) {
    const fix = 'Give --control-tls-cert and --control-tls-key, unless the network between is trusted.';
    findings.push(warn('control tls', `no certificate: tokens and audio pass ${host} in the clear`, fix));
  }
  findings.push(await portFinding('control port', port, host, cert !== undefined, '/livez'));
  return findings;
}

function withoutTokens(host: string): Finding {
  const fix = 'Make tokens with `trunkline token create`, and name their file with --control-tokens.';
  if (!isLoopback(host)) return fail('control tokens', `none, and the address ${host} is not this machine alone`, fix);
  return ok('control tokens', 'none: everybody on this machine is an operator');
}

function tokenFindings(file: string): Finding[] {
  try {
    const tokens = readTokenFile(file);
    const expired = tokens.filter(({ expiresAt }) => Date.parse(expiresAt ?? '') < systemClock.wallMs()).length;
    const message = `${tokens.length}${expired > 0 ? `, of which ${expired} have expired` : ''}`;
    const isUsable = tokens.length > expired;
    const finding = isUsable
      ? ok('control tokens', message)
      : warn('control tokens', `${message}: nobody has access`, 'Make one with `trunkline token create`.');
    return [finding, ...secrecyFindings('control tokens', file)];
  } catch (error) {
    return [
      failure('control tokens', error, 'Name the file that `trunkline token create` made with --control-tokens.'),
    ];
  }
}

/** A certificate that is used for longer than it is valid stops new calls. */
function certificateFindings(name: string, cert: string, key: string): Finding[] {
  try {
    const pair = { cert: readFileSync(cert), key: readFileSync(key) };
    const nowMs = systemClock.wallMs();
    checkCertifiedKey(pair, nowMs);
    const { validTo, subjectAltName, subject, issuer } = new X509Certificate(pair.cert);
    const days = Math.floor((Date.parse(validTo) - nowMs) / DAY_MS);
    const message = `${subjectAltName ?? subject}; valid for ${days} more days`;
    const renew = 'Renew it; the node reads it again at SIGHUP.';
    const own = 'Genesys Cloud accepts only certificates of a public CA.';
    const finding = days < RENEWAL_DAYS ? warn(name, message, renew) : ok(name, message);
    const isOwn = name === 'audiohook tls' && subject === issuer;
    return [
      finding,
      ...(isOwn ? [warn(name, 'the certificate is self-signed', own)] : []),
      ...secrecyFindings(name, key),
    ];
  } catch (error) {
    return [failure(name, error, 'Give a PEM chain, the own certificate first, and its private key.')];
  }
}

/** A warning when other users of the machine can read a file. */
export function secrecyFindings(name: string, file: string): Finding[] {
  try {
    const { mode } = statSync(file);
    if (process.platform === 'win32' || (mode & 0o007) === 0) return [];
    return [warn(name, `every user of this machine can read ${file}`, `chmod o-rwx ${file}`)];
  } catch {
    // Another finding says that it cannot be read.
    return [];
  }
}

async function portFinding(
  name: string,
  port: number,
  host: string | undefined,
  tls: boolean,
  healthPath: string,
): Promise<Finding> {
  const place = `${host ?? 'all addresses'}, port ${port}`;
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return ok(name, `${place}: free`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' && (await isTrunkline(port, host, tls, healthPath))) {
      return ok(name, `${place}: in use by a node that is running`);
    }
    return fail(name, `${place}: ${messageOf(error)}`, portAdvice(code, port));
  } finally {
    server.close();
  }
}

function portAdvice(code: string | undefined, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Stop the program that has it (ss -ltnp 'sport = :${port}'), or choose another port.`;
    case 'EACCES':
      return 'Ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher one behind a proxy.';
    case 'EADDRNOTAVAIL':
      return 'This machine does not have that address: correct the host.';
    default:
      return 'Choose another address or port.';
  }
}

/** Whether the health check of a node answers there, well or not. */
function isTrunkline(port: number, host: string | undefined, tls: boolean, path: string): Promise<boolean> {
  const wildcard = host === undefined || host === '0.0.0.0' || host === '::';
  const options = { host: wildcard ? '127.0.0.1' : host, port, path, timeout: PROBE_MS };
  return new Promise((resolve) => {
    // Its certificate is for other names than this address.
    const request = tls ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
    request.on('response', (response) => {
      let body = '';
      response.on('data', (chunk) => {
        if (body.length < 65_536) body += String(chunk);
      });
      response.on('error', () => resolve(false));
      response.on('close', () => resolve(/^\{"status":"/.test(body)));
    });
    request.end();
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
