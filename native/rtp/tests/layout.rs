//! The records of both languages are the same: reads the TypeScript ones.

use std::fs;

use trunkline_rtp::{CHANNEL_FIELDS, FIELDS};

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_fields_are_those_of_typescript() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/rtp/channel-state.ts");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let fields = text.split("const FIELD = {").nth(1).and_then(|rest| rest.split('}').next()).expect("FIELD is there");
    let theirs: Vec<_> = fields
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(": "))
        .map(|(name, index)| (name.to_lowercase(), index.parse::<usize>().expect("an index")))
        .collect();
    let ours: Vec<_> = FIELDS.iter().enumerate().map(|(index, name)| ((*name).to_owned(), index)).collect();
    assert_eq!(theirs, ours);
    assert!(text.contains(&format!("CHANNEL_FIELDS = {CHANNEL_FIELDS};")));
}
