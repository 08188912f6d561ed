import { KIND, RECORD } from '../ring/layout.js';

/** Whole numbers beyond this are no longer exact, so no position can be one. */
const MAX_POSITION = Number.MAX_SAFE_INTEGER;

/**
 * Whether a record of an input ring can be what it claims to be: a known kind, a stream of the table, a payload within
 * the record, and numbers that a position or duration can have. A shard skips and counts every other record, so that
 * nothing that a source has let through can end its thread. native/dsp/src/record_check.rs has the same rules.
 *
 * @param at offset of a whole record (RingConsumer.isWhole()). @param streams entries of the stream table.
 */
export function isValidRecord(words: Int32Array, doubles: Float64Array, at: number, streams: number): boolean {
  const traits = words[(at + RECORD.KIND) >> 2] as number;
  const stream = words[(at + RECORD.STREAM) >> 2] as number;
  const payloadLength = words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
  const length = words[(at + RECORD.LENGTH) >> 2] as number;
  if (stream < 0 || stream >= streams) return false;
  if (payloadLength < 0 || payloadLength > length - RECORD.INPUT_HEADER_BYTES) return false;
  switch (traits & 0xff) {
    case KIND.OPEN:
    case KIND.UPDATE:
    case KIND.CLOSE:
      return true;
    case KIND.LOST:
    case KIND.MARK:
      if ((words[(at + RECORD.DURATION) >> 2] as number) < 0) return false;
      if (payloadLength !== 0 && (traits & 0xff) === KIND.MARK) return false;
      break;
    case KIND.PACKET:
    case KIND.LATE_PACKET:
      break;
    default:
      return false;
  }
  const position = doubles[(at + RECORD.POSITION) >> 3] as number;
  return ((traits >> 8) & 0xff) <= 1 && position >= 0 && position <= MAX_POSITION;
}
