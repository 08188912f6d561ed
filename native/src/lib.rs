//! trunkline-dsp, trunkline-rtp and trunkline-wire for Node. `src/native/addon.ts` loads this; `addon.d.ts` declares the types.

mod chunk_sealer;
mod deinterleaver;
mod flac_encoder;
mod regular_packets;
pub mod service_manager;
mod socket_reader;

use std::ptr::null_mut;
use std::time::Instant;

use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;
use trunkline_dsp::config::{Config, SpeechSettings};
use trunkline_dsp::layout;
use trunkline_dsp::memory::Memory;
use trunkline_dsp::ring::Place;
use trunkline_dsp::shard::Shard;
use trunkline_dsp::silence::Settings;

/// Compared with LAYOUT_VERSION of src/ring/layout.ts before anything else is called.
#[napi]
pub const LAYOUT_VERSION: u32 = layout::LAYOUT_VERSION;

#[napi(object)]
pub struct RingPlace {
    pub offset: u32,
    pub capacity: u32,
}

#[napi(object)]
pub struct ShardPlaces {
    pub control: u32,
    pub counters: u32,
    pub input: RingPlace,
    pub output: RingPlace,
    pub recorder: Option<RingPlace>,
    pub table: u32,
    pub streams: u32,
    pub silence_threshold: f64,
    pub silence_window_ms: f64,
    pub speech_weights: Option<u32>,
    pub speech_busy_us: Option<f64>,
}

/// A Uint8Array over memory that is never moved nor detached, such as a SharedArrayBuffer: its address, and the reference
/// that keeps it alive.
pub struct SharedBytes {
    pub(crate) address: *mut u8,
    pub(crate) length: usize,
    array: Uint8Array,
}

impl TypeName for SharedBytes {
    fn type_name() -> &'static str {
        Uint8Array::type_name()
    }

    fn value_type() -> ValueType {
        Uint8Array::value_type()
    }
}

impl ValidateNapiValue for SharedBytes {}

impl FromNapiValue for SharedBytes {
    // Uint8Array gives the address as a slice only, and memory that other threads write must not be sliced.
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: env and value are those that this was called with.
        let array = unsafe { Uint8Array::from_napi_value(env, value)? };
        let (mut address, mut length) = (null_mut(), 0);
        // SAFETY: as above; null outputs are skipped.
        let status = unsafe {
            sys::napi_get_typedarray_info(env, value, null_mut(), &mut length, &mut address, null_mut(), null_mut())
        };
        check_status!(status, "Expected a Uint8Array.")?;
        Ok(Self { address: address.cast(), length, array })
    }
}

#[napi]
pub struct NativeShard {
    // Declared, and so dropped, before the memory that it works on.
    shard: Option<Shard>,
    clock: EngineClock,
    _memory: Uint8Array,
}

#[napi]
impl NativeShard {
    /// `memory` is the whole shared memory of the engine.
    #[napi(constructor, catch_unwind)]
    pub fn new(memory: SharedBytes, places: ShardPlaces) -> Result<Self> {
        // SAFETY: the array is kept as long as the shard, and every thread accesses it as the layout says.
        let shared = unsafe { Memory::new(memory.address, memory.length) }
            .ok_or_else(|| Error::from_reason("The shared memory does not begin at a multiple of 8."))?;
        let ring = |place: &RingPlace| Place { offset: place.offset as usize, capacity: place.capacity as usize };
        let shard = Shard::new(
            shared,
            &Config {
                control: places.control as usize,
                counters: places.counters as usize,
                input: ring(&places.input),
                output: ring(&places.output),
                recorder: places.recorder.as_ref().map(ring),
                table: places.table as usize,
                streams: places.streams as usize,
                silence: Settings { threshold: places.silence_threshold, window_ms: places.silence_window_ms },
                speech: places.speech_weights.map(|weights| SpeechSettings {
                    weights: weights as usize,
                    busy_us: places.speech_busy_us.unwrap_or(f64::INFINITY),
                }),
            },
        );
        Ok(Self { shard: Some(shard), clock: EngineClock::new(), _memory: memory.array })
    }

    /// What the engine's clock has just shown, in microseconds. Called several times: the call with the least delay counts.
    #[napi(catch_unwind)]
    pub fn tell_time(&mut self, now_us: f64) {
        self.clock.set(now_us);
    }

    /// Makes new decoders for a stream that was open when the last thread of this shard died.
    #[napi(catch_unwind)]
    pub fn reopen(&mut self, stream: u32) {
        if let Some(shard) = &mut self.shard {
            shard.reopen(stream as usize);
        }
    }

    /// Processes up to `most` records. Returns how many it was, 0 for none, −1 when blocked.
    #[napi(catch_unwind)]
    pub fn drain(&mut self, most: u32) -> i32 {
        let clock = &self.clock;
        self.shard.as_mut().map_or(0, |shard| shard.drain(most, || clock.now_us()))
    }

    /// Frees the decoders at once, rather than when the garbage collector finds the time.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.shard = None;
    }
}

/// The engine's clock, read from Rust: both are the machine's monotonic clock and differ only in their zero.
struct EngineClock {
    began: Instant,
    began_us: f64,
}

impl EngineClock {
    fn new() -> Self {
        Self { began: Instant::now(), began_us: f64::NEG_INFINITY }
    }

    /// A delay since `now_us` was read makes the zero seem earlier than it is, never later.
    fn set(&mut self, now_us: f64) {
        self.began_us = self.began_us.max(now_us - self.elapsed_us());
    }

    fn now_us(&self) -> f64 {
        self.began_us + self.elapsed_us()
    }

    fn elapsed_us(&self) -> f64 {
        self.began.elapsed().as_nanos() as f64 / 1e3
    }
}
