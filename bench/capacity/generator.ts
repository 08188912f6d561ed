import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../src/core/clock.js';
import { parseRequest, subscribedMessage } from '../../src/simulator/wire.js';
import { ConnectionFrames } from './frames.js';
import { newHistogram, recordUs } from './histogram.js';
import type { GeneratorReport } from './messages.js';
import { SpeechPayloads } from './payloads.js';
import {
  formatOf,
  interactionIds,
  isInWindow,
  type Load,
  TAIL_TICKS,
  TICK_US,
  TICKS_PER_SECOND,
  type Timetable,
} from './plan.js';

/** Slots of each connection, and so the backlog in ticks that a client may have before packets are withheld. */
const SLOTS = TICKS_PER_SECOND;
/** Connections write at this many different moments of a tick, as far as there are so many. */
const PHASES = 40;
/** The loop looks at its sockets at least this often. */
const LONGEST_WAIT_US = 2_000;

/** One media connection, written to past the `ws` object that made it: that one only answers what the client says. */
class Line {
  readonly socket: Socket;
  readonly interactions: number[] = [];
  readonly phaseUs: number;
  frames: ConnectionFrames | undefined;
  nextTick = 0;
  /** Writes that the kernel has not yet taken whole. */
  unwritten = 0;

  constructor(socket: Socket, phaseUs: number) {
    this.socket = socket;
    this.phaseUs = phaseUs;
  }

  readonly written = (): void => {
    this.unwritten--;
  };
}

/**
 * The load: a server of the media protocol that sends from prepared buffers, open loop. Every packet is due at a time
 * that is fixed before the run begins, whatever has become of the ones before it. REST answers just enough for the
 * real SDK to sign in.
 */
export class LoadGenerator {
  readonly #load: Load;
  readonly #payloads: SpeechPayloads;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #lines: Line[] = [];
  readonly #phaseUs: Float64Array;
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #onSubscribed: (phaseUs: Float64Array) => void;
  readonly #lateness = newHistogram();
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  #subscribed = 0;
  #sent = 0;
  #withheld = 0;

  constructor(load: Load, onSubscribed: (phaseUs: Float64Array) => void) {
    this.#load = load;
    this.#payloads = new SpeechPayloads(load.codec);
    this.#indexOf = new Map(interactionIds(load.streams).map((id, index) => [id, index]));
    this.#phaseUs = new Float64Array(load.streams);
    this.#onSubscribed = onSubscribed;
    this.#http = createServer(answer);
    this.#http.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head));
  }

  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(0, '127.0.0.1', () => {
        const address = this.#http.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  /** Sends everything, and resolves when the last packet has been written. */
  async run(timetable: Timetable): Promise<GeneratorReport> {
    const ticks = this.#load.warmupTicks + this.#load.steadyTicks + TAIL_TICKS;
    for (const line of this.#lines) {
      line.frames ??= new ConnectionFrames(
        line.interactions.map((index) => this.#payloads.voice(index)),
        SLOTS,
      );
    }
    const lines = this.#lines.filter((line) => line.interactions.length > 0);
    lines.sort((a, b) => a.phaseUs - b.phaseUs);
    const before = process.cpuUsage();
    // Round after round in the order of the phases, which is the order in which writes are due.
    for (let tick = 0; tick < ticks; tick++) {
      for (const line of lines) {
        const dueUs = timetable.startUs + line.phaseUs + tick * TICK_US;
        await this.#until(dueUs);
        this.#send(line, tick, dueUs);
      }
    }
    const { user, system } = process.cpuUsage(before);
    return {
      packetsSent: this.#sent,
      packetsWithheld: this.#withheld,
      lateness: encodeIntoCompressedBase64(this.#lateness),
      cpuMicrosPerPacket: (user + system) / (this.#load.streams * ticks),
    };
  }

  close(): void {
    for (const line of this.#lines) line.socket.destroy();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /**
   * Timers of the event loop are good to a millisecond or two; a futex with a timeout is good to some 60 µs and costs
   * no more. The sockets get their turn after each wait.
   */
  async #until(dueUs: number): Promise<void> {
    for (let waitUs = dueUs - systemClock.nowUs(); waitUs > 0; waitUs = dueUs - systemClock.nowUs()) {
      if (waitUs > 20_000) await new Promise((resolve) => setTimeout(resolve, (waitUs - 10_000) / 1e3));
      else {
        Atomics.wait(this.#pause, 0, 0, Math.min(waitUs, LONGEST_WAIT_US) / 1e3);
        await new Promise(setImmediate);
      }
    }
  }

  #send(line: Line, tick: number, dueUs: number): void {
    const { frames, socket } = line;
    if (frames === undefined) return;
    const counts = isInWindow(this.#load, tick);
    if (counts) recordUs(this.#lateness, systemClock.nowUs() - dueUs);
    if (line.unwritten >= frames.slots || socket.destroyed) {
      if (counts) this.#withheld += frames.packetsPerTick;
      return;
    }
    line.unwritten++;
    socket.write(frames.at(tick), line.written);
    if (counts) this.#sent += frames.packetsPerTick;
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (!(stream instanceof Socket)) {
      stream.destroy();
      return;
    }
    this.#webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      const connections = Math.ceil(this.#load.streams / 50);
      const phases = Math.min(connections, PHASES);
      const line = new Line(stream, ((this.#lines.length % phases) / phases) * TICK_US);
      this.#lines.push(line);
      webSocket.on('message', (data) => this.#subscribe(line, webSocket, String(data)));
      webSocket.on('error', () => {});
    });
  }

  #subscribe(line: Line, webSocket: WebSocket, text: string): void {
    const request = parseRequest(text);
    const accepted = request.subscribe.flatMap((id) => {
      const index = this.#indexOf.get(id);
      return index === undefined ? [] : [{ interactionId: id, index, ...formatOf(this.#load.codec, index) }];
    });
    for (const { index } of accepted) {
      line.interactions.push(index);
      this.#phaseUs[index] = line.phaseUs;
    }
    if (accepted.length > 0) webSocket.send(subscribedMessage(accepted));
    for (const interactionId of request.unsubscribe) {
      webSocket.send(JSON.stringify({ type: 'ended', interactionId, reason: 'unsubscribed' }));
    }
    const before = this.#subscribed;
    this.#subscribed += accepted.length;
    if (before < this.#load.streams && this.#subscribed >= this.#load.streams) this.#onSubscribed(this.#phaseUs);
  }
}

const DAY_SECONDS = 86_400;

/** Sign-in and conversations: whoever asks gets a token, and every call is going on. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? '';
  request.resume();
  const body =
    path === '/oauth/token'
      ? { access_token: 'bench', token_type: 'bearer', expires_in: DAY_SECONDS }
      : { id: path.slice(path.lastIndexOf('/') + 1), participants: [{ calls: [{ state: 'connected' }] }] };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
