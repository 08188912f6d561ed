import type { NodeEvents } from '../sinks/events/event-sink.js';
import type { EventValues } from '../sources/source.js';
import type { AudioNode } from './audio-node.js';
import type { NodeOptions } from './options.js';

/** The methods of an emitter, typed for further events. */
export interface Emits<Events> {
  on<Name extends keyof Events>(name: Name, listener: (...values: EventValues<Events[Name]>) => unknown): this;
  once<Name extends keyof Events>(name: Name, listener: (...values: EventValues<Events[Name]>) => unknown): this;
  off<Name extends keyof Events>(name: Name, listener: (...values: EventValues<Events[Name]>) => unknown): this;
}

/** A node that emits further events beside its own. */
export type AudioNodeOf<Events> = AudioNode & Emits<NodeEvents & Events>;

/** The class of a node that emits further events, to be extended by presets. */
export type AudioNodeClass<Events> = new (options: NodeOptions) => AudioNodeOf<Events>;
