import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import { Refusals, zeroCounters } from '../../../../src/sources/genesys/counters.js';
import { Interaction } from '../../../../src/sources/genesys/interaction/interaction.js';
import { MediaSocket, type MediaSocketEvent } from '../../../../src/sources/genesys/media/media-socket.js';
import { PacketIngest } from '../../../../src/sources/genesys/media/packet-ingest.js';
import { MEDIA_RETRY } from '../../../../src/sources/genesys/rest/retry.js';
import { Transport } from '../../../../src/sources/genesys/rest/transport.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';

const QUICK = { baseUs: 1_000, capUs: 1_000, maxAttempts: 3 };

interface Given {
  readonly token?: string;
  readonly mediaUrl?: string;
  readonly transport?: Transport;
  readonly onEvent?: (event: MediaSocketEvent) => void;
}

/** A connection with one interaction, until it is closed. */
function run({ token = 'good', mediaUrl = 'ws://127.0.0.1:1/', transport = new Transport(), onEvent }: Given) {
  return new Promise<MediaSocketEvent[]>((resolve) => {
    const ingest = new FakeIngest();
    const counters = zeroCounters();
    const refusals = new Refusals(counters);
    const events: MediaSocketEvent[] = [];
    const socket = new MediaSocket(
      0,
      {
        mediaUrl,
        transport,
        signIn: { getToken: async () => token, renew: async () => token },
        clock: systemClock,
        packetIngest: new PacketIngest(ingest, systemClock, counters, { control: () => {}, refusals }),
        refusals,
        settings: { random: () => 1, retry: QUICK },
        ask: async () => 'unknown',
      },
      (_, event) => {
        events.push(event);
        onEvent?.(event);
        if (event.kind === 'closed') resolve(events);
      },
    );
    const interaction = new Interaction('a', {
      ...{ ingest, mediaRetry: MEDIA_RETRY, random: () => 1 },
      formats: { codecPreferences: ['pcmu'], opusSampleRate: 16_000 },
      deliver: () => {},
      giveUp: () => {},
      refusedPacket: () => {},
    });
    interaction.answered('active', 0);
    socket.attach(interaction);
  });
}

const kinds = (events: readonly MediaSocketEvent[]) => events.map(({ kind }) => kind);
const given = ['error', 'error', 'error', 'error', 'exhausted', 'ended', 'closed'];

test.each([
  ['a line break', 'a\r\nX-Evil: 1'],
  ['a character beyond Latin-1', 'tok€n'],
])('a token with %s fails each attempt to connect, and nothing else', async (_, token) => {
  const events = await run({ token });
  expect(kinds(events)).toEqual(given);
  expect(events[0]).toMatchObject({ error: { code: 'CONNECTION_FAILED', message: expect.stringMatching(/header/) } });
});

test('an address or a proxy that WebSocket refuses at once is a failed attempt', async () => {
  expect(kinds(await run({ mediaUrl: 'ws://127.0.0.1:1/#part' }))).toEqual(given);
  const transport = new Transport();
  transport.webSocketOptions = () => {
    throw new Error('The proxy has become invalid.');
  };
  const events = await run({ transport });
  expect(kinds(events)).toEqual(given);
  expect(events[0]).toMatchObject({ error: { message: expect.stringContaining('has become invalid') } });
});
