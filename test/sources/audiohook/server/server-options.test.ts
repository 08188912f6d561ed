import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import {
  type AudioHookServerOptions,
  checkServerOptions,
} from '../../../../src/sources/audiohook/server/server-options.js';

const keys = [{ apiKey: 'key', clientSecret: 'c2VjcmV0' }];
const check = (options: object) => (): void => checkServerOptions(options as AudioHookServerOptions);

describe('options of the server', () => {
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
    ['server.tsl', { tsl: {} }],
    ['server.tls.certificate', { tls: { cert: 'x', key: 'y', certificate: 'z' } }],
    ['server.limits.session', { limits: { session: 1 } }],
    ['server.timing.pingWaitMs', { timing: { pingWaitMs: 1 } }],
    ['server.keys.0.secret', { keys: [{ apiKey: 'key', secret: 'x' }] }],
    ['server.limits.sessions', { limits: { sessions: '10' } }],
    ['server.limits.headerMs', { limits: { headerMs: -1 } }],
    ['server.timing.openWaitUs', { timing: { openWaitUs: Number.NaN } }],
    ['server.tls.key', { tls: { cert: 'x' } }],
    ['server.keys', { keys: 'key' }],
    ['server.keys.0.organizations.0', { keys: [{ apiKey: 'key', organizations: ['mine'] }] }],
    ['server.port', { port: '8080' }],
    ['server.port', { port: 65_536 }],
    ['server.port', { port: undefined }],
    ['server.port', { noServer: true }],
    ['server.path', { path: 'calls' }],
    ['server.path', { path: '/calls?x' }],
    ['server.host', { host: '' }],
    ['server.startPaused', { startPaused: 'yes' }],
    ['server.allowUnsigned', { allowUnsigned: 'false' }],
    ['server.httpServer', { port: undefined, httpServer: {} }],
    ['server.tls', { port: undefined, noServer: true, tls: { cert: 'x', key: 'y' } }],
    ['server.clock', { clock: { nowUs: 1 } }],
    ['server.trustedProxies', { trustedProxies: 'loopback' }],
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
