import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { AudioHookNode } from '../../../../src/node/audiohook-node.js';
import { audioHook } from '../../../../src/sources/audiohook/audiohook.js';
import {
  type AudioHookServerOptions,
  checkServerOptions,
} from '../../../../src/sources/audiohook/server/server-options.js';

const keys = [{ apiKey: 'key', clientSecret: 'c2VjcmV0' }];
const check = (options: object) => (): void => checkServerOptions(options as AudioHookServerOptions);

const said = (make: () => unknown): string => {
  try {
    make();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('options of the server', () => {
  it.each<[string, object]>([
    ['tsl', { tsl: {} }],
    ['limits.session', { limits: { session: 1 } }],
    ['port', { port: '8080' }],
    ['keys.0.secret', { keys: [{ apiKey: 'key', secret: 'x' }] }],
  ])('are named in errors as the caller wrote them: %s', (name, change) => {
    const options = { port: 0, keys, ...change } as AudioHookServerOptions;
    expect(said(() => audioHook(options))).toMatch(`The option "${name}" `);
    expect(said(() => new AudioHookNode({ server: options }))).toMatch(`The option "server.${name}" `);
  });

  it.each<[string, object]>([
    ['the least', { port: 0, keys }],
    ['undefined for what is not given', { port: 0, keys, tls: undefined, limits: undefined, host: undefined }],
    ['another HTTP server', { httpServer: createServer(), keys }],
    ['no server', { noServer: true, keys }],
    [
      'everything',
      {
        port: 8_080,
        host: '::',
        path: '/calls',
        keys: [{ ...keys[0], organizations: ['d7934305-0972-4844-938e-9060eef73d05'] }],
        allowUnsigned: false,
        publicAuthority: 'hooks.example.com',
        publicPath: '/p',
        trustedProxies: ['loopback'],
        tls: { cert: 'PEM', key: Buffer.from('PEM') },
        nonceFile: '/tmp/nonces',
        limits: { sessions: 10, outboundBytes: 4_096 },
        timing: { pingWaitUs: 1e6 },
        refusalDelayMs: 0,
        lossWindowMs: 0,
        reconnectWindowMs: 100,
        supportedLanguages: ['en-US'],
        startPaused: () => true,
        discardToSeconds: 3,
        finishStream: async () => {},
        problems: () => [],
        clock: { nowUs: () => 0, wallMs: () => 0 },
      },
    ],
  ])('are accepted: %s', (_name, options) => {
    expect(check(options)).not.toThrow();
  });

  it.each<[string, object]>([
    ['tsl', { tsl: {} }],
    ['tls.certificate', { tls: { cert: 'x', key: 'y', certificate: 'z' } }],
    ['limits.session', { limits: { session: 1 } }],
    ['timing.pingWaitMs', { timing: { pingWaitMs: 1 } }],
    ['keys.0.secret', { keys: [{ apiKey: 'key', secret: 'x' }] }],
    ['limits.sessions', { limits: { sessions: '10' } }],
    ['limits.headerMs', { limits: { headerMs: -1 } }],
    ['timing.openWaitUs', { timing: { openWaitUs: Number.NaN } }],
    ['tls.key', { tls: { cert: 'x' } }],
    ['keys', { keys: 'key' }],
    ['keys.0.organizations.0', { keys: [{ apiKey: 'key', organizations: ['mine'] }] }],
    ['port', { port: '8080' }],
    ['port', { port: 65_536 }],
    ['port', { port: undefined }],
    ['port', { noServer: true }],
    ['path', { path: 'calls' }],
    ['path', { path: '/calls?x' }],
    ['host', { host: '' }],
    ['startPaused', { startPaused: 'yes' }],
    ['allowUnsigned', { allowUnsigned: 'false' }],
    ['httpServer', { port: undefined, httpServer: {} }],
    ['tls', { port: undefined, noServer: true, tls: { cert: 'x', key: 'y' } }],
    ['clock', { clock: { nowUs: 1 } }],
    ['trustedProxies', { trustedProxies: 'loopback' }],
  ])('are refused by name: %s', (name, change) => {
    expect(check({ port: 0, keys, ...change })).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(`"${name}"`) }),
    );
  });

  it('never appear in the message with their values', () => {
    const secret = 'dG9wLXNlY3JldA==';
    const options = { port: 0, keys: [{ apiKey: 7, clientSecret: [secret] }], tls: { cert: secret } };
    expect(check(options)).toThrowError(expect.objectContaining({ message: expect.not.stringContaining(secret) }));
  });
});
