import type { Clock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import type { AuditFields } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { US_PER_MS } from '../../core/units.js';
import type { ListenOptions, ListenStream } from '../../sinks/monitor/listen-stream.js';
import type { Caller } from '../access/roles.js';
import { ControlError } from '../errors.js';
import { AudioFormat, type AudioRequest } from './audio-format.js';
import { type AudioOutput, LiveAudio } from './live-audio.js';

/** What listening needs of the node and of the server. */
interface ListenersDependencies {
  readonly node: { listen(interactionId: string, options: ListenOptions): ListenStream };
  readonly clock: Clock;
  /** A client that takes nothing for so long is cut off. */
  readonly stalledMs: number;
  audit(caller: Caller, action: string, fields?: AuditFields, interactionId?: string): void;
}

/** What the listeners have counted. */
export interface ListenersStats {
  readonly listeners: number;
  /** Audio that slow listeners have missed, all of them together. */
  readonly missedMs: number;
  /** Listeners that were cut off because they took nothing. */
  readonly cut: number;
  /** Listeners that were refused because there were too many. */
  readonly refused: number;
}

/** A listener that has been admitted, and whose response has not begun. */
export interface AdmittedListener {
  readonly format: AudioFormat;
  /** Sends the audio from now on. Call the function that it returns when the client has gone. */
  begin(output: AudioOutput): () => void;
  /** The client has gone before that. */
  abandon(): void;
}

/** Those who listen to calls at the moment. Each is in the audit, with begin, end and how long it took. */
export class LiveListeners {
  readonly #dependencies: ListenersDependencies;
  readonly #open = new Set<LiveAudio>();
  #admitted = 0;
  /** Of listeners that have gone. */
  #missedMs = 0;
  #cut = 0;
  #refused = 0;

  constructor(dependencies: ListenersDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ControlError 404 when the interaction is not being captured, 503 when there are too many listeners. */
  admit(caller: Caller, interactionId: string, request: AudioRequest): AdmittedListener {
    if (this.#admitted >= LIMITS.audioListeners) {
      this.#refused++;
      throw new ControlError(503, 'tooManyListeners', 'There are too many listeners; try again later.', 5);
    }
    const stream = this.#streamOf(interactionId);
    const format = new AudioFormat(stream.info, request);
    this.#admitted++;
    return {
      format,
      begin: (output) => this.#begin(caller, stream, format, output),
      abandon: () => {
        this.#admitted--;
        stream.destroy();
      },
    };
  }

  stats(): ListenersStats {
    let missedMs = this.#missedMs;
    for (const audio of this.#open) missedMs += audio.missedMs;
    return { listeners: this.#open.size, missedMs, cut: this.#cut, refused: this.#refused };
  }

  /** The server closes. */
  close(): void {
    for (const audio of [...this.#open]) audio.end('closing');
  }

  #streamOf(interactionId: string): ListenStream {
    try {
      return this.#dependencies.node.listen(interactionId, { realTime: true });
    } catch (thrown) {
      if (!(thrown instanceof TrunklineError && thrown.code === 'STREAM_UNKNOWN')) throw thrown;
      throw new ControlError(404, 'notFound', 'The interaction is not being captured at the moment.');
    }
  }

  #begin(caller: Caller, stream: ListenStream, format: AudioFormat, output: AudioOutput): () => void {
    const { clock, stalledMs, audit } = this.#dependencies;
    const { interactionId } = stream.info;
    const startUs = clock.nowUs();
    const audio = new LiveAudio(stream, format, output, clock, { stalledMs });
    this.#open.add(audio);
    audit(caller, 'listen_started', {}, interactionId);
    // However it ends, the stream is closed.
    stream.once('close', () => {
      this.#open.delete(audio);
      this.#admitted--;
      this.#missedMs += audio.missedMs;
      if (audio.endReason === 'cut') this.#cut++;
      const durationMs = Math.round((clock.nowUs() - startUs) / US_PER_MS);
      audit(caller, 'listen_ended', { reason: audio.endReason, durationMs }, interactionId);
    });
    return () => audio.close();
  }
}
