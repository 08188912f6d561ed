//! Any bytes as what sockets have read, cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_fuzz::{Reading, Table};

fuzz_target!(|data: &[u8]| {
    // The first byte says where the read ends and the next one begins.
    let Some((&cut, bytes)) = data.split_first() else { return };
    let table = Table::new();
    let whole = Reading::of(bytes, 0, &table);
    whole.check(bytes, 0);
    let cut = usize::from(cut) * bytes.len() / 255;
    let first = Reading::of(&bytes[..cut], 0, &table);
    let rest = Reading::of(bytes, first.end, &table);
    rest.check(bytes, first.end);
    // Rows are the limit of one reading, not bytes.
    if !whole.is_full() && !first.is_full() && !rest.is_full() {
        assert_eq!(rest.end, whole.end);
        assert_eq!([first.packets, rest.packets].concat(), whole.packets);
    }
});
