import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { systemClock } from '../../../src/core/clock.js';
import { interactionIds } from '../load/plan.js';
import { LatencyMeter } from '../processes/latency.js';
import type { Losses, SubjectSettings } from '../processes/messages.js';
import type { Subject } from '../roles.js';
import { openMediaClients } from './media-clients.js';
import { codecOf, TickReader } from './plan.js';
import { Tutorial } from './tutorial.js';

/** The tutorial's way with an audience. */
class TutorialSubject implements Subject {
  readonly backend = 'js';
  readonly workers = 0;
  readonly meter = new LatencyMeter();
  readonly #peer: string;
  readonly #ids: readonly string[];
  readonly #tutorial: Tutorial;
  #clients: WebSocket[] = [];
  #seen = 0;

  constructor({ load, out }: SubjectSettings, peer: string) {
    this.#peer = peer;
    this.#ids = interactionIds(load.streams);
    mkdirSync(out, { recursive: true });
    this.#tutorial = new Tutorial(
      join(out, 'audit.jsonl'),
      this.#ids.filter((_, index) => codecOf(load.codec, index) === 'opus'),
    );
    // It has a listener and a reader of its monitor, as the node has: otherwise the comparison would be unfair.
    this.#tutorial.on('mediaChunk', () => this.#seen++);
    this.#tutorial.on('metadataSync', () => this.#seen++);
    this.#tutorial.monitor.on('data', (line: Buffer) => {
      this.#seen += line.length;
    });
  }

  async start(): Promise<undefined> {
    const indexOf = new Map(this.#ids.map((id, index) => [id, index]));
    const reader = new TickReader(this.#ids.length);
    this.#clients = await openMediaClients(this.#peer, this.#ids.length, (data) => {
      const packet = this.#tutorial.message(data);
      if (packet === undefined) return;
      const nowUs = systemClock.nowUs();
      const index = indexOf.get(packet.interactionId) as number;
      this.meter.packet(index, reader.tick(index, packet.sequenceNumber), 1, nowUs, nowUs);
    });
  }

  packets(): number {
    return this.meter.packets;
  }

  losses(): Losses {
    return { known: 0, counters: {} };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.terminate();
    await this.#tutorial.close();
  }
}

export function makeTutorial(settings: SubjectSettings, peer: string): Subject {
  return new TutorialSubject(settings, peer);
}
