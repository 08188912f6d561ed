//! The network of a shard and the windows of its `neural` channels: `src/shard/neural/speech-judge.ts`.

use std::collections::VecDeque;

use crate::config::SpeechSettings;
use crate::detector::detector_id;
use crate::fusion::{clear_verdict, set_verdict, take_doubt};
use crate::layout::{Header, stream};
use crate::memory::Memory;
use crate::silence::State;
use crate::silero::{BATCH, Window, judge};
use crate::speech_windows::{SpeechWindows, packed_length};
use crate::table::StreamTable;

const CHANNELS: usize = 2;
const BUSY_FRAMES: u64 = 256;
const FASTER_THAN_LIVE: f64 = 2.0;

struct JudgedChannel {
    windows: SpeechWindows,
    sample_rate: f64,
    busy_period: u64,
    busy_from: f64,
    /// The window was judged, and its verdict has not been taken yet.
    is_judged: bool,
}

impl JudgedChannel {
    fn take_verdict(&mut self, table: &mut StreamTable, index: usize) {
        if !std::mem::take(&mut self.is_judged) {
            return;
        }
        if let Some(window) = &self.windows.window {
            set_verdict(state_of(table, index), window.log_odds);
        }
    }
}

pub struct SpeechJudge {
    memory: Memory,
    settings: SpeechSettings,
    channels: Vec<Option<Box<JudgedChannel>>>,
    /// Windows that wait to be judged, with the index of their channel.
    pending: VecDeque<(usize, Box<Window>)>,
    is_idle: bool,
    busy_since_us: f64,
    busy_frames: u64,
    busy_period: u64,
}

impl SpeechJudge {
    /// # Panics
    /// When the weights do not lie within the memory.
    pub fn new(memory: Memory, settings: SpeechSettings, streams: usize) -> Self {
        memory.address(settings.weights, packed_length() * size_of::<f32>(), 128);
        Self {
            memory,
            settings,
            channels: std::iter::repeat_with(|| None).take(streams * CHANNELS).collect(),
            pending: VecDeque::with_capacity(BATCH),
            is_idle: true,
            busy_since_us: 0.0,
            busy_frames: 0,
            busy_period: 0,
        }
    }

    pub fn open(&mut self, table: &StreamTable, stream: usize) {
        self.close(stream);
        if table.get(stream, stream::DETECTOR) != detector_id::NEURAL {
            return;
        }
        let sample_rate = table.get(stream, stream::SAMPLE_RATE) as u32;
        let channels = table.get(stream, stream::CHANNELS).clamp(1, CHANNELS as i32) as usize;
        for channel in &mut self.channels[stream * CHANNELS..][..channels] {
            *channel = SpeechWindows::new(sample_rate).map(|windows| {
                Box::new(JudgedChannel {
                    windows,
                    sample_rate: f64::from(sample_rate),
                    busy_period: 0,
                    busy_from: 0.0,
                    is_judged: false,
                })
            });
        }
    }

    pub fn close(&mut self, stream: usize) {
        let own = stream * CHANNELS..(stream + 1) * CHANNELS;
        self.pending.retain(|(index, _)| !own.contains(index));
        if let Some(channels) = self.channels.get_mut(own) {
            channels.fill_with(|| None);
        }
    }

    /// Before the frame of `from`, which begins at `position`, is fed to the detector. True when a window was passed over.
    pub fn settle(&mut self, table: &mut StreamTable, from: &Header, position: f64, now_us: &dyn Fn() -> f64) -> bool {
        let index = from.stream as usize * CHANNELS + usize::from(from.channel);
        let Some(channel) = &mut self.channels[index] else { return false };
        if self.is_idle {
            self.is_idle = false;
            self.busy_since_us = now_us();
            self.busy_frames = 0;
            self.busy_period += 1;
        }
        self.busy_frames += 1;
        if channel.busy_period != self.busy_period {
            channel.busy_period = self.busy_period;
            channel.busy_from = position;
        }
        if channel.windows.window.is_some() {
            channel.take_verdict(table, index);
            return false;
        }
        let busy_us = if self.busy_frames < BUSY_FRAMES { 0.0 } else { now_us() - self.busy_since_us };
        let audio_us = (position - channel.busy_from) / channel.sample_rate * 1e6;
        if self.busy_frames >= BUSY_FRAMES && busy_us >= self.settings.busy_us && audio_us < FASTER_THAN_LIVE * busy_us
        {
            if let Some(at) = self.pending.iter().position(|(pending, _)| *pending == index) {
                channel.windows.window = self.pending.remove(at).map(|(_, window)| window);
            }
            clear_verdict(state_of(table, index));
            return true;
        }
        self.judge_with_others(index);
        if let Some(channel) = &mut self.channels[index] {
            channel.take_verdict(table, index);
        }
        false
    }

