//! Late packets of Opus: `src/shard/opus-corrections.ts`.

use crate::channels::OpusChannel;
use crate::kept_records::{KeptRecord, Kind, Sent, round};
use crate::layout::{Header, OUTPUT_HEADER_BYTES, OutputHeader, codec, flag, kind, shard_counters};
use crate::level;
use crate::opus_repair::{DecoderState, OpusRepair, RepairOutput};
use crate::ring::{Producer, Record, RecorderLink, samples_mut, split_space};

use super::RecordProcessor;

impl RecordProcessor {
    /// Takes a late packet of Opus, which is decoded before the channel's next record. None for another codec.
    pub(super) fn opus_late(&mut self, record: &Record) -> Option<bool> {
        let header = &record.header;
        let samples_per_tick = self.channels.samples_per_tick(header.stream as usize);
        let OpusChannel { state, repair } = self.channels.get(header.stream as usize, header.channel.into())?.opus()?;
        let samples = state.opus.samples_of(record.payload);
        let is_placed = samples.zip(repair.as_mut()).is_some_and(|(samples, repair)| {
            let ticks = round(samples as f64 / samples_per_tick);
            repair.insert(kept(Kind::Packet, record, ticks, false))
        });
        if !is_placed {
            self.count(shard_counters::LATE_UNREPAIRED);
        }
        self.count_repair_budget();
        Some(true)
    }

    /// Called with each record of a channel but late packets, before it is taken.
    pub(super) fn advance_opus_repair(&mut self, stream: usize, channel: usize, must_finish: bool) {
        let opus = self.channels.get(stream, channel).and_then(|channel| channel.opus());
        if !opus.as_ref().and_then(|opus| opus.repair.as_ref()).is_some_and(OpusRepair::is_dirty) {
            return;
        }
        let is_recorded = self.is_recorded(stream);
        let samples_per_tick = self.channels.samples_per_tick(stream);
        let opus = self.channels.get(stream, channel).and_then(|channel| channel.opus());
        let Some(OpusChannel { state, repair: Some(repair) }) = opus else { return };
        let Some(recorder) = self.recorder.as_mut().filter(|_| is_recorded) else {
            repair.close();
            return;
        };
        let output = &mut self.output;
        let (stream, channel) = (stream as i32, channel as u8);
        let mut sending = Sending { output, recorder, stream, channel, samples_per_tick, must_finish };
        repair.advance(state, &mut sending, must_finish);
        self.count_repair_budget();
    }

    /// The stream ends: what its late packets change goes to the recorder in front of its end.
    pub(super) fn finish_opus_repairs(&mut self, stream: usize) {
        for channel in [0, 1] {
            self.advance_opus_repair(stream, channel, true);
        }
    }

    /// The stream has ended: gives up the late packets that the recorder had no space for.
    pub(super) fn close_opus_repairs(&mut self, stream: usize) {
        for channel in [0, 1] {
            let opus = self.channels.get(stream, channel).and_then(|channel| channel.opus());
            if let Some(repair) = opus.and_then(|opus| opus.repair.as_mut()) {
                repair.close();
            }
        }
        self.count_repair_budget();
    }

    /// What waited in a thread that has died is lost with it.
    pub(super) fn count_waiting_of_dead_thread(&self) {
        let left = self.counters.get(shard_counters::LATE_WAITING);
        self.counters.count(shard_counters::LATE_UNREPAIRED, left);
        self.counters.count(shard_counters::LATE_WAITING, -left);
    }

    pub(super) fn count_repair_budget(&self) {
        self.count_by(shard_counters::LATE_UNREPAIRED, self.repair_budget.take_unrepaired());
        let waiting = self.repair_budget.waiting() as i32;
        self.counters.count(shard_counters::LATE_WAITING, waiting - self.counters.get(shard_counters::LATE_WAITING));
    }
}

/// Keeps what was decoded or made up. Returns how many gaps had to be given up.
pub fn keep(repair: &mut OpusRepair, record: &Record, pcm: &[i16], is_silent: bool, is_poison: bool) -> usize {
    if !repair.is_open() {
        return 0;
    }
    let is_lost = record.header.kind == kind::LOST;
    let (kind, ticks) = if is_lost { (Kind::Lost, record.header.duration.into()) } else { (Kind::Packet, 0.0) };
    let sent = Some(Sent { digest: digest(pcm), samples: pcm.len() });
    repair.keep(KeptRecord { is_silent, sent, ..kept(kind, record, ticks, is_poison) })
}

