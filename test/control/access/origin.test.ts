import { describe, expect, test } from 'vitest';
import { isCrossSite, isHostAllowed } from '../../../src/control/access/origin.js';

const rules = { allowedHosts: new Set(['ops.example.com']), allowedOrigins: new Set(['https://grafana.example.com']) };

describe('the Host header', () => {
  test.each([
    ['localhost', true],
    ['localhost:9464', true],
    ['LOCALHOST:9464', true],
    ['node.localhost:9464', true],
    ['127.0.0.1:9464', true],
    ['10.1.2.3:9464', true],
    ['[::1]:9464', true],
    ['ops.example.com', true],
    ['ops.example.com:443', true],
    ['OPS.example.com', true],
    ['evil.example.net', false],
    ['ops.example.com.evil.net', false],
    ['localhost.evil.net', false],
    ['127.0.0.1.evil.net:9464', false],
    ['evil.net#localhost', false],
    ['localhost@evil.net', false],
    ['user@localhost', false],
    ['localhost:9464:1', false],
    ['', false],
    [undefined, false],
  ])('%s is allowed: %s', (host, allowed) => {
    expect(isHostAllowed(host, rules)).toBe(allowed);
  });
});

describe('a request', () => {
  test.each([
    ['without an origin, from a tool', { host: 'localhost:1' }, false],
    ['of the server itself', { host: 'localhost:1', origin: 'http://localhost:1' }, false],
    [
      'of the server itself, behind a proxy that ends TLS',
      { host: 'ops.example.com', origin: 'https://ops.example.com' },
      false,
    ],
    ['of an allowed origin', { host: 'localhost:1', origin: 'https://grafana.example.com' }, false],
    ['of another port', { host: 'localhost:1', origin: 'http://localhost:2' }, true],
    ['of another site', { host: 'localhost:1', origin: 'https://evil.example.net' }, true],
    ['of a sandboxed page', { host: 'localhost:1', origin: 'null' }, true],
    ['of an allowed name under another scheme', { host: 'localhost:1', origin: 'http://grafana.example.com' }, true],
    ['that an image of another site makes', { host: 'localhost:1', 'sec-fetch-site': 'cross-site' }, true],
    ['that a sister site makes', { host: 'localhost:1', 'sec-fetch-site': 'same-site' }, true],
    ['that the page itself makes', { host: 'localhost:1', 'sec-fetch-site': 'same-origin' }, false],
    ['that a person types in', { host: 'localhost:1', 'sec-fetch-site': 'none' }, false],
  ])('%s', (_, headers, isRefused) => {
    expect(isCrossSite(headers, rules)).toBe(isRefused);
  });
});