    /// After the frame of `from` was fed, which begins at `position`.
    pub fn add(&mut self, table: &mut StreamTable, from: &Header, position: f64, pcm: &[i16]) {
        let index = from.stream as usize * CHANNELS + usize::from(from.channel);
        let Some(channel) = &mut self.channels[index] else { return };
        channel.windows.seek(position);
        let mut rest = pcm;
        while !rest.is_empty() {
            let Some(channel) = &mut self.channels[index] else { return };
            // SAFETY: main filled them before the stream's OPEN, and nobody writes them again.
            rest = channel.windows.take(unsafe { weights(&self.memory, self.settings.weights) }, rest);
            if !channel.windows.is_complete() {
                return;
            }
            // The window before, in a frame that is longer than one.
            if channel.windows.window.is_none() {
                self.judge_with_others(index);
            }
            let Some(channel) = &mut self.channels[index] else { return };
            channel.take_verdict(table, index);
            let state = state_of(table, index);
            let is_in_doubt = take_doubt(state);
            match channel.windows.complete(is_in_doubt) {
                Some(window) => self.pending.push_back((index, window)),
                None => clear_verdict(state),
            }
        }
    }

    /// The input ring is empty: judges windows that wait, as many as fit into a batch. False when there are none.
    pub fn work(&mut self) -> bool {
        self.is_idle = true;
        let Some(&(index, _)) = self.pending.front() else { return false };
        self.judge_with_others(index);
        true
    }

    /// Judges the window of a channel together with others that wait.
    fn judge_with_others(&mut self, index: usize) {
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == index) else { return };
        self.pending.swap(0, at);
        let count = self.pending.len().min(BATCH);
        let mut windows: [Option<(usize, Box<Window>)>; BATCH] = [const { None }; BATCH];
        for window in &mut windows[..count] {
            *window = self.pending.pop_front();
        }
        // SAFETY: main filled them before the stream's OPEN, and nobody writes them again.
        let weights = unsafe { weights(&self.memory, self.settings.weights) };
        match &mut windows {
            [Some(a), Some(b), Some(c), Some(d)] => judge(weights, &mut [&mut a.1, &mut b.1, &mut c.1, &mut d.1]),
            [Some(a), Some(b), Some(c), None] => judge(weights, &mut [&mut a.1, &mut b.1, &mut c.1]),
            [Some(a), Some(b), None, None] => judge(weights, &mut [&mut a.1, &mut b.1]),
            [Some(a), ..] => judge(weights, &mut [&mut a.1]),
            _ => {}
        }
        for (index, window) in windows.into_iter().flatten() {
            if let Some(channel) = &mut self.channels[index] {
                channel.windows.window = Some(window);
                channel.is_judged = true;
            }
        }
    }
}

fn state_of(table: &mut StreamTable, index: usize) -> &mut State {
    // SAFETY: only streams that were opened here have windows.
    unsafe { table.silence(index / CHANNELS, index % CHANNELS) }
}

/// # Safety
/// Nobody may write the weights any more.
unsafe fn weights(memory: &Memory, at: usize) -> &[f32] {
    let bytes = packed_length() * size_of::<f32>();
    let address = memory.address(at, bytes, align_of::<f32>()).cast::<f32>();
    // SAFETY: in the memory, aligned, and unchanged, as the caller vouches.
    unsafe { std::slice::from_raw_parts(address, packed_length()) }
}