fn kept(kind: Kind, Record { header, payload }: &Record, ticks: f64, is_poison: bool) -> KeptRecord {
    KeptRecord {
        kind,
        sequence: header.sequence,
        timestamp: header.timestamp,
        position: header.position,
        ticks,
        arrival_us: header.arrival_us,
        payload: (*payload).into(),
        is_poison,
        is_silent: false,
        is_new: false,
        sent: None,
    }
}

/// 64 bits, so that two different frames practically never have the same.
fn digest(pcm: &[i16]) -> u64 {
    pcm.iter().fold(0xcbf2_9ce4_8422_2325, |digest, &sample| {
        (digest ^ u64::from(sample as u16)).wrapping_mul(0x0100_0000_01b3).rotate_left(5)
    })
}

/// Sends what is decoded again for one channel.
struct Sending<'a> {
    /// It lends its free space to decode into.
    output: &'a mut Producer,
    recorder: &'a mut RecorderLink,
    stream: i32,
    channel: u8,
    samples_per_tick: f64,
    must_finish: bool,
}

impl RepairOutput for Sending<'_> {
    fn samples_of(&self, line: &DecoderState, record: &KeptRecord) -> usize {
        match record.kind {
            Kind::Packet => line.opus.samples_of(&record.payload).unwrap_or(line.last_samples),
            Kind::Lost | Kind::Empty => round(record.ticks * self.samples_per_tick) as usize,
        }
    }

    fn has_space(&mut self, samples: usize) -> bool {
        let bytes = OUTPUT_HEADER_BYTES + samples * size_of::<i16>();
        if bytes > self.output.max_record_bytes() {
            return true;
        }
        if self.output.claim(bytes).is_none() {
            return false;
        }
        if self.must_finish { self.recorder.has_space(bytes) } else { self.recorder.has_space_to_spare(bytes) }
    }

    fn redecode(&mut self, line: &mut DecoderState, record: &mut KeptRecord, next: Option<&KeptRecord>) {
        let samples = self.samples_of(line, record);
        let bytes = OUTPUT_HEADER_BYTES + samples * size_of::<i16>();
        // Only an empty stretch may be longer than a frame can be, and nothing was ever sent for a longer gap.
        let Some(space) = self.output.claim(bytes).filter(|_| samples > 0) else { return };
        let (header, rest) = split_space(space);
        let pcm = samples_mut(rest, samples);
        let flags = make(line, record, next, pcm);
        let sent = Some(Sent { digest: digest(pcm), samples });
        if record.sent == sent {
            return;
        }
        *header = OutputHeader {
            common: Header {
                kind: kind::CORRECTION,
                channel: self.channel,
                codec: codec::OPUS as u8,
                flags: flags | if record.is_new { flag::REPAIRED } else { 0 },
                stream: self.stream,
                payload_length: (samples * size_of::<i16>()) as i32,
                sequence: record.sequence,
                timestamp: record.timestamp,
                position: round(record.position * self.samples_per_tick),
                arrival_us: record.arrival_us,
                duration: samples as i32,
                peak: level::peak(pcm),
                ..Header::default()
            },
            mean_square: level::mean_square(level::energy(pcm), samples),
            processed_us: record.arrival_us,
        };
        self.recorder.data(&mut space[..bytes]);
        record.sent = sent;
        record.is_new = false;
    }
}

/// Samples of a record as the decoder that is given all in order makes them; the flags that this adds.
fn make(line: &mut DecoderState, record: &KeptRecord, next: Option<&KeptRecord>, pcm: &mut [i16]) -> u8 {
    let silent = if record.is_silent { flag::SILENT } else { 0 };
    match record.kind {
        Kind::Empty => {
            pcm.fill(0);
            silent
        }
        Kind::Lost => {
            let follows = |next: &&KeptRecord| next.kind == Kind::Packet && next.sequence == record.sequence + 1.0;
            let next = &next.filter(follows).unwrap_or(record).payload;
            let has_fec = !next.is_empty() && line.opus.recover(next, pcm);
            if next.is_empty() {
                line.opus.conceal(pcm);
            }
            silent | flag::LOST | if has_fec { 0 } else { flag::CONCEALED }
        }
        Kind::Packet => {
            let is_sound = !record.is_poison && line.opus.samples_of(&record.payload).is_some();
            if is_sound && line.opus.decode(&record.payload, pcm) {
                line.last_samples = pcm.len();
                return silent;
            }
            line.opus.conceal(pcm);
            silent | flag::CONCEALED | flag::DECODE_ERROR
        }
    }
}
