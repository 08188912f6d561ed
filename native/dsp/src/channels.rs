//! The decoders of a shard's streams: `src/shard/channel-decoders.ts`.

use crate::concealment::Concealment;
use crate::g711::{decode_pcma, decode_pcmu};
use crate::kept_records::round;
use crate::l16::{decode_l16, decode_l16_le};
use crate::layout::{codec, stream};
use crate::memory::prefetch;
use crate::opus::OpusDecoder;
use crate::opus_repair::{DecoderState, OpusRepair};
use crate::speech_roll::SpeechRoll;
use crate::table::StreamTable;

/// Packet rate that is assumed for a packet that cannot be decoded when nothing else is known.
const USUAL_RATE: u32 = 50;
const CHANNELS: usize = 2;
/// The longest pitch period, 15 ms at 48 kHz, and one sample.
const MAX_FIT_SAMPLES: usize = 721;

/// Decoder and concealment of one channel of one stream.
pub struct Channel {
    decoder: Decoder,
    /// Samples of the last packet that was decoded; assumed for a packet that cannot be.
    last_samples: usize,
    /// While silence around speech is wanted.
    pub roll: Option<SpeechRoll>,
}

enum Decoder {
    /// Every `sample_bytes` bytes are one sample, independent of the others.
    Plain {
        decode: fn(&[u8], &mut [i16]),
        sample_bytes: usize,
        concealment: Concealment,
    },
    Opus(OpusChannel),
}

pub struct OpusChannel {
    pub state: DecoderState,
    /// From the first gap of a stream that is recorded on.
    pub repair: Option<OpusRepair>,
}

impl Channel {
    fn new(codec: i32, sample_rate: u32) -> Option<Self> {
        let last_samples = (sample_rate / USUAL_RATE) as usize;
        let plain =
            |decode, sample_bytes| Decoder::Plain { decode, sample_bytes, concealment: Concealment::new(sample_rate) };
        let decoder = match codec {
            codec::PCMU => plain(decode_pcmu, 1),
            codec::PCMA => plain(decode_pcma, 1),
            codec::L16 => plain(decode_l16, 2),
            codec::L16_LE => plain(decode_l16_le, 2),
            _ => Decoder::Opus(OpusChannel {
                state: DecoderState { opus: OpusDecoder::new(sample_rate)?, last_samples },
                repair: None,
            }),
        };
        Some(Self { decoder, last_samples, roll: None })
    }

    /// Samples that decode() will give for this packet; an estimate for a packet that it will refuse.
    pub fn packet_samples(&self, packet: &[u8]) -> usize {
        let samples = match &self.decoder {
            Decoder::Plain { sample_bytes, .. } => {
                Some(packet.len() / sample_bytes).filter(|_| packet.len().is_multiple_of(*sample_bytes))
            }
            Decoder::Opus(opus) => opus.state.opus.samples_of(packet).or(Some(opus.state.last_samples)),
        };
        samples.filter(|&samples| samples > 0).unwrap_or(self.last_samples)
    }

    /// Decodes into `pcm`, packet_samples() long. False when the packet is damaged.
    pub fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> bool {
        #[cfg(test)]
        assert!(!packet.starts_with(b"PANIC"), "this packet makes a test panic");
        match &mut self.decoder {
            Decoder::Plain { decode, sample_bytes, concealment } => {
                if packet.is_empty() || !packet.len().is_multiple_of(*sample_bytes) {
                    return false;
                }
                decode(packet, pcm);
                concealment.keep(pcm);
            }
            Decoder::Opus(opus) => {
                let state = &mut opus.state;
                if state.opus.samples_of(packet).is_none() || !state.opus.decode(packet, pcm) {
                    return false;
                }
                state.last_samples = pcm.len();
            }
        }
        self.last_samples = pcm.len();
        true
    }

    /// Samples of a packet that is decoded out of its order; 0 when it cannot be, as with Opus, or is damaged.
    pub fn late_samples(&self, packet: &[u8]) -> usize {
        match &self.decoder {
            Decoder::Plain { sample_bytes, .. } if packet.len().is_multiple_of(*sample_bytes) => {
                packet.len() / sample_bytes
            }
            _ => 0,
        }
    }

