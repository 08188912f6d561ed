//! Processes one record: decode, measure level and silence, pass on.

mod coded;
mod frame_record;
mod late;
mod opus_late;
mod speech_rolls;

use std::sync::atomic::Ordering::Relaxed;

use crate::channels::{Channel, Channels, OpusChannel};
use crate::config::Config;
use crate::detector;
use crate::layout::{
    Header, OUTPUT_HEADER_BYTES, OutputHeader, codec, flag, kind, mark, shard_counters, stream, stream_state, want,
};
use crate::level;
use crate::memory::Memory;
use crate::opus_repair::{Budget, OpusRepair};
use crate::ring::{Producer, Record, RecorderLink, samples_mut, split_space};
use crate::silence::{self, Edges, Settings};
use crate::silence_kind;
use crate::speech_judge::SpeechJudge;
use crate::table::StreamTable;

use frame_record::frame_space;
use opus_late::keep;
use speech_rolls::{commit_pre_roll, roll, roll_bytes};

/// Frames between two readings of the clock, where decoding one takes a tenth of a microsecond; Opus takes ten.
const CLOCK_SHARE: u32 = 8;

/// The shard's counter block.
struct Counters {
    memory: Memory,
    offset: usize,
}

impl Counters {
    fn get(&self, counter: usize) -> i32 {
        self.memory.word(self.offset + counter).load(Relaxed)
    }

    /// Only this thread writes them, so nothing changes between load and store.
    fn count(&self, counter: usize, by: i32) {
        let word = self.memory.word(self.offset + counter);
        word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
    }
}

/// The engine's clock. For codecs that decode faster than the clock is read, several frames share one reading.
#[derive(Default)]
struct Clock {
    now_us: f64,
    /// Frames since the batch began.
    frames: u32,
}

impl Clock {
    /// The time for a frame of `packet`. Never before its arrival, even when the packet arrived during this batch.
    fn read(&mut self, packet: &Header, now_us: &dyn Fn() -> f64) -> f64 {
        let is_slow = i32::from(packet.codec) == codec::OPUS;
        if is_slow || self.frames.is_multiple_of(CLOCK_SHARE) || packet.arrival_us >= self.now_us {
            self.now_us = now_us();
        }
        self.frames += 1;
        self.now_us
    }
}

/// Everything that a shard works with except its input ring, whose current record is borrowed meanwhile.
pub struct RecordProcessor {
    counters: Counters,
    output: Producer,
    recorder: Option<RecorderLink>,
    pub table: StreamTable,
    pub channels: Channels,
    silence: Settings,
    edges: Edges,
    clock: Clock,
    repair_budget: Budget,
    judge: Option<SpeechJudge>,
}

impl RecordProcessor {
    pub fn new(memory: Memory, config: &Config) -> Self {
        let processor = Self {
            counters: Counters { memory, offset: config.counters },
            output: Producer::new(memory, config.output),
            recorder: config.recorder.map(|place| RecorderLink::new(memory, place)),
            table: StreamTable::new(memory, config.table, config.streams),
            channels: Channels::new(config.streams),
            silence: config.silence,
            edges: Edges::default(),
            clock: Clock::default(),
            repair_budget: Budget::default(),
            judge: config.speech.map(|settings| SpeechJudge::new(memory, settings, config.streams)),
        };
        processor.count_waiting_of_dead_thread();
        processor
    }

    /// Makes new decoders for a stream.
    pub fn reopen(&mut self, stream: usize) {
        self.channels.open(&self.table, stream);
        if let Some(judge) = &mut self.judge {
            judge.open(&self.table, stream);
        }
    }

    /// There is no record: has windows judged that wait for it. False when there are none.
    pub fn work_aside(&mut self) -> bool {
        self.judge.as_mut().is_some_and(SpeechJudge::work)
    }

