import { api, urlOf, withQuery } from '../api/client.js';
import { token } from '../api/session.js';
import { createStore } from '../api/store.js';
import type { PlayoutFigures } from './playout-ring.js';
import workletUrl from './playout-worklet.ts?worker&url';

export interface PlayoutReport extends PlayoutFigures {
  /** The largest sample of each channel since the report before, 0 to 1. */
  readonly peaks: readonly number[];
}

export interface ListenState {
  readonly status: 'off' | 'connecting' | 'playing' | 'failed';
  readonly message?: string;
  readonly report?: PlayoutReport;
  /** What the browser and the sound card add, in milliseconds. */
  readonly outputMs?: number;
}

interface Format {
  readonly sampleRate: number;
  readonly channels: number;
  readonly format: string;
}

const PROTOCOL = 'trunkline.audio.v1';
const RETRY_MS = 1_000;
/** A node that restarts has its calls again within a moment. */
const MAX_FAILURES = 60;
const NORMAL_CLOSE = 1000;
/** Ends of a stream that need not be the end of the call: it may have another stream, or another process may have it. */
const GOES_ON = ['formatChanged', 'interrupted', 'stopped'];

/**
 * Plays a call while it goes on: PCM from a WebSocket into an AudioWorklet, at the call's own sample rate, with a volume
 * for each channel. When the connection breaks it connects again until it is stopped.
 */
export class Listener {
  readonly state = createStore<ListenState>({ status: 'off' });
  readonly #id: string;
  #socket: WebSocket | undefined;
  #context: AudioContext | undefined;
  #node: AudioWorkletNode | undefined;
  readonly #gains: GainNode[] = [];
  readonly #volumes = [1, 1];
  /** Attempts since it last played. */
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string) {
    this.#id = id;
  }

  /** Call it while a click is handled: browsers play nothing otherwise. */
  start(sampleRate: number, channels: number): void {
    this.stop();
    this.#failures = 0;
    this.state.set({ status: 'connecting' });
    this.#context = new AudioContext({ sampleRate, latencyHint: 'interactive' });
    void this.#context.resume();
    this.#connect(channels);
  }

  stop(message?: string): void {
    clearTimeout(this.#retry);
    this.#close();
    void this.#context?.close();
    this.#context = undefined;
    this.state.set(message === undefined ? { status: 'off' } : { status: 'failed', message });
  }

  /** @param volume 0 is muted, 1 as it is. */
  setVolume(channel: number, volume: number): void {
    this.#volumes[channel] = volume;
    const gain = this.#gains[channel];
    // At once, but without a click.
    gain?.gain.setTargetAtTime(volume, gain.context.currentTime, 0.015);
  }

  #connect(channels: number): void {
    const query = { channels: channels === 2 ? 'stereo' : 'mono' };
    const address = urlOf(withQuery(`${api('interactions', this.#id)}/audio`, query)).replace(/^http/, 'ws');
    const bearer = token();
    // A browser's WebSocket has no headers of its own: the token is among the subprotocols, not in the address.
    const protocols = bearer === undefined ? [PROTOCOL] : [PROTOCOL, `trunkline.bearer.${bearer}`];
    const socket = new WebSocket(address, protocols);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data !== 'string') this.#play(data);
      else if (data.includes('sampleRate')) void this.#prepare(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      if (code === NORMAL_CLOSE && !GOES_ON.includes(reason)) return this.stop('The call has ended.');
      if (++this.#failures > MAX_FAILURES) return this.stop('The call is not there any more.');
      this.#close();
      this.state.set({ status: 'connecting', message: 'Connecting again …' });
      this.#retry = setTimeout(() => this.#connect(channels), reason === 'formatChanged' ? 0 : RETRY_MS);
    };
  }

  /** What arrives until the worklet is there is put aside. */
  #early: ArrayBuffer[] = [];

  async #prepare(text: string): Promise<void> {
    try {
      const { sampleRate, channels, format } = JSON.parse(text) as Format;
      if (format !== 's16le') throw new Error(`This page cannot play the format ${format}.`);
      if (this.#context !== undefined && this.#context.sampleRate !== sampleRate) {
        void this.#context.close();
        this.#context = new AudioContext({ sampleRate, latencyHint: 'interactive' });
      }
      const context = this.#context;
      if (context === undefined) return;
      await context.audioWorklet.addModule(workletUrl);
      if (context !== this.#context) return;
      this.#node?.disconnect();
      this.#node = this.#graph(context, channels);
      this.#failures = 0;
      for (const pcm of this.#early.splice(0)) this.#play(pcm);
    } catch (error) {
      this.stop(error instanceof Error ? error.message : String(error));
    }
  }

  #graph(context: AudioContext, channels: number): AudioWorkletNode {
    const node = new AudioWorkletNode(context, 'trunkline-playout', {
      numberOfInputs: 0,
      outputChannelCount: [channels],
      processorOptions: { channels },
    });
    const splitter = context.createChannelSplitter(channels);
    node.connect(splitter);
    this.#gains.length = 0;
    for (let channel = 0; channel < channels; channel++) {
      const gain = context.createGain();
      gain.gain.value = this.#volumes[channel] ?? 1;
      splitter.connect(gain, channel);
      gain.connect(context.destination);
      this.#gains.push(gain);
    }
    node.port.onmessage = ({ data }: MessageEvent<PlayoutReport>) => {
      const outputMs = (context.baseLatency + (context.outputLatency || 0)) * 1000;
      if (this.#node === node) this.state.set({ status: 'playing', report: data, outputMs });
    };
    return node;
  }

  #play(pcm: ArrayBuffer): void {
    if (this.#node === undefined) this.#early.push(pcm);
    else this.#node.port.postMessage(pcm, [pcm]);
  }

  #close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#node?.disconnect();
    this.#node = undefined;
    this.#gains.length = 0;
    this.#early = [];
  }
}