    /// Decodes such a packet into `pcm`, late_samples() long, and remembers nothing of it.
    pub fn decode_late(&self, packet: &[u8], pcm: &mut [i16]) {
        if let Decoder::Plain { decode, .. } = &self.decoder {
            decode(packet, pcm);
        }
    }

    /// What Opus has besides.
    pub fn opus(&mut self) -> Option<&mut OpusChannel> {
        match &mut self.decoder {
            Decoder::Opus(opus) => Some(opus),
            Decoder::Plain { .. } => None,
        }
    }

    /// Fills `pcm` with concealment.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        match &mut self.decoder {
            Decoder::Plain { concealment, .. } => concealment.conceal(pcm, &[]),
            Decoder::Opus(opus) => opus.state.opus.conceal(pcm),
        }
    }

    /// Fills `pcm` in place of a lost packet: out of `next`, the packet that follows it, where that carries in-band FEC, and
    /// with concealment otherwise, fitted to `next` where that is known. True when there was FEC.
    pub fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        match &mut self.decoder {
            Decoder::Opus(opus) if !next.is_empty() => opus.state.opus.recover(next, pcm),
            Decoder::Plain { decode, sample_bytes, concealment } if !next.is_empty() => {
                let mut samples = [0; MAX_FIT_SAMPLES];
                let samples = &mut samples[..concealment.samples_to_fit()];
                let next = next.get(..samples.len() * *sample_bytes);
                next.inspect(|next| decode(next, samples));
                concealment.conceal(pcm, if next.is_some() { samples } else { &[] });
                false
            }
            _ => {
                self.conceal(pcm);
                false
            }
        }
    }
}

pub struct Channels {
    channels: Vec<Option<Channel>>,
    /// Samples a tick of the RTP clock, by stream.
    samples_per_tick: Vec<f64>,
}

impl Channels {
    pub fn new(streams: usize) -> Self {
        Self {
            channels: std::iter::repeat_with(|| None).take(streams * CHANNELS).collect(),
            samples_per_tick: vec![0.0; streams],
        }
    }

    /// A stream whose decoders get no memory stays closed: it has no frames, and the other streams are not affected.
    pub fn open(&mut self, table: &StreamTable, stream: usize) {
        self.close(stream);
        let sample_rate = table.get(stream, stream::SAMPLE_RATE);
        let channels = table.get(stream, stream::CHANNELS).clamp(1, CHANNELS as i32) as usize;
        self.samples_per_tick[stream] = f64::from(sample_rate) / f64::from(table.get(stream, stream::CLOCK_RATE));
        for channel in &mut self.channels[stream * CHANNELS..][..channels] {
            *channel = Channel::new(table.get(stream, stream::CODEC), sample_rate as u32);
        }
    }

    pub fn close(&mut self, stream: usize) {
        if let Some(channels) = self.channels.chunks_mut(CHANNELS).nth(stream) {
            channels.fill_with(|| None);
        }
    }

    pub fn get(&mut self, stream: usize, channel: usize) -> Option<&mut Channel> {
        self.channels.get_mut(stream * CHANNELS + channel)?.as_mut()
    }

    /// Begins to fetch what a channel has.
    pub fn prefetch(&self, stream: usize, channel: usize) {
        if let Some(channel) = self.at(stream, channel) {
            prefetch(channel);
        }
        if let Some(samples_per_tick) = self.samples_per_tick.get(stream) {
            prefetch(samples_per_tick);
        }
    }

    /// Begins to fetch the memory that the next packet of a channel will be kept in.
    pub fn prefetch_history(&self, stream: usize, channel: usize) {
        if let Some(Some(Channel { decoder: Decoder::Plain { concealment, .. }, last_samples, .. })) =
            self.at(stream, channel)
        {
            concealment.prefetch(*last_samples);
        }
    }

    /// A damaged record may name any stream; it is refused when its turn comes.
    fn at(&self, stream: usize, channel: usize) -> Option<&Option<Channel>> {
        self.channels.get(stream.checked_mul(CHANNELS)?.checked_add(channel)?)
    }

    /// As JavaScript's Math.round: halves go up.
    pub fn ticks_to_samples(&self, stream: usize, ticks: f64) -> f64 {
        round(ticks * self.samples_per_tick[stream])
    }

    pub fn samples_per_tick(&self, stream: usize) -> f64 {
        self.samples_per_tick[stream]
    }
}