    /// False when the output ring is full. A poisoned packet is concealed instead of decoded; a poisoned gap or mark is
    /// skipped.
    pub fn take(&mut self, record: &Record, is_poison: bool, now_us: &dyn Fn() -> f64) -> bool {
        let header = &record.header;
        match header.kind {
            kind::LATE_PACKET | kind::UPDATE => {}
            kind::OPEN | kind::CLOSE => self.finish_opus_repairs(header.stream as usize),
            _ => self.advance_opus_repair(header.stream as usize, header.channel.into(), false),
        }
        match header.kind {
            kind::PACKET => self.packet(record, is_poison, now_us),
            kind::LATE_PACKET | kind::LOST | kind::MARK | kind::UPDATE if is_poison => true,
            kind::LATE_PACKET if self.stores_packets(header.stream as usize) => self.coded_late(record),
            kind::LATE_PACKET => self.opus_late(record).unwrap_or_else(|| self.late(record, now_us)),
            kind::LOST => self.lost(record, now_us),
            kind::MARK if header.flags == mark::NO_PACKETS => self.no_packets(header, now_us),
            kind::MARK => self.mark(header),
            kind::UPDATE => self.pass(record),
            kind::OPEN => self.pass(record) && self.open(header.stream as usize),
            kind::CLOSE => self.pass(record) && self.close(header.stream as usize),
            _ => true,
        }
    }

    /// Begins to fetch what the next two records will need, while the one before them is processed. Of the second one, that
    /// is what tells where the rest lies.
    pub fn prefetch(&self, [next, second]: [Option<Header>; 2]) {
        if let Some(second) = second {
            self.channels.prefetch(second.stream as usize, second.channel.into());
        }
        if let Some(next) = next {
            self.table.prefetch(next.stream as usize, next.channel.into());
            self.channels.prefetch_history(next.stream as usize, next.channel.into());
        }
    }

    /// Has the clock read for the next frame.
    pub fn begin_batch(&mut self) {
        self.clock.frames = 0;
    }

    /// Passes on the control records that wait for the recorder; true when some still wait.
    pub fn retry_recorder(&mut self) -> bool {
        let waiting = self.recorder.as_mut().filter(|link| link.has_waiting());
        waiting.is_some_and(|link| {
            link.retry();
            link.has_waiting()
        })
    }

    pub fn count(&self, counter: usize) {
        self.counters.count(counter, 1);
    }

    fn count_by(&self, counter: usize, by: usize) {
        if by > 0 {
            self.counters.count(counter, by as i32);
        }
    }

    fn is_recorded(&self, stream: usize) -> bool {
        self.recorder.is_some() && self.table.get(stream, stream::WANTS) & want::RECORDING != 0
    }

    /// Whether the output of a record is larger than its ring can ever take; counted then.
    fn rejects(&self, output_bytes: usize) -> bool {
        let is_too_large = output_bytes > self.output.max_record_bytes();
        if is_too_large {
            self.count(shard_counters::REJECTED);
        }
        is_too_large
    }

    fn open(&mut self, stream: usize) -> bool {
        self.close_opus_repairs(stream);
        self.reopen(stream);
        let sample_rate = self.table.get(stream, stream::SAMPLE_RATE) as u32;
        let detector = self.table.get(stream, stream::DETECTOR);
        for channel in [0, 1] {
            // SAFETY: main gave the stream to this shard when it sent OPEN.
            let state = unsafe { self.table.silence(stream, channel) };
            detector::init(state, detector, self.silence, sample_rate);
        }
        self.table.set(stream, stream::STATE, stream_state::OPEN);
        true
    }

    /// Frees what the stream has; it gets no more frames.
    pub fn close(&mut self, stream: usize) -> bool {
        self.close_opus_repairs(stream);
        self.channels.close(stream);
        if let Some(judge) = &mut self.judge {
            judge.close(stream);
        }
        true
    }

