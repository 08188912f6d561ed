import { once } from 'node:events';
import WebSocket from 'ws';
import type { Simulator } from '../../../src/simulator/genesys/simulator.js';

export interface ReceivedPacket {
  readonly interactionId: string;
  readonly channel: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly payload: string;
}

/** What one client counts of an interaction, from nothing but its packets, in the order of their arrival. */
export interface Counts {
  packets: number;
  received: number;
  lost: number;
  duplicates: number;
  reordered: number;
  payloadBytes: number;
}

/** An independent client: it knows the protocol from its page and shares no code with the simulator. */
export class Listener {
  readonly socket: WebSocket;
  readonly packets: ReceivedPacket[] = [];
  readonly controls: Record<string, unknown>[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data, isBinary) => {
      if (isBinary) throw new Error('binary message');
      const message = JSON.parse(String(data)) as Record<string, unknown>;
      if (message['payload'] === undefined) {
        this.controls.push(message);
        return;
      }
      this.packets.push({
        interactionId: String(message['interactionId']),
        channel: Number(message['channel'] ?? 0),
        sequence: Number(message['sequenceNumber']),
        timestamp: Number(message['timestamp']),
        payload: String(message['payload']),
      });
    });
    socket.on('error', () => {});
  }

  static async connect(simulator: Simulator, givenToken?: string): Promise<Listener> {
    const token = givenToken ?? (await signIn(simulator));
    const socket = new WebSocket(simulator.mediaUrl, { headers: { authorization: `Bearer ${token}` } });
    const listener = new Listener(socket);
    await once(socket, 'open');
    return listener;
  }

  subscribe(ids: readonly string[]): void {
    const interactions = ids.map((interactionId) => ({
      interactionId,
      mediaType: 'voice',
      codecPreferences: ['opus', 'pcmu'],
    }));
    this.socket.send(JSON.stringify({ interactions }));
  }

  unsubscribe(ids: readonly string[]): void {
    this.socket.send(JSON.stringify({ unsubscribe: ids }));
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await once(this.socket, 'message', { signal: AbortSignal.timeout(10_000) });
  }

  async control(match: Record<string, unknown>): Promise<Record<string, unknown>> {
    const find = () =>
      this.controls.find((message) => Object.entries(match).every(([key, value]) => message[key] === value));
    await this.until(() => find() !== undefined);
    return find() ?? {};
  }

  async ended(ids: readonly string[]): Promise<void> {
    for (const interactionId of ids) await this.control({ type: 'ended', interactionId });
  }

  async leave(): Promise<void> {
    this.socket.close(1000);
    await once(this.socket, 'close');
  }

  counts(interactionId: string): Counts {
    return countPackets(this.packets.filter((packet) => packet.interactionId === interactionId));
  }
}

export function countPackets(packets: readonly ReceivedPacket[]): Counts {
  const counts: Counts = { packets: 0, received: 0, lost: 0, duplicates: 0, reordered: 0, payloadBytes: 0 };
  for (const channel of new Set(packets.map((packet) => packet.channel))) {
    const seen = new Set<number>();
    let highest = Number.NaN;
    let first = Number.NaN;
    for (const packet of packets.filter((p) => p.channel === channel)) {
      if (Number.isNaN(highest)) {
        highest = packet.sequence;
        first = packet.sequence;
      }
      let step = (packet.sequence - highest) % 65_536;
      if (step > 32_767) step -= 65_536;
      if (step < -32_768) step += 65_536;
      const number = highest + step;
      if (seen.has(number)) {
        counts.duplicates++;
        continue;
      }
      seen.add(number);
      counts.payloadBytes += Buffer.from(packet.payload, 'base64').length;
      if (number < highest) counts.reordered++;
      highest = Math.max(highest, number);
    }
    counts.packets += highest - first + 1;
    counts.received += seen.size;
  }
  counts.lost = counts.packets - counts.received;
  return counts;
}

export async function signIn(simulator: Simulator, id = 'client', secret = 'secret'): Promise<string> {
  const response = await requestToken(simulator, `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`);
  const body = (await response.json()) as { access_token: string };
  return body.access_token;
}

export function requestToken(simulator: Simulator, authorization: string): Promise<Response> {
  return fetch(`${simulator.apiUrl}/oauth/token`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=client_credentials',
  });
}
