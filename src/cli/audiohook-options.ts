import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Config } from '../config/schema.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import type { AudioHookOptions } from '../index.js';

const keysSchema = z
  .array(
    z.strictObject({
      apiKey: z.string().min(1),
      clientSecret: z.string().min(1).exactOptional(),
      organizations: z.array(z.guid()).exactOptional(),
    }),
  )
  .min(1);
type Keys = z.infer<typeof keysSchema>;

/**
 * The options of the AudioHook server that the settings ask for. Reads the files of keys and certificates.
 *
 * @throws TrunklineError CONFIG_INVALID
 */
export function audioHookOptions(config: Config): AudioHookOptions {
  const { audiohookPort: port } = config;
  if (port === undefined)
    throw usage('The port to listen on is missing: give --port, or TRUNKLINE_AUDIOHOOK_PORT in the environment.');
  const tls = tlsFrom(config.audiohookTlsCert, config.audiohookTlsKey);
  return {
    port,
    path: config.audiohookPath,
    keys: keysFrom(config),
    allowUnsigned: config.audiohookAllowUnsigned,
    startPaused: config.audiohookStartPaused,
    publicAuthority: config.audiohookPublicAuthority,
    publicPath: config.audiohookPublicPath,
    trustedProxies: config.audiohookTrustedProxies,
    nonceFile: config.audiohookNonceFile,
    host: config.audiohookHost,
    ...(tls === undefined ? {} : { tls }),
  };
}

function keysFrom({ audiohookKeys: file, audiohookApiKey: apiKey, audiohookClientSecret: clientSecret }: Config): Keys {
  // A key in the environment and keys in a file are all accepted; a secret without a key is a mistake.
  const keys = file === undefined ? [] : keysOf(file);
  if (apiKey !== undefined) keys.push(clientSecret === undefined ? { apiKey } : { apiKey, clientSecret });
  else if (clientSecret !== undefined) {
    throw usage('A client secret belongs to a key: give --api-key, or TRUNKLINE_AUDIOHOOK_API_KEY, as well.');
  }
  if (keys.length > 0) return keys;
  throw usage(
    'No API key is set: give a file with --keys, or TRUNKLINE_AUDIOHOOK_API_KEY and TRUNKLINE_AUDIOHOOK_CLIENT_SECRET ' +
      'in the environment.',
  );
}

function keysOf(file: string): Keys {
  const parsed = keysSchema.safeParse(jsonOf(file));
  if (parsed.success) return parsed.data;
  // The places only: the values may be secrets.
  const places = parsed.error.issues.map(({ path }) => path.join('.') || 'the list').join(', ');
  throw usage(`${file} must be a JSON list of {"apiKey": …, "clientSecret": …}; wrong at: ${places}.`);
}

function jsonOf(file: string): unknown {
  const text = textOf(file, 'keys');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the file.
    throw usage(`${file} is not JSON; it must be a list of {"apiKey": …, "clientSecret": …}.`);
  }
}

function tlsFrom(cert: string | undefined, key: string | undefined): { cert: string; key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw usage('--tls-cert and --tls-key belong together; give both.');
  return { cert: textOf(cert, 'the certificate'), key: textOf(key, 'the private key') };
}

function textOf(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read ${what}: ${messageOf(error)}`, { cause: error });
  }
}

function usage(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
