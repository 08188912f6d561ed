import { readFileSync } from 'node:fs';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf, TrunklineError } from '../../core/errors.js';

/** Where the servers of NATS are, and how this node proves to them who it is. */
export interface NatsConnectionOptions {
  /**
   * Addresses such as `nats://host:4222` or `tls://user:password@host:4222`; any of a cluster, which names the others. A
   * user without a password is a token.
   */
  readonly servers: readonly string[];
  /** PEM file of certificates that the servers' certificates must come from; default: the usual ones. */
  readonly caFile?: string | undefined;
  /** PEM file of this node's certificate, where the servers ask for one. */
  readonly certFile?: string | undefined;
  /** PEM file of its key. */
  readonly keyFile?: string | undefined;
  /** File of credentials (a JWT and its NKey), as `nsc` writes them. */
  readonly credentialsFile?: string | undefined;
  /** File of the seed of an NKey. */
  readonly nkeyFile?: string | undefined;
}

/** How long a server of NATS may take. */
export interface NatsTiming {
  readonly connectMs: number;
  /** Between two pings; a server that has not answered two of them is taken for dead. */
  readonly pingMs: number;
  /** Until a request counts as unanswered. */
  readonly requestMs: number;
  /** A watch whose server has said nothing for so long, though it does so each second, is begun again. */
  readonly silentMs: number;
}

export const NATS_TIMING: NatsTiming = { connectMs: 2_000, pingMs: 2_000, requestMs: 1_000, silentMs: 2_500 };

const RECONNECT_MS = 250;
const PINGS = 2;

/**
 * Connects, and reconnects for as long as it is not closed. Resolves with the first connection.
 * @throws TrunklineError CONFIG_INVALID for files that cannot be read, AUTH_FAILED when the servers refuse this node,
 *   CONNECTION_FAILED when none of them can be reached.
 */
export async function connectToNats(
  options: NatsConnectionOptions,
  name: string,
  { connectMs, pingMs }: NatsTiming = NATS_TIMING,
): Promise<NatsConnection> {
  const nats = await loadNats();
  const { servers, credentialsFile, nkeyFile, caFile, certFile, keyFile } = options;
  const credentials = credentialsFile === undefined ? undefined : readBytes(credentialsFile);
  const seed = nkeyFile === undefined ? undefined : Buffer.from(readBytes(nkeyFile).toString('utf8').trim());
  for (const file of [caFile, certFile, keyFile]) if (file !== undefined) readBytes(file);
  const tls = { ...(caFile && { caFile }), ...(certFile && { certFile }), ...(keyFile && { keyFile }) };
  const connection: NodeConnectionOptions = {
    ...{
      ...logInOf(servers),
      servers: servers.map(withoutSecrets),
      name,
      timeout: connectMs,
      pingInterval: pingMs,
      maxPingOut: PINGS,
    },
    ...{ maxReconnectAttempts: -1, reconnectTimeWait: RECONNECT_MS, ignoreAuthErrorAbort: true },
    ...(Object.keys(tls).length > 0 && { tls }),
    ...(credentials !== undefined && { authenticator: nats.credsAuthenticator(credentials) }),
    ...(seed !== undefined && { authenticator: nats.nkeyAuthenticator(seed) }),
  };
  try {
    return await nats.connect(connection);
  } catch (error) {
    const isRefused = error instanceof nats.AuthorizationError || error instanceof nats.UserAuthenticationExpiredError;
    const where = servers.map(withoutSecrets).join(', ');
    throw isRefused
      ? new TrunklineError('AUTH_FAILED', `NATS at ${where} refuses this node: ${messageOf(error)}.`)
      : new TrunklineError('CONNECTION_FAILED', `Cannot connect to NATS at ${where}: ${messageOf(error)}.`);
  }
}

/** @throws TrunklineError CONFIG_INVALID when the packages, which are optional, are not installed. */
export async function loadNats(): Promise<typeof import('@nats-io/transport-node')> {
  try {
    return await import('@nats-io/transport-node');
  } catch {
    const packages = '@nats-io/transport-node and @nats-io/jetstream';
    throw new TrunklineError('CONFIG_INVALID', `For --nats the packages ${packages} must be installed.`);
  }
}

/** User and password, or token, of the first address that has them: the client takes them apart from the addresses. */
function logInOf(servers: readonly string[]): { user?: string; pass?: string; token?: string } {
  for (const server of servers) {
    const [, user, pass] = /\/\/([^:/@]*)(?::([^/@]*))?@/.exec(server) ?? [];
    if (user === undefined) continue;
    return pass === undefined
      ? { token: decodeURIComponent(user) }
      : { user: decodeURIComponent(user), pass: decodeURIComponent(pass) };
  }
  return {};
}

/** An address without user and password. */
export function withoutSecrets(server: string): string {
  return server.replace(/\/\/[^/@]*@/, '//');
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read ${file}: ${messageOf(error)}.`);
  }
}
