import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSensitive, redact } from '../../../src/sinks/audit/redact.js';

describe('what is taken out', () => {
  it.each([
    ['call from +1 (555) 123-4567 ended', 'call from [number] ended'],
    ['0049 30 1234567', '[number]'],
    ['tel:+15551234567;ext=5', '[address];ext=5'],
    ['from sip:alice@example.com today', 'from [address] today'],
    ['from alice@example.com today', 'from [address] today'],
    ['Authorization: Bearer abc.DEF-123_x=', '[secret]'],
    ['bearer abc123', '[token]'],
    ['token eyJhbGciOi.eyJzdWIi.sig', 'token [token]'],
    ['client_secret=hunter2&x=1', '[secret]&x=1'],
    ['{"access_token":"aaa.bbb"}', '{"[secret]"}'],
    [`opaque ${'aZ09_'.repeat(9)}`, 'opaque [token]'],
  ])('%j becomes %j', (text, expected) => {
    expect(redact(text)).toBe(expected);
    expect(isSensitive(text)).toBe(true);
  });

  it.each([
    'connection lost',
    'code 1006 after 30 s',
    '7f9c2ba4-e88f-4a21-9c5e-123456789012',
    'interaction 12345678-1234-1234-1234-123456789012 ended',
    'ECONNREFUSED 127.0.0.1:8080',
    'eu-central-1',
  ])('%j stays', (text) => {
    expect(redact(text)).toBe(text);
    expect(isSensitive(text)).toBe(false);
  });

  it('no telephone number comes through, however it is written and wherever it stands', () => {
    const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 7, maxLength: 15 });
    const separators = fc.constantFrom('', ' ', '-', '.', '/', ') ');
    fc.assert(
      fc.property(digits, separators, fc.constantFrom('', '+'), (number, separator, plus) => {
        const text = `before ${plus}${number.join(separator)} after`;
        expect(redact(text)).toBe('before [number] after');
      }),
    );
  });

  it('cuts what is long', () => {
    for (const text of ['1 '.repeat(1e5), 'a@b '.repeat(1e5), 'x '.repeat(1e5)]) {
      expect(redact(text).length).toBeLessThanOrEqual(512);
    }
  });

  it('done twice changes nothing more', () => {
    expect(redact('to a@b@c now')).toBe('to [address] now');
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => redact(redact(text)) === redact(text)));
  });
});
