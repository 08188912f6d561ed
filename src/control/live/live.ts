import type { Clock } from '../../core/clock.js';
import type { AuditFields } from '../../core/events.js';
import type { RunningNode } from '../../node/service.js';
import type { Caller } from '../access/roles.js';
import { EventHub, type EventHubStats } from './event-hub.js';
import { type ListenersStats, LiveListeners } from './live-listeners.js';

/** What clients follow: events and audio. */
export class Live {
  readonly events: EventHub;
  readonly listeners: LiveListeners;

  constructor(dependencies: {
    readonly node: RunningNode;
    readonly clock: Clock;
    /** A client that takes nothing for so long is cut off. */
    readonly stalledMs: number;
    audit(caller: Caller, action: string, fields?: AuditFields, interactionId?: string): void;
  }) {
    const { node, clock, stalledMs } = dependencies;
    this.events = new EventHub(node, clock, { stalledMs });
    this.listeners = new LiveListeners(dependencies);
  }

  stats(): { readonly events: EventHubStats; readonly audio: ListenersStats } {
    return { events: this.events.stats(), audio: this.listeners.stats() };
  }

  /** Clients that were refused or cut off, and audio and events that slow ones have missed. */
  refusals(): Readonly<Record<string, number>> {
    const { events, audio } = this.stats();
    const all = {
      tooManyEventClients: events.refused,
      tooManyListeners: audio.refused,
      eventClientStalled: events.cut,
      listenerStalled: audio.cut,
      eventsMissed: events.missed,
    };
    return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
  }

  close(): void {
    this.events.close();
    this.listeners.close();
  }
}
