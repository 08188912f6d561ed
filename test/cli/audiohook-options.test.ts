import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { audioHookOptions } from '../../src/cli/audiohook-options.js';
import { type Config, configSchema } from '../../src/config/schema.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-options-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const config = (settings: object): Config => configSchema.parse({ audiohookPort: 0, ...settings }) as Config;

function keysFile(content: unknown): string {
  const file = join(folder, 'keys.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

describe('the options of the AudioHook server from settings', () => {
  it('have keys with their organizations, and what a proxy needs', () => {
    const organizations = ['d7934305-0972-4844-938e-9060eef73d05'];
    const audiohookKeys = keysFile([{ apiKey: 'a', clientSecret: 'c2VjcmV0', organizations }]);
    const options = audioHookOptions(
      config({
        audiohookKeys,
        audiohookPublicAuthority: 'hooks.example.com',
        audiohookPublicPath: '/calls',
        audiohookTrustedProxies: ['loopback', '10.0.0.0/8'],
        audiohookNonceFile: join(folder, 'nonces'),
      }),
    );
    expect(options).toMatchObject({
      keys: [{ apiKey: 'a', clientSecret: 'c2VjcmV0', organizations }],
      publicAuthority: 'hooks.example.com',
      publicPath: '/calls',
      trustedProxies: ['loopback', '10.0.0.0/8'],
      nonceFile: join(folder, 'nonces'),
    });
  });

  it.each([[{ organizations: 'all' }], [{ organizations: ['mine'] }], [{ organisations: [] }]])(
    'refuse a key with %j, and name the place without its secret',
    (change) => {
      const audiohookKeys = keysFile([{ apiKey: 'a', clientSecret: 'c2VjcmV0', ...change }]);
      expect(() => audioHookOptions(config({ audiohookKeys }))).toThrowError(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('c2VjcmV0') }),
      );
    },
  );
});
