//! Late packets for the recorder: `src/shard/corrections.ts`.

use crate::detector;
use crate::layout::{Header, OUTPUT_HEADER_BYTES, OutputHeader, flag, kind, shard_counters, stream, want};
use crate::level;
use crate::ring::{Record, samples_mut, split_space};

use super::RecordProcessor;

impl RecordProcessor {
    /// Decodes a packet that came too late for the live line, of which nothing is touched: neither its concealment nor its
    /// level and silence, and the output ring lends its free space only. False when that is full.
    pub(super) fn late(&mut self, record: &Record, now_us: &dyn Fn() -> f64) -> bool {
        let Record { header, payload } = record;
        let stream = header.stream as usize;
        let position = self.channels.ticks_to_samples(stream, header.position);
        let is_recorded = self.recorder.is_some() && self.table.get(stream, stream::WANTS) & want::RECORDING != 0;
        let Some(channel) = self.channels.get(stream, header.channel.into()).filter(|_| is_recorded) else {
            return true;
        };
        let samples = channel.late_samples(payload);
        let bytes = OUTPUT_HEADER_BYTES + samples * size_of::<i16>();
        if samples == 0 || bytes > self.output.max_record_bytes() {
            self.count(shard_counters::REJECTED);
            return true;
        }
        let Some(space) = self.output.claim(bytes) else { return false };
        let (out, rest) = split_space(space);
        let pcm = samples_mut(rest, samples);
        channel.decode_late(payload, pcm);
        let mean_square = level::mean_square(level::energy(pcm), samples);
        // SAFETY: the stream has a channel, so it was opened here.
        let state = unsafe { self.table.silence(stream, header.channel.into()) };
        let silent = if detector::is_quiet(state, mean_square) { flag::SILENT } else { 0 };
        *out = OutputHeader {
            common: Header {
                kind: kind::CORRECTION,
                flags: flag::REPAIRED | silent,
                payload_length: (samples * size_of::<i16>()) as i32,
                position,
                duration: samples as i32,
                peak: level::peak(pcm),
                ..*header
            },
            mean_square,
            processed_us: now_us(),
        };
        if let Some(recorder) = self.recorder.as_mut()
            && !recorder.data(&mut space[..bytes])
        {
            self.counters.count(shard_counters::RECORDER_REFUSED, 1);
            self.table.add(stream, stream::RECORDER_REFUSED, 1);
        }
        true
    }
}