    fn packet(&mut self, record: &Record, is_poison: bool, now_us: &dyn Fn() -> f64) -> bool {
        let Record { header, payload } = record;
        let Some(channel) = self.channels.get(header.stream as usize, header.channel.into()) else { return true };
        let samples = channel.packet_samples(payload);
        if self.rejects(frame_space(samples)) {
            return true;
        }
        let mut is_damaged = false;
        let taken = self.frame(record, samples, is_poison, now_us, |channel, pcm| {
            is_damaged = is_poison || !channel.decode(payload, pcm);
            if is_damaged {
                channel.conceal(pcm);
            }
            if is_damaged { flag::CONCEALED | flag::DECODE_ERROR } else { 0 }
        });
        if is_damaged {
            self.count(shard_counters::DECODE_ERRORS);
            self.table.add(header.stream as usize, stream::DECODE_ERRORS, 1);
        }
        taken
    }

    fn lost(&mut self, record: &Record, now_us: &dyn Fn() -> f64) -> bool {
        let Record { header, payload } = record;
        let stream = header.stream as usize;
        if self.channels.get(stream, header.channel.into()).is_none() {
            return true;
        }
        let samples = self.channels.ticks_to_samples(stream, header.duration.into()) as usize;
        if samples == 0 || self.rejects(frame_space(samples)) {
            return true;
        }
        let (mut has_fec, mut given_up) = (false, 0);
        // Packets that are stored as they came need no decoding again.
        let is_recorded = self.is_recorded(stream) && !self.stores_packets(stream);
        let budget = self.repair_budget.clone();
        let taken = self.frame(record, samples, false, now_us, |channel, pcm| {
            if is_recorded && let Some(OpusChannel { state, repair }) = channel.opus() {
                given_up = repair.get_or_insert_with(|| OpusRepair::new(budget)).begin_gap(state, header.arrival_us);
            }
            has_fec = channel.recover(payload, pcm);
            if has_fec { flag::LOST } else { flag::CONCEALED | flag::LOST }
        });
        self.count_by(shard_counters::GAPS_GIVEN_UP, given_up);
        if taken {
            self.count(if has_fec { shard_counters::RECOVERED_BY_FEC } else { shard_counters::CONCEALED });
        }
        taken
    }

