//! The offsets of both languages are the same: reads the TypeScript ones.

use std::collections::HashMap;
use std::fs;

use trunkline_dsp::adaptive::slot as adaptive;
use trunkline_dsp::layout::*;
use trunkline_dsp::silence::slot;
use trunkline_dsp::silence_kind::{kind as kind_of, slot as kind_state};

/// The numbers of one `const NAME = { KEY: number, … }`, or of one `const NAME = number`, of a TypeScript file.
fn constants(file: &str, name: &str) -> HashMap<String, usize> {
    let path = format!("{}/../../src/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let is_comment = |line: &&str| line.trim_start().starts_with(['/', '*']);
    let code = text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join(" ");
    let start = code.find(&format!("const {name} = ")).unwrap_or_else(|| panic!("{path} has no {name}"));
    let code = code[start..].split(';').next().unwrap();
    code.replace(['{', '}'], ",")
        .split(',')
        .filter_map(|pair| pair.split_once(':').or(pair.split_once('=')))
        .filter_map(|(key, value)| Some((key.trim().replace("const ", ""), value.trim().parse().ok()?)))
        .collect()
}

#[track_caller]
fn same(file: &str, name: &str, ours: &[(&str, usize)]) {
    let theirs = constants(file, name);
    for (key, value) in ours {
        assert_eq!(theirs.get(*key), Some(value), "{name}.{key} of src/{file}");
    }
}

macro_rules! named {
    ($module:ident: $($name:ident),+) => { &[$((stringify!($name), $module::$name as usize)),+] };
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_layout_is_that_of_typescript() {
    let version = constants("ring/layout.ts", "LAYOUT_VERSION");
    assert_eq!(version["LAYOUT_VERSION"], LAYOUT_VERSION as usize);
    same("ring/layout.ts", "RING", named!(ring: TAIL, HEAD, DATA));
    same(
        "ring/layout.ts",
        "KIND",
        named!(kind: PAD, PACKET, LOST, OPEN, CLOSE, FRAME, EDGE, MARK, LATE_PACKET, CORRECTION, PRE_ROLL),
    );
    same(
        "ring/layout.ts",
        "FLAG",
        named!(flag: DISCONTINUITY, SILENT, CONCEALED, DECODE_ERROR, LOST, NO_PCM, REPAIRED),
    );
    same("ring/layout.ts", "MARK", named!(mark: NOT_RECORDED));
    let record = std::mem::offset_of!(OutputHeader, mean_square);
    same(
        "ring/layout.ts",
        "RECORD",
        &[
            ("LENGTH", std::mem::offset_of!(Header, length)),
            ("KIND", std::mem::offset_of!(Header, kind)),
            ("CHANNEL", std::mem::offset_of!(Header, channel)),
            ("CODEC", std::mem::offset_of!(Header, codec)),
            ("FLAGS", std::mem::offset_of!(Header, flags)),
            ("STREAM", std::mem::offset_of!(Header, stream)),
            ("PAYLOAD_LENGTH", std::mem::offset_of!(Header, payload_length)),
            ("SEQUENCE", std::mem::offset_of!(Header, sequence)),
            ("RECORDER_REFUSED", std::mem::offset_of!(Header, sequence)),
            ("TIMESTAMP", std::mem::offset_of!(Header, timestamp)),
            ("POSITION", std::mem::offset_of!(Header, position)),
            ("ARRIVAL_US", std::mem::offset_of!(Header, arrival_us)),
            ("SAMPLE_COUNT", std::mem::offset_of!(Header, duration)),
            ("SILENCE_KIND", std::mem::offset_of!(Header, duration)),
            ("PEAK", std::mem::offset_of!(Header, peak)),
            ("INPUT_HEADER_BYTES", HEADER_BYTES),
            ("MEAN_SQUARE", record),
            ("PROCESSED_US", std::mem::offset_of!(OutputHeader, processed_us)),
            ("OUTPUT_HEADER_BYTES", OUTPUT_HEADER_BYTES),
        ],
    );
    same(
        "ring/stream-table.ts",
        "STREAM",
        named!(stream: STATE, SHARD, CODEC, CLOCK_RATE, SAMPLE_RATE, CHANNELS, WANTS, DECODE_ERRORS, RECORDER_REFUSED, DETECTOR, PRE_ROLL, POST_ROLL, SILENCE, SILENCE_SLOTS, BYTES),
    );
    same("ring/stream-table.ts", "STREAM_STATE", named!(stream_state: FREE, ASSIGNED, OPEN));
    same("ring/stream-table.ts", "WANT", named!(want: SPEECH_PCM, SILENT_PCM, RECORDING, ROLL));
    same("ring/agent.ts", "AGENT_CONTROL", named!(agent_control: AT_CURSOR, AT_DEATHS, BYTES));
    same(
        "shard/shard-data.ts",
        "SHARD_COUNTERS",
        named!(shard_counters: FRAMES, DECODE_ERRORS, CONCEALED, POISONED, RECORDER_REFUSED, REJECTED, BYTES),
    );
    same("core/codec.ts", "CODEC_ID", named!(codec: PCMU, PCMA, L16, OPUS, L16_LE));
    same(
        "audio/adaptive/state.ts",
        "ADAPTIVE_STATE",
        named!(adaptive: DECIMATION, HOP_BLOCKS, HOP, ABOVE_TO, MIN_SILENCE, POSITION, BLOCK_FILL, SAMPLE_FILL, SAMPLE_SUM, BLOCKS,
            HOPS, SILENT, SINCE, ACTIVE_TO, ABOVE_HOPS, LIVE, AUDIO_TO, FRAME_SILENT, DETECTOR, FRAME_IN_SILENCE,
            QUIET_HOPS, EVIDENCE, BLOCK, ENERGY, SMOOTH, FLOOR, BAND_MINIMUM, BAND_MINIMA, BAND_HOPS, BAND_NEXT,
            BACKGROUND, LEVEL_FLOOR, SNR_80, SNR_250, VARIANCE, PEAK_SHORT, PEAK_LONG, TROUGH, LAST_SNR, SPEECH_SNR,
            SPEECH_LEVEL, LEVEL, LAST_LEVEL, UNSTEADINESS),
    );
    same(
        "audio/silence-kind.ts",
        "SILENCE_KIND",
        [("BACKGROUND", kind_of::BACKGROUND), ("DIGITAL", kind_of::DIGITAL), ("COMFORT_NOISE", kind_of::COMFORT_NOISE)]
            .map(|(name, value)| (name, value as usize))
            .as_slice(),
    );
    same("audio/silence-kind.ts", "KIND_STATE", named!(kind_state: KIND, KIND_FROM, RUN, RUN_FROM, OTHER_FROM, LEAST));
    same(
        "audio/silence.ts",
        "SILENCE_STATE",
        named!(slot: HOP, WINDOW_HOPS, ON_ENERGY, OFF_ENERGY, MIN_SILENCE, MIN_SPEECH_HOPS, POSITION, HOP_FILL, HOP_SUM,
            WINDOW_SUM, RING_NEXT, RING_FILLED, SILENT, SINCE, QUIET_FROM, LOUD_HOPS, ONSET, AUDIO_TO, FRAME_SILENT, RING),
    );
}
