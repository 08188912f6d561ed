import type { AddonInteractionColumns, AddonInteractionTable, AddonPacketColumns, AddonSocketReader } from '#addon';
import { loadAddon } from './addon.js';

/** What the reader fills: the engine's PacketBatch. */
export interface RowsToFill {
  /** The whole shared memory of the engine. */
  readonly bytes: Uint8Array;
  readonly columns: AddonPacketColumns;
  readonly row: number;
  readonly rows: number;
  tryClaim(maxBytes: number): number;
}

/** The numbers of a call, in both directions: one array costs less than as many arguments. */
const CALL = { FROM: 0, TO: 1, ROW: 2, ROWS: 3, PAYLOAD_OFFSET: 4, ARRIVAL_US: 5, END: 6 } as const;
export const CALL_NUMBERS = 7;

/** native/wire, behind the same interface as JsSocketReader of sources/genesys/protocol/socket-reader.ts. */
class NativeSocketReader {
  readonly #batch: RowsToFill;
  readonly #call = new Float64Array(CALL_NUMBERS);
  readonly #reader: AddonSocketReader;
  readonly #tables = new WeakMap<AddonInteractionColumns, AddonInteractionTable>();

  constructor(batch: RowsToFill) {
    const { bytes, columns } = batch;
    this.#batch = batch;
    this.#reader = new (loadAddon().NativeSocketReader)(new Uint8Array(bytes.buffer), columns, this.#call);
  }

  get end(): number {
    return this.#call[CALL.END] as number;
  }

  read(bytes: Uint8Array, from: number, to: number, table: AddonInteractionColumns, arrivalUs: number): number {
    const call = this.#call;
    call[CALL.END] = from;
    // Payloads are three quarters of their base64 text.
    const offset = this.#batch.tryClaim(((to - from) >> 2) * 3);
    if (offset < 0) return 0;
    call[CALL.FROM] = from;
    call[CALL.TO] = to;
    call[CALL.ROW] = this.#batch.row;
    call[CALL.ROWS] = this.#batch.rows;
    call[CALL.PAYLOAD_OFFSET] = offset;
    call[CALL.ARRIVAL_US] = arrivalUs;
    return this.#reader.read(bytes, this.#tables.get(table) ?? this.#enter(table));
  }

  #enter(table: AddonInteractionColumns): AddonInteractionTable {
    const entered = new (loadAddon().NativeInteractionTable)(table);
    this.#tables.set(table, entered);
    return entered;
  }
}

/**
 * The native reader for an engine's batch, or undefined when the addon cannot be used. Whether the JavaScript reader may
 * replace it is decided, and reported, where the engine starts its shards.
 */
export function nativeSocketReader(batch: RowsToFill): NativeSocketReader | undefined {
  try {
    return new NativeSocketReader(batch);
  } catch {
    return undefined;
  }
}
