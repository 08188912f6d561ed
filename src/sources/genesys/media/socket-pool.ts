import { LIMITS } from '../../../core/limits.js';
import type { Interaction } from '../interaction/interaction.js';
import type { InteractionTable } from '../interaction-table.js';
import type { ConnectionStatus } from '../source-contract.js';
import { MediaSocket, type MediaSocketDependencies, type MediaSocketEvent } from './media-socket.js';

/** How interactions are spread over connections. */
export interface SpreadSettings {
  /** At most LIMITS.interactionsPerConnection, which is the default. */
  readonly interactionsPerConnection?: number | undefined;
  /** Default 1. */
  readonly leastConnections?: number | undefined;
}

/** The media connections of one source. */
export class MediaSocketPool {
  readonly #dependencies: MediaSocketDependencies;
  readonly #capacity: number;
  readonly #least: number;
  readonly #onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void;
  readonly #sockets = new Map<InteractionTable, MediaSocket>();
  readonly #closing = new Map<MediaSocket, () => void>();
  #made = 0;

  constructor(
    dependencies: MediaSocketDependencies,
    settings: SpreadSettings,
    onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void,
  ) {
    const limit = LIMITS.interactionsPerConnection;
    this.#dependencies = dependencies;
    this.#capacity = Math.max(1, Math.min(settings.interactionsPerConnection ?? limit, limit));
    this.#least = settings.leastConnections ?? 1;
    this.#onEvent = onEvent;
  }

  /** The connection whose table this is; undefined once it is closed. */
  of(table: InteractionTable | undefined): MediaSocket | undefined {
    return table === undefined ? undefined : this.#sockets.get(table);
  }

  /**
   * Puts an interaction on the emptiest connection, among as many as all interactions together need, and no fewer than
   * `leastConnections`: the more there are, the fewer streams one lost connection costs.
   *
   * @param interactions How many there are in all.
   */
  attach(interaction: Interaction, interactions: number): void {
    const needed = Math.max(Math.ceil(interactions / this.#capacity), Math.min(interactions, this.#least));
    const open = [...this.#sockets.values()].filter(({ connection }) => !connection.isEnding);
    let chosen: MediaSocket | undefined;
    for (const socket of open) {
      const { size } = socket.table;
      if (size < this.#capacity && (chosen === undefined || size < chosen.table.size)) chosen = socket;
    }
    if (chosen === undefined || open.length < needed) chosen = this.#make();
    chosen.attach(interaction);
  }

  status(): ConnectionStatus[] {
    return [...this.#sockets.values()].map(({ number, connection, table }) => ({
      connection: number,
      state: connection.state,
      interactions: table.size,
      streams: table.stream.reduce((open, stream) => open + (stream >= 0 ? 1 : 0), 0),
      attempts: connection.attempts,
      lastError: connection.lastError,
    }));
  }

  /** Resolves when every connection has unsubscribed from its interactions and is closed. */
  async stop(): Promise<void> {
    const closed = [...this.#sockets.values()].map(
      (socket) =>
        new Promise<void>((resolve) => {
          this.#closing.set(socket, resolve);
          socket.act((connection, nowUs) => connection.stop(nowUs));
        }),
    );
    await Promise.all(closed);
  }

  #make(): MediaSocket {
    const made = new MediaSocket(this.#made++, this.#dependencies, (socket, event) => {
      if (event.kind === 'closed') {
        this.#sockets.delete(socket.table);
        this.#closing.get(socket)?.();
      } else this.#onEvent(socket, event);
    });
    this.#sockets.set(made.table, made);
    return made;
  }
}
