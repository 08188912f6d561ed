//! Which silent frames go to the output ring with their samples: `src/shard/roll/speech-rolls.ts`.

use crate::channels::Channel;
use crate::layout::{Header, OUTPUT_HEADER_BYTES, flag, kind, stream, want};
use crate::ring::{Producer, split_space};
use crate::speech_roll::SpeechRoll;
use crate::table::StreamTable;

/// Space that comes on top of a frame's for what is in front of it if it is speech.
pub(super) fn roll_bytes(channel: Option<&mut Channel>, frame_space: usize, output: &Producer) -> usize {
    let Some(roll) = channel.and_then(|channel| channel.roll.as_mut()) else { return 0 };
    if frame_space + roll.bytes() > output.max_record_bytes() {
        roll.clear();
    }
    roll.bytes()
}

/// What the roll makes of a frame.
#[derive(Default)]
pub(super) struct Rolled {
    /// It is silent and belongs to the speech before it.
    pub is_wanted: bool,
    /// It is speech, and was moved so far to make space for the silence before it.
    pub moved: usize,
}

/// The frame of `frame_bytes` at the beginning of `space` is finished: keeps it if it is silent, and makes space for the
/// silence before it if it is speech.
pub(super) fn roll(
    channel: &mut Channel,
    table: &StreamTable,
    wants: i32,
    space: &mut [u8],
    frame_bytes: usize,
) -> Rolled {
    if wants & want::ROLL == 0 {
        channel.roll = None;
        return Rolled::default();
    }
    let (header, _) = split_space(space);
    let Header { flags, position, duration, .. } = header.common;
    header.common.kind = kind::PRE_ROLL;
    let stream = header.common.stream as usize;
    let samples = (frame_bytes - OUTPUT_HEADER_BYTES) / size_of::<i16>();
    let roll = channel.roll.get_or_insert_with(|| SpeechRoll::new(table.get(stream, stream::SAMPLE_RATE) as u32));
    let pre_roll = table.get(stream, stream::PRE_ROLL);
    let rolled = if flags & flag::SILENT != 0 {
        if pre_roll > 0 {
            roll.keep(&space[..frame_bytes], position, samples, pre_roll as usize);
        } else {
            roll.clear();
        }
        let post_roll = table.get(stream, stream::POST_ROLL);
        Rolled { is_wanted: position < roll.speech_end + f64::from(post_roll), moved: 0 }
    } else {
        roll.speech_end = position + f64::from(duration);
        roll.trim(position, f64::from(pre_roll));
        if roll.bytes() > 0 {
            space.copy_within(..frame_bytes, roll.bytes());
        }
        Rolled { is_wanted: false, moved: roll.bytes() }
    };
    split_space(&mut space[rolled.moved..]).0.common.kind = kind::FRAME;
    rolled
}

/// Commits the silence before speech at `position`, in the space in front of its frame.
pub(super) fn commit_pre_roll(channel: &mut Channel, output: &mut Producer, position: f64) {
    let Some(roll) = channel.roll.as_mut() else { return };
    while let Some(length) = roll.oldest_bytes() {
        // Cannot fail: the space was claimed together with the frame's.
        let Some(space) = output.claim(length) else { return };
        roll.take(space, position);
        output.commit(length);
    }
}
