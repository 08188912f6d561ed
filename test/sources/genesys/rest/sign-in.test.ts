import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import { TrunklineError } from '../../../../src/core/errors.js';
import { Conversations, judgeConversation } from '../../../../src/sources/genesys/rest/conversations.js';
import { TokenBucket } from '../../../../src/sources/genesys/rest/rate-limit.js';
import { resolveEndpoints } from '../../../../src/sources/genesys/rest/region.js';
import { Rest } from '../../../../src/sources/genesys/rest/rest.js';
import { renewalDelayMs, SignIn, type SignInDependencies } from '../../../../src/sources/genesys/rest/sign-in.js';
import { Transport } from '../../../../src/sources/genesys/rest/transport.js';
import { FakePlatform, json } from '../../../support/genesys/fake-platform.js';

const SECRET = 'very-secret';
let platform: FakePlatform;
let signIn: SignIn;
let waitsUs: number[];
let environment: SignInDependencies;

beforeEach(async () => {
  platform = await FakePlatform.start();
  waitsUs = [];
  environment = {
    clock: systemClock,
    bucket: new TokenBucket(systemClock),
    random: () => 1,
    sleep: async (us) => void waitsUs.push(us),
  };
  const endpoints = resolveEndpoints({ apiUrl: platform.apiUrl });
  signIn = new SignIn({ clientId: 'me', clientSecret: SECRET, endpoints, transport: new Transport() }, environment);
});

afterEach(async () => {
  signIn.close();
  await platform.stop();
});

async function failure(promise: Promise<unknown>): Promise<TrunklineError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TrunklineError);
  // However much of it is printed, neither secret nor token nor what they are coded to stands in it.
  const printed = inspect(error, { depth: 20, showHidden: true });
  for (const hidden of [SECRET, 'token-', Buffer.from(`me:${SECRET}`).toString('base64')]) {
    expect(printed).not.toContain(hidden);
  }
  return error as TrunklineError;
}

