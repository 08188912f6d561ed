/** An event as it is sent, and what filters look at. */
export interface StoredEvent {
  readonly type: string;
  readonly interactionId: string | undefined;
  /** Its lines, with the empty one that ends it. */
  readonly text: string;
}

/** The newest events by number, as many as fit into both limits. Numbers begin with 1 and have no gaps. */
export class EventRing {
  readonly #events: (StoredEvent | undefined)[];
  readonly #maxBytes: number;
  #first = 1;
  #end = 1;
  #bytes = 0;

  constructor(capacity: number, maxBytes: number) {
    this.#events = new Array<StoredEvent | undefined>(capacity).fill(undefined);
    this.#maxBytes = maxBytes;
  }

  /** Number of the oldest event that is kept; `end` when there is none. */
  get first(): number {
    return this.#first;
  }

  /** Number of the next event. */
  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(event: StoredEvent): void {
    const { length } = this.#events;
    if (this.#end - this.#first === length) this.#dropFirst();
    this.#events[this.#end % length] = event;
    this.#end++;
    this.#bytes += Buffer.byteLength(event.text);
    while (this.#bytes > this.#maxBytes && this.#first < this.#end) this.#dropFirst();
  }

  /** @param number from `first` to before `end`. */
  at(number: number): StoredEvent {
    const event = number < this.#first ? undefined : this.#events[number % this.#events.length];
    if (event === undefined || number >= this.#end) throw new RangeError(`Event ${number} is not kept.`);
    return event;
  }

  #dropFirst(): void {
    const at = this.#first % this.#events.length;
    this.#bytes -= Buffer.byteLength(this.#events[at]?.text ?? '');
    this.#events[at] = undefined;
    this.#first++;
  }
}
