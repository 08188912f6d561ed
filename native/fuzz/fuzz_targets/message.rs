//! Any bytes as one message in a whole frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_fuzz::{Reading, Table, frame};

fuzz_target!(|message: &[u8]| {
    let Some(bytes) = frame(message) else { return };
    let reading = Reading::of(&bytes, 0, &Table::new());
    reading.check(&bytes, 0);
    assert!(reading.end == 0 || reading.end == bytes.len(), "a frame is taken as a whole or not at all");
});