describe('SignIn, with the real SDK', () => {
  test('signs in once for all who ask', async () => {
    const tokens = await Promise.all([signIn.getToken(), signIn.getToken(), signIn.renew(), signIn.getToken()]);
    expect(new Set(tokens)).toEqual(new Set(['token-0']));
    expect(await signIn.getToken()).toBe('token-0');
    expect(platform.tokens).toHaveLength(1);
    expect(signIn.tokenAgeMs()).toBeLessThan(20_000);
  });

  test('a token that was refused is renewed once for all who had it', async () => {
    const old = await signIn.getToken();
    const renewed = await Promise.all([signIn.renew(old), signIn.renew(old)]);
    expect(renewed).toEqual(['token-1', 'token-1']);
    expect(await signIn.renew(old)).toBe('token-1');
    expect(platform.tokens).toHaveLength(2);
  });

  test('a short token is renewed at half its life', async () => {
    platform.tokenSeconds = 1;
    expect(await signIn.getToken()).toBe('token-0');
    await expect.poll(() => signIn.getToken(), { timeout: 5_000, interval: 20 }).not.toBe('token-0');
    // In the background, that is, and not because somebody asked for it after its end.
    expect(signIn.tokenAgeMs()).toBeLessThan(400);
  });

  test('renewal: five minutes before the end, or half the life of a token under ten minutes', () => {
    expect(renewalDelayMs(86_400_000)).toBe(86_400_000 - 300_000);
    expect(renewalDelayMs(600_000)).toBe(300_000);
    expect(renewalDelayMs(599_000)).toBe(299_500);
    expect(renewalDelayMs(20_000)).toBe(10_000);
  });

  test.each([400, 401])('wrong credentials (%i) are not tried again', async (status) => {
    platform.onToken = (_request, response) => {
      json(response, status, { error: 'invalid_client' });
      return true;
    };
    const error = await failure(signIn.getToken());
    expect(error.code).toBe('AUTH_FAILED');
    expect(error.message).toMatch(/GENESYS_CLIENT_ID.*GENESYS_CLIENT_SECRET.*GENESYS_REGION/);
    expect(platform.requests).toEqual(['POST /oauth/token']);
  });

  test('a failing server is tried five times, with growing waits, and each of them is told', async () => {
    const told: string[] = [];
    signIn.onFailure = ({ message }) => told.push(message);
    platform.onToken = (_request, response) => {
      json(response, 503, {});
      return true;
    };
    expect((await failure(signIn.getToken())).code).toBe('CONNECTION_FAILED');
    expect(platform.requests).toHaveLength(5);
    expect(waitsUs).toEqual([1e6, 2e6, 4e6, 8e6]);
    expect(told).toEqual(
      ['1.0', '2.0', '4.0', '8.0'].map((seconds) =>
        expect.stringMatching(
          `^Sign-in at 127.0.0.1:\\d+: the platform answers with status 503.* tried again in ${seconds} s\\.$`,
        ),
      ),
    );
  });

  test('Retry-After is honoured', async () => {
    let refusals = 0;
    platform.onToken = (_request, response) => {
      if (refusals++ > 0) return false;
      json(response, 429, {}, { 'Retry-After': '9' });
      return true;
    };
    expect(await signIn.getToken()).toBe('token-0');
    expect(waitsUs).toEqual([9e6]);
  });

  test('a server that is not there', async () => {
    await platform.stop();
    const error = await failure(signIn.getToken());
    expect(error.code).toBe('CONNECTION_FAILED');
    expect(error.message).toMatch(/^Sign-in at 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    platform = await FakePlatform.start();
  });
});

describe('Conversations, with the real SDK', () => {
  let conversations: Conversations;
  beforeEach(() => {
    conversations = new Conversations(new Rest(signIn, environment), environment.clock);
  });

  test('active and not found', async () => {
    expect(await conversations.availability('a')).toBe('active');
    platform.conversation = (_id, response) => json(response, 404, { status: 404, code: 'not.found' });
    expect(await conversations.availability('b')).toBe('notFound');
    expect(platform.requests.slice(1)).toEqual(['GET /api/v2/conversations/a', 'GET /api/v2/conversations/b']);
  });

  test('401 renews the token and asks again, once more after a wait, and no further', async () => {
    const used: (string | undefined)[] = [];
    let refusals = 1;
    platform.conversation = (id, response, { headers }) => {
      used.push(headers.authorization);
      if (used.length <= refusals) json(response, 401, {});
      else json(response, 200, { id, participants: [] });
    };
    expect(await conversations.availability('a')).toBe('active');
    expect(used).toEqual(['Bearer token-0', 'Bearer token-1']);
    expect(waitsUs).toEqual([]);
    refusals = 4;
    expect(await conversations.availability('a')).toBe('active');
    expect(used.slice(2)).toEqual(['Bearer token-1', 'Bearer token-2', 'Bearer token-3']);
    expect(waitsUs).toEqual([1e6]);
    refusals = Infinity;
    const error = await failure(conversations.availability('a'));
    expect(error.code).toBe('AUTH_FAILED');
    expect(error.message).toMatch(/refuses even new tokens \(401\); check GENESYS_REGION/);
    expect(used).toHaveLength(8);
  });

  test('403 is a matter of permissions', async () => {
    platform.conversation = (_id, response) => json(response, 403, {});
    expect((await failure(conversations.availability('a'))).message).toMatch(/403; give the OAuth client.*permission/);
    expect(platform.tokens).toHaveLength(1);
  });

  test('5xx and 429 are tried again', async () => {
    const statuses = [500, 429];
    platform.conversation = (id, response) => json(response, statuses.shift() ?? 200, { id, participants: [] });
    expect(await conversations.availability('a')).toBe('active');
    platform.conversation = (_id, response) => json(response, 429, {}, { 'retry-after': '1' });
    expect((await failure(conversations.availability('a'))).code).toBe('RATE_LIMITED');
  });
});

describe('judgeConversation', () => {
  const nowMs = Date.parse('2024-05-01T12:00:00Z');
  const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();

  test.each<[string, unknown, string]>([
    [
      'a call goes on',
      { participants: [{ calls: [{ disconnectedTime: ago(300) }] }, { calls: [{ state: 'connected' }] }] },
      'active',
    ],
    [
      'the last call ended just now',
      { participants: [{ calls: [{ disconnectedTime: ago(300) }] }, { calls: [{ disconnectedTime: ago(59) }] }] },
      'ended',
    ],
    ['the last call ended a minute ago', { participants: [{ calls: [{ disconnectedTime: ago(60) }] }] }, 'expired'],
    ['a voice session ended', { participants: [{ sessions: [{ mediaType: 'voice', endTime: ago(61) }] }] }, 'expired'],
    [
      'a chat goes on after the call',
      { participants: [{ calls: [{ disconnectedTime: ago(61) }], sessions: [{ mediaType: 'chat' }] }] },
      'expired',
    ],
    [
      'the conversation says that it ended',
      { endTime: ago(61), participants: [{ calls: [{ state: 'connected' }] }] },
      'expired',
    ],
    ['the conversation ended just now', { endTime: ago(1), participants: [] }, 'ended'],
    ['nothing is known', {}, 'active'],
    ['odd fields', { endTime: 7, participants: 'none' }, 'active'],
    ['an extended response', { status: 200, headers: {}, body: { endTime: ago(61) } }, 'expired'],
  ])('%s', (_what, resource, availability) => {
    expect(judgeConversation(resource, nowMs)).toBe(availability);
  });
});
