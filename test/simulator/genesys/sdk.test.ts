import { expect, test } from 'vitest';
import { Listener } from '../../support/genesys/listener.js';
import { start } from '../../support/genesys/running.js';

/** As much of Genesys's own SDK as is used here; its types are 73,600 lines of models. */
interface Sdk {
  readonly ApiClientClass: new () => {
    config: { live_reload_config: boolean };
    setGateway(gateway: object): void;
    loginClientCredentialsGrant(id: string, secret: string): Promise<{ accessToken: string; tokenExpiryTime: number }>;
  };
  readonly ConversationsApi: new (client: object) => { getConversation(id: string): Promise<Conversation> };
}

interface Conversation {
  readonly id: string;
  readonly endTime?: string;
  readonly participants: {
    purpose: string;
    calls: { state: string; connectedTime: string; disconnectedTime?: string }[];
  }[];
}

const sdk = (await import('purecloud-platform-client-v2')).default as unknown as Sdk;
const client = new sdk.ApiClientClass();
client.config.live_reload_config = false;
const conversations = new sdk.ConversationsApi(client);

test('the real SDK signs in and reads conversations', async () => {
  const simulator = await start({
    interactions: 2,
    seconds: 0.2,
    clientId: 'id',
    clientSecret: 'right',
    tokenSeconds: 900,
  });
  const [ended = '', waiting = ''] = simulator.interactionIds;
  const { hostname, port } = new URL(simulator.apiUrl);
  client.setGateway({ host: hostname, protocol: 'http', port: Number(port) });
  await expect(conversations.getConversation(ended)).rejects.toMatchObject({ status: 401 });
  await expect(client.loginClientCredentialsGrant('id', 'wrong')).rejects.toThrow('401');
  const { accessToken, tokenExpiryTime } = await client.loginClientCredentialsGrant('id', 'right');
  expect(accessToken.length).toBeGreaterThan(30);
  expect(Math.abs(tokenExpiryTime - Date.now() - 900_000)).toBeLessThan(10_000);

  const listener = await Listener.connect(simulator, accessToken);
  listener.subscribe([ended]);
  await listener.ended([ended]);
  const live = await conversations.getConversation(waiting);
  expect(live.id).toBe(waiting);
  expect(live.endTime).toBeUndefined();
  expect(live.participants.map(({ purpose }) => purpose)).toEqual(['customer', 'agent']);
  for (const { calls } of live.participants) {
    expect(calls).toMatchObject([
      { state: 'connected', connectedTime: expect.stringMatching(/^\d{4}-.*Z$/) as string },
    ]);
    expect(calls[0]?.disconnectedTime).toBeUndefined();
  }
  const over = await conversations.getConversation(ended);
  expect(Math.abs(Date.parse(over.endTime ?? '') - Date.now())).toBeLessThan(10_000);
  expect(over.participants[0]?.calls).toMatchObject([{ state: 'terminated', disconnectedTime: over.endTime }]);
  await expect(conversations.getConversation('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({
    status: 404,
    code: 'not.found',
  });
});
