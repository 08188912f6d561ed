import { WebSocket } from 'ws';
import { LIMITS } from '../../../src/core/limits.js';
import { MEDIA_PATH } from '../../../src/simulator/genesys/server.js';
import { buildSubscription } from '../../../src/sources/genesys/protocol/wire.js';
import { interactionIds } from '../load/plan.js';

/** Opens the connections that so many interactions need, subscribes, and hands every message on. For the baselines. */
export async function openMediaClients(
  peer: string,
  streams: number,
  onMessage: (data: Buffer) => void,
): Promise<WebSocket[]> {
  const ids = interactionIds(streams);
  const clients: WebSocket[] = [];
  for (let from = 0; from < ids.length; from += LIMITS.interactionsPerConnection) {
    const client = new WebSocket(`ws://${peer}${MEDIA_PATH}`, { perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      client.once('open', resolve);
      client.once('error', reject);
    });
    client.on('message', onMessage);
    client.send(buildSubscription(ids.slice(from, from + LIMITS.interactionsPerConnection)));
    clients.push(client);
  }
  return clients;
}