    /// One frame: `make` fills its samples and says which flags that adds.
    fn frame(
        &mut self,
        record: &Record,
        samples: usize,
        is_poison: bool,
        now_us: &dyn Fn() -> f64,
        make: impl FnOnce(&mut Channel, &mut [i16]) -> u8,
    ) -> bool {
        let from = &record.header;
        let stream = from.stream as usize;
        let frame_bytes = OUTPUT_HEADER_BYTES + samples * size_of::<i16>();
        let needed = frame_space(samples);
        let before = roll_bytes(self.channels.get(stream, from.channel.into()), needed, &self.output);
        self.output.prefetch(frame_bytes);
        let Some(space) = self.output.claim(needed + before) else { return false };
        let Some(channel) = self.channels.get(stream, from.channel.into()) else { return true };
        let (header, payload) = split_space(space);
        let pcm = samples_mut(payload, samples);
        let mut flags = from.flags | make(channel, pcm);

        let position = self.channels.ticks_to_samples(stream, from.position);
        if flags & flag::LOST == 0
            && let Some(judge) = &mut self.judge
            && judge.settle(&mut self.table, from, position, now_us)
        {
            self.counters.count(shard_counters::WINDOWS_PASSED, 1);
        }
        let is_opus = self.table.get(stream, stream::CODEC) == codec::OPUS;
        let is_dtx = is_opus && silence_kind::is_dtx_packet(record.payload);
        // SAFETY: the stream has a channel, so it was opened here.
        let state = unsafe { self.table.silence(stream, from.channel.into()) };
        self.edges.clear();
        let energy = if flags & flag::LOST != 0 {
            detector::end_speech_by_gap(state, position + samples as f64, &mut self.edges);
            detector::skip(state, position + samples as f64);
            level::energy(pcm)
        } else {
            detector::begin_frame(state, position, from.flags & flag::DISCONTINUITY != 0, &mut self.edges);
            if flags & flag::CONCEALED != 0 {
                detector::feed_concealed(state, pcm, position, &mut self.edges)
            } else {
                detector::feed_of_kind(state, pcm, position, is_dtx, &mut self.edges)
            }
        };
        if flags & flag::CONCEALED == 0
            && let Some(judge) = &mut self.judge
        {
            judge.add(&mut self.table, from, position, pcm);
        }
        // SAFETY: as above.
        let state = unsafe { self.table.silence(stream, from.channel.into()) };
        // Recordings have silences by their edges, which are surer than what can be told while the frame is made.
        let recorded_flags = flags | if detector::is_frame_in_silence(state) { flag::SILENT } else { 0 };
        if silence::is_frame_silent(state) {
            flags |= flag::SILENT;
        }
        let channel = self.channels.get(stream, from.channel.into());
        let repair = channel.and_then(|channel| channel.opus()?.repair.as_mut());
        let has_repair = repair.is_some();
        let given_up = repair.map_or(0, |repair| keep(repair, record, pcm, flags & flag::SILENT != 0, is_poison));
        let wants = self.table.get(stream, stream::WANTS);
        let needed = if flags & flag::SILENT != 0 { want::SILENT_PCM } else { want::SPEECH_PCM };
        let processed_us = self.clock.read(from, now_us);
        *header = OutputHeader {
            common: Header {
                kind: kind::FRAME,
                flags: recorded_flags,
                payload_length: (samples * size_of::<i16>()) as i32,
                position,
                duration: samples as i32,
                peak: level::peak(pcm),
                ..*from
            },
            mean_square: level::mean_square(energy, samples),
            processed_us,
        };
        // The recorder's copy is made first, while the record still has its samples.
        if let Some(recorder) = self.recorder.as_mut().filter(|_| wants & want::RECORDING != 0) {
            let is_sent = if wants & want::RECORDED_PACKETS != 0 {
                // What could not be decoded is sent as if it were lost.
                let is_missing = flags & (flag::LOST | flag::DECODE_ERROR) != 0;
                let packet = if is_missing { &[][..] } else { record.payload };
                let common = &mut split_space(space).0.common;
                (common.kind, common.payload_length) = (kind::CODED_FRAME, packet.len() as i32);
                let is_sent = recorder.coded(&mut space[..OUTPUT_HEADER_BYTES], packet);
                let common = &mut split_space(space).0.common;
                (common.kind, common.payload_length) = (kind::FRAME, (samples * size_of::<i16>()) as i32);
                is_sent
            } else {
                recorder.data(&mut space[..frame_bytes])
            };
            if !is_sent {
                self.counters.count(shard_counters::RECORDER_REFUSED, 1);
                self.table.add(stream, stream::RECORDER_REFUSED, 1);
            }
        }
        split_space(space).0.common.flags = flags;
        let channel = self.channels.get(stream, from.channel.into());
        let rolled = channel.map(|channel| roll(channel, &self.table, wants, space, frame_bytes)).unwrap_or_default();
        let is_wanted = wants & needed != 0 || rolled.is_wanted;
        if !is_wanted {
            let (header, _) = split_space(&mut space[rolled.moved..]);
            header.common.flags |= flag::NO_PCM;
            header.common.payload_length = 0;
        }
        if rolled.moved > 0
            && let Some(channel) = self.channels.get(stream, from.channel.into())
        {
            commit_pre_roll(channel, &mut self.output, position);
        }
        self.output.commit(if is_wanted { frame_bytes } else { OUTPUT_HEADER_BYTES });
        self.put_edges(from, wants, processed_us);
        self.output.publish();
        self.count(shard_counters::FRAMES);
        self.count_by(shard_counters::GAPS_GIVEN_UP, given_up);
        if has_repair {
            self.count_repair_budget();
        }
        true
    }

