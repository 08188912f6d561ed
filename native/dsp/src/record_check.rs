//! Which records of an input ring can be processed: `src/shard/record-check.ts` has the same rules.

use crate::layout::{HEADER_BYTES, Header, kind};

/// Number.MAX_SAFE_INTEGER: whole numbers beyond it are no longer exact.
const MAX_POSITION: f64 = 9_007_199_254_740_991.0;

/// Whether a record can be what it claims to be. `streams` is the number of entries of the stream table.
pub fn is_valid(header: &Header, streams: usize) -> bool {
    let has_stream = usize::try_from(header.stream).is_ok_and(|stream| stream < streams);
    let has_payload = header.payload_length >= 0
        && i64::from(header.payload_length) <= i64::from(header.length) - HEADER_BYTES as i64;
    let is_timed = header.channel <= 1 && (0.0..=MAX_POSITION).contains(&header.position);
    has_stream
        && has_payload
        && match header.kind {
            kind::OPEN | kind::UPDATE | kind::CLOSE => true,
            kind::PACKET | kind::LATE_PACKET => is_timed,
            kind::LOST => is_timed && header.duration >= 0,
            kind::MARK => is_timed && header.payload_length == 0 && header.duration >= 0,
            _ => false,
        }
}
