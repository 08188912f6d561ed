//! Packets that the recorder takes as they came: `src/shard/packets/coded-frames.ts`.

use crate::detector;
use crate::kept_records::round;
use crate::layout::{Header, OUTPUT_HEADER_BYTES, OutputHeader, flag, kind, shard_counters, stream, want};
use crate::ring::{Record, split_space};

use super::RecordProcessor;

impl RecordProcessor {
    pub(super) fn stores_packets(&self, stream: usize) -> bool {
        self.table.get(stream, stream::WANTS) & want::RECORDED_PACKETS != 0
    }

    /// Takes a late packet of a stream whose packets are stored. False when the output ring, in whose free space it is
    /// described, is full.
    pub(super) fn coded_late(&mut self, record: &Record) -> bool {
        let Record { header, payload } = record;
        let stream = header.stream as usize;
        let samples_per_tick = self.channels.samples_per_tick(stream);
        let opus = self.channels.get(stream, header.channel.into()).and_then(|channel| channel.opus());
        let Some(samples) = opus.and_then(|opus| opus.state.opus.samples_of(payload)) else {
            self.count(shard_counters::LATE_UNREPAIRED);
            return true;
        };
        let ticks = round(samples as f64 / samples_per_tick);
        let position = self.channels.ticks_to_samples(stream, header.position);
        let duration = self.channels.ticks_to_samples(stream, ticks);
        let Some(space) = self.output.claim(OUTPUT_HEADER_BYTES) else { return false };
        // SAFETY: the stream has a channel, so it was opened here.
        let state = unsafe { self.table.silence(stream, header.channel.into()) };
        let silent = if detector::is_frame_in_silence(state) { flag::SILENT } else { 0 };
        let (out, _) = split_space(space);
        *out = OutputHeader {
            common: Header {
                kind: kind::CODED_FRAME,
                flags: flag::REPAIRED | silent,
                payload_length: payload.len() as i32,
                position,
                duration: duration as i32,
                peak: 0,
                ..*header
            },
            ..OutputHeader::default()
        };
        if let Some(recorder) = self.recorder.as_mut()
            && !recorder.coded(&mut space[..OUTPUT_HEADER_BYTES], payload)
        {
            self.counters.count(shard_counters::RECORDER_REFUSED, 1);
            self.table.add(stream, stream::RECORDER_REFUSED, 1);
        }
        true
    }
}
