import type { WebSocket } from 'ws';
import { BareSubject } from '../bare-subject.js';
import type { SubjectSettings } from '../processes/messages.js';
import type { Subject } from '../roles.js';
import { openMediaClients } from './media-clients.js';

/** The least that a `ws` client can do: receive, and forget. */
class BareClients extends BareSubject {
  readonly #peer: string;
  readonly #streams: number;
  #clients: WebSocket[] = [];

  constructor(peer: string, streams: number) {
    super();
    this.#peer = peer;
    this.#streams = streams;
  }

  async start(): Promise<undefined> {
    this.#clients = await openMediaClients(this.#peer, this.#streams, () => this.count());
    // The answer to the subscription is no packet, and came from each.
    this.discount(this.#clients.length);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.terminate();
  }
}

export function makeBareClients({ load }: SubjectSettings, peer: string): Subject {
  return new BareClients(peer, load.streams);
}