    fn put_edges(&mut self, from: &Header, wants: i32, arrival_us: f64) {
        for edge in self.edges.as_slice() {
            // Cannot fail: the space was claimed together with the frame's.
            let Some(space) = self.output.claim(OUTPUT_HEADER_BYTES) else { return };
            let (header, _) = split_space(space);
            *header = OutputHeader::default();
            header.common = Header {
                kind: kind::EDGE,
                channel: from.channel,
                flags: if edge.silent { flag::SILENT } else { 0 },
                stream: from.stream,
                position: edge.position,
                arrival_us,
                duration: edge.kind,
                ..Header::default()
            };
            if let Some(recorder) = self.recorder.as_mut().filter(|_| wants & want::RECORDING != 0)
                && !recorder.data(space)
            {
                self.counters.count(shard_counters::RECORDER_REFUSED, 1);
                self.table.add(from.stream as usize, stream::RECORDER_REFUSED, 1);
            }
            self.output.commit(OUTPUT_HEADER_BYTES);
        }
    }

    /// No packet has arrived for a while: silence, if there was speech.
    fn no_packets(&mut self, from: &Header, now_us: &dyn Fn() -> f64) -> bool {
        let stream = from.stream as usize;
        if self.channels.get(stream, from.channel.into()).is_none() {
            return true;
        }
        if self.output.claim(OUTPUT_HEADER_BYTES).is_none() {
            return false;
        }
        let position = self.channels.ticks_to_samples(stream, from.position);
        let duration = self.channels.ticks_to_samples(stream, from.duration.into());
        self.edges.clear();
        // SAFETY: the stream has a channel, so it was opened here.
        let state = unsafe { self.table.silence(stream, from.channel.into()) };
        detector::end_speech_by_gap(state, position + duration, &mut self.edges);
        self.put_edges(from, self.table.get(stream, stream::WANTS), now_us());
        self.output.publish();
        true
    }

    fn mark(&mut self, from: &Header) -> bool {
        let stream = from.stream as usize;
        if self.channels.get(stream, from.channel.into()).is_none() {
            return true;
        }
        let Some(space) = self.output.claim(OUTPUT_HEADER_BYTES) else { return false };
        let position = self.channels.ticks_to_samples(stream, from.position);
        let duration = self.channels.ticks_to_samples(stream, from.duration.into());
        let (header, _) = split_space(space);
        *header = OutputHeader {
            common: Header { length: OUTPUT_HEADER_BYTES as i32, position, duration: duration as i32, ..*from },
            ..OutputHeader::default()
        };
        if from.flags == mark::NOT_SENT {
            // Only for the recorder: of the live line nothing changes.
            if let Some(recorder) =
                self.recorder.as_mut().filter(|_| self.table.get(stream, stream::WANTS) & want::RECORDING != 0)
            {
                recorder.control(&mut space[..OUTPUT_HEADER_BYTES]);
            }
            return true;
        }
        // SAFETY: the stream has a channel, so it was opened here.
        detector::skip(unsafe { self.table.silence(stream, from.channel.into()) }, position + duration);
        self.pass_on_control(stream, OUTPUT_HEADER_BYTES);
        true
    }

    /// Passes an OPEN, UPDATE or CLOSE on unchanged, but for the longer header of output rings. A CLOSE also says how many records
    /// the recorder ring refused.
    fn pass(&mut self, record: &Record) -> bool {
        let Record { header, payload } = record;
        let length = OUTPUT_HEADER_BYTES + payload.len();
        if self.rejects(length) {
            return true;
        }
        let Some(space) = self.output.claim(length) else { return false };
        let (out, space) = split_space(space);
        *out = OutputHeader { common: Header { length: length as i32, ..*header }, ..OutputHeader::default() };
        if header.kind == kind::CLOSE {
            out.common.sequence = self.table.get(header.stream as usize, stream::RECORDER_REFUSED).into();
        }
        space[..payload.len()].copy_from_slice(payload);
        self.pass_on_control(header.stream as usize, length);
        true
    }

    /// Commits the record of `length` bytes in the claimed space. The recorder's copy waits if its ring is full.
    fn pass_on_control(&mut self, stream: usize, length: usize) {
        let wants = self.table.get(stream, stream::WANTS);
        if let Some(recorder) = self.recorder.as_mut().filter(|_| wants & want::RECORDING != 0)
            && let Some(space) = self.output.claim(length)
        {
            recorder.control(&mut space[..length]);
        }
        self.output.commit(length);
        self.output.publish();
    }
}
