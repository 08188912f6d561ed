import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../../../src/core/clock.js';
import { guessCodec, guessFormat } from '../../../../src/sources/genesys/protocol/formats.js';
import { REQUEST_BUDGET, TokenBucket } from '../../../../src/sources/genesys/rest/rate-limit.js';
import { resolveEndpoints } from '../../../../src/sources/genesys/rest/region.js';
import { backoffUs, parseRetryAfterUs, RETRY } from '../../../../src/sources/genesys/rest/retry.js';

describe('TokenBucket', () => {
  test('no minute sees more than the platform allows, however greedy the caller', async () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket(clock, REQUEST_BUDGET, async (us) => clock.advanceUs(us));
    const timesUs: number[] = [];
    for (let i = 0; i < 1200; i++) {
      await bucket.take();
      timesUs.push(clock.nowUs());
    }
    let first = 0;
    for (const [i, timeUs] of timesUs.entries()) {
      while (timeUs - (timesUs[first] ?? 0) >= 60e6) first++;
      expect(i - first + 1).toBeLessThan(300);
    }
    expect(clock.nowUs() / 60e6).toBeLessThan(1200 / 220);
  });

  test('waiters are served in order', async () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket(clock, { burst: 1, perMinute: 60 }, async (us) => clock.advanceUs(us));
    const served: number[] = [];
    await Promise.all(
      [1, 2, 3].map(async (who) => {
        await bucket.take();
        served.push(who);
      }),
    );
    expect(served).toEqual([1, 2, 3]);
    expect(clock.nowUs()).toBeCloseTo(2e6, 0);
  });

  test('one that gave up does not stop those behind it', async () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket(clock, { burst: 2, perMinute: 60 }, async (us) => clock.advanceUs(us));
    await expect(bucket.take(AbortSignal.abort())).rejects.toThrow();
    await bucket.take();
    expect(bucket.tryTake(1)).toBe(false);
    expect(bucket.tryTake()).toBe(true);
  });
});

describe('backoff', () => {
  test('doubles up to its cap, with full jitter', () => {
    expect([0, 1, 2, 3, 4].map((n) => backoffUs(RETRY, n, () => 1) / 1e6)).toEqual([1, 2, 4, 8, 16]);
    expect(backoffUs(RETRY, 30, () => 0.5)).toBe(30e6);
    expect(backoffUs(RETRY, 4, () => 0)).toBe(0);
  });

  test('Retry-After in seconds and as a date', () => {
    const wallMs = Date.parse('Wed, 01 May 2024 12:00:00 GMT');
    expect(parseRetryAfterUs('3', wallMs)).toBe(3e6);
    expect(parseRetryAfterUs('Wed, 01 May 2024 12:00:05 GMT', wallMs)).toBe(5e6);
    expect(parseRetryAfterUs('Wed, 01 May 2024 11:00:00 GMT', wallMs)).toBe(0);
    for (const odd of [undefined, '', 'soon', {}]) expect(parseRetryAfterUs(odd, wallMs)).toBeUndefined();
  });
});

describe('resolveEndpoints', () => {
  test.each([
    ['us-east-1', 'mypurecloud.com', 'us-east-1.mypurecloud.com'],
    ['mypurecloud.ie', 'mypurecloud.ie', 'eu-west-1.mypurecloud.com'],
    ['https://api.mypurecloud.com.au/', 'mypurecloud.com.au', 'ap-southeast-2.mypurecloud.com'],
    ['usw2.pure.cloud', 'usw2.pure.cloud', 'us-west-2.mypurecloud.com'],
    ['EU-CENTRAL-1', 'mypurecloud.de', 'eu-central-1.mypurecloud.com'],
    ['private.example.org', 'private.example.org', 'private.example.org'],
  ])('%s', (region, domain, media) => {
    expect(resolveEndpoints({ region })).toEqual({
      domain,
      gateway: undefined,
      mediaUrl: `wss://media.${media}/api/v2/media/streams`,
    });
  });

  test('addresses of one’s own', () => {
    expect(resolveEndpoints({ apiUrl: 'http://127.0.0.1:8080/base/', mediaUrl: 'ws://127.0.0.1:8081/x' })).toEqual({
      domain: 'mypurecloud.com',
      gateway: { protocol: 'http', host: '127.0.0.1', port: 8080, path: '/base' },
      mediaUrl: 'ws://127.0.0.1:8081/x',
    });
  });

  test.each([
    { region: 'nowhere' },
    { region: 'a b.c' },
    { apiUrl: 'ftp://x' },
    { apiUrl: 'x' },
    { mediaUrl: 'http://x' },
  ])('refuses %o', (settings) => {
    expect(() => resolveEndpoints(settings)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});

describe('guessing a format', () => {
  const preferences = { codecPreferences: ['opus', 'pcmu', 'pcma'] as const, opusSampleRate: 16_000 };

  test('the packet’s own codec comes first', () => {
    expect(guessFormat(new Uint8Array(160), 3, 2, preferences)).toEqual({
      codec: 'opus',
      clockRate: 48_000,
      sampleRate: 16_000,
      channels: 2,
    });
    expect(guessFormat(new Uint8Array(640), 2, 1, preferences)).toEqual({
      codec: 'l16',
      clockRate: 16_000,
      sampleRate: 16_000,
      channels: 1,
    });
    expect(guessFormat(new Uint8Array(33), 1, 1, preferences)).toEqual({
      codec: 'pcma',
      clockRate: 8_000,
      sampleRate: 8_000,
      channels: 1,
    });
  });

  test('whole tens of milliseconds are G.711, its law by what silence looks like', () => {
    expect(guessCodec(new Uint8Array(160).fill(0xff), ['opus', 'pcma'])).toBe('pcmu');
    expect(guessCodec(new Uint8Array(240).fill(0xd5), ['opus', 'pcmu'])).toBe('pcma');
    expect(guessCodec(new Uint8Array(160).fill(0x10), ['opus', 'pcma'])).toBe('pcma');
    expect(guessCodec(new Uint8Array(160).fill(0x10), [])).toBe('pcmu');
  });

  test('other lengths are Opus where it is wanted', () => {
    expect(guessCodec(new Uint8Array(37), ['opus', 'pcmu'])).toBe('opus');
    expect(guessCodec(new Uint8Array(37), ['pcmu'])).toBe('pcmu');
    expect(guessCodec(new Uint8Array(160), ['opus'])).toBe('opus');
  });
});
