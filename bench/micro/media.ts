import { Buffer } from 'node:buffer';
import { decodePcma, decodePcmu } from '../../src/audio/codecs/g711.js';
import { OpusDecoder } from '../../src/audio/codecs/opus.js';
import { FrameEnergy, measureFrame } from '../../src/audio/frame-energy.js';
import { measureLevel } from '../../src/audio/level.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { cutFrame, feedHops, initSilence, SILENCE_EDGE_SLOTS, SILENCE_STATE_SLOTS } from '../../src/audio/silence.js';
import { LoopLibrary } from '../../src/simulator/sound/loops.js';
import { loadClips } from '../../src/simulator/sound/speech.js';
import type { MicroCase } from './micro-case.js';

const LONGEST_FRAME = 5_760;

/** A second of real speech, a frame a step: its pauses and its loud parts take different ways through the code. */
const FRAMES = 50;

interface Packet {
  readonly memory: SampleMemory;
  readonly length: number;
}

type Coding = Parameters<LoopLibrary['loop']>[1];

/** On speech, not on noise or zeros. */
export function mediaCases(): MicroCase[] {
  const library = new LoopLibrary(loadClips());
  const packets = (coding: Coding): Packet[] =>
    library
      .loop(0, coding)
      .payloads.slice(0, FRAMES)
      .map((text) => Buffer.from(text, 'base64'))
      .map((payload) => ({ memory: SampleMemory.copyOf(payload), length: payload.length }));
  const pcmu = packets({ codec: 'pcmu', sampleRate: 8_000, dtx: false });
  return [
    g711('media decode PCMU', pcmu, decodePcmu),
    g711('media decode PCMA', packets({ codec: 'pcma', sampleRate: 8_000, dtx: false }), decodePcma),
    ...[8_000, 16_000, 48_000].map((sampleRate) =>
      opus(sampleRate, packets({ codec: 'opus', sampleRate, dtx: false })),
    ),
    level(pcmu),
    silence(pcmu),
  ];
}

function g711(name: string, packets: readonly Packet[], decode: typeof decodePcmu): MicroCase {
  const out = new SampleMemory(new ArrayBuffer(2 * LONGEST_FRAME));
  return {
    name,
    unit: 'frame of 160 samples',
    steps: packets.length,
    run() {
      for (const { memory, length } of packets) decode(memory, 0, length, out, 0);
    },
  };
}

function opus(sampleRate: number, packets: readonly Packet[]): MicroCase {
  const decoder = new OpusDecoder(sampleRate);
  const out = new SampleMemory(new ArrayBuffer(2 * LONGEST_FRAME));
  return {
    name: `media decode Opus at ${sampleRate / 1_000} kHz, WebAssembly`,
    unit: 'frame of 20 ms',
    steps: packets.length,
    run() {
      for (const { memory, length } of packets) {
        if (decoder.decode(memory, 0, length, out, 0) < 0) throw new Error('The packet was not decoded.');
      }
    },
  };
}

function decoded(pcmu: readonly Packet[]): { readonly pcm: SampleMemory; readonly frame: number } {
  const frame = pcmu[0]?.length ?? 0;
  const pcm = new SampleMemory(new ArrayBuffer(2 * frame * pcmu.length));
  for (const [i, { memory }] of pcmu.entries()) decodePcmu(memory, 0, frame, pcm, i * frame);
  return { pcm, frame };
}

function level(pcmu: readonly Packet[]): MicroCase {
  const { pcm, frame } = decoded(pcmu);
  const into = { meanSquare: 0, peak: 0 };
  return {
    name: 'media measure level and peak',
    unit: 'frame of 160 samples',
    steps: pcmu.length,
    run() {
      for (let at = 0; at < pcm.samples.length; at += frame) measureLevel(pcm, at, frame, into);
    },
  };
}

function silence(pcmu: readonly Packet[]): MicroCase {
  const { pcm, frame } = decoded(pcmu);
  const state = new Float64Array(SILENCE_STATE_SLOTS);
  const edges = new Float64Array(SILENCE_EDGE_SLOTS);
  const energy = new FrameEnergy();
  initSilence(state, 0, { sampleRate: 8_000 });
  let position = 0;
  return {
    name: 'media step silence detection',
    unit: 'frame of 160 samples',
    steps: pcmu.length,
    run() {
      for (let at = 0; at < pcm.samples.length; at += frame) {
        cutFrame(state, 0, position, energy);
        measureFrame(pcm, at, frame, energy);
        feedHops(state, 0, energy, frame, edges);
        position += frame;
      }
    },
  };
}
