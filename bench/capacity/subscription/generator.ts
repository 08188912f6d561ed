import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Socket } from 'node:net';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { endedMessage, parseRequest, subscribedMessage } from '../../../src/simulator/genesys/wire.js';
import { Pacer } from '../load/pacer.js';
import { SpeechPayloads } from '../load/payloads.js';
import { interactionIds, isInWindow, LEAD_US, type Load, TAIL_US, type Timetable } from '../load/plan.js';
import type { GeneratorReport } from '../processes/messages.js';
import { newHistogram, recordUs } from '../report/histogram.js';
import type { Generator } from '../roles.js';
import { ConnectionFrames } from './frames.js';
import { formatOf, TICK_US } from './plan.js';

const TICKS_PER_SECOND = US_PER_SECOND / TICK_US;
/** Slots of each connection, and so the backlog in ticks that a client may have before packets are withheld. */
const SLOTS = TICKS_PER_SECOND;
/** Connections write at this many different moments of a tick, as far as there are so many. */
const PHASES = 40;
const LONGEST_WAIT_US = 2_000;

/** One media connection, written to past the `ws` object that made it: that one only answers what the client says. */
class Line {
  readonly socket: Socket;
  readonly interactions: number[] = [];
  readonly phaseUs: number;
  frames: ConnectionFrames | undefined;
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
 * that is fixed before the first is sent and does not depend on earlier ones. REST answers just enough for the
 * real SDK to sign in.
 */
class LoadGenerator implements Generator {
  readonly ready: Promise<Float64Array>;
  readonly #load: Load;
  readonly #payloads: SpeechPayloads;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #lines: Line[] = [];
  readonly #zeroUs: Float64Array;
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #pacer = new Pacer(LONGEST_WAIT_US);
  readonly #lateness = newHistogram();
  #isReady: (zeroUs: Float64Array) => void = () => {};
  #timetable: Timetable | undefined;
  #flow: Promise<void> | undefined;
  #subscribed = 0;
  #sent = 0;
  #sentInAll = 0;
  #withheld = 0;

  constructor(load: Load) {
    this.#load = load;
    this.#payloads = new SpeechPayloads(load.codec);
    this.#indexOf = new Map(interactionIds(load.streams).map((id, index) => [id, index]));
    this.#zeroUs = new Float64Array(load.streams);
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    this.#http = createServer(answer);
    this.#http.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head));
  }

  start(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(0, '127.0.0.1', () => {
        const { address, port } = this.#http.address() as AddressInfo;
        resolve(`${address}:${port}`);
      });
    });
  }

  async measure(timetable: Timetable): Promise<GeneratorReport> {
    this.#timetable = timetable;
    const sentBefore = this.#sentInAll;
    const before = process.cpuUsage();
    await this.#flow;
    const { user, system } = process.cpuUsage(before);
    return {
      packetsSent: this.#sent,
      packetsWithheld: this.#withheld,
      packetsInAll: this.#sentInAll,
      lateness: encodeIntoCompressedBase64(this.#lateness),
      cpuMicrosPerPacket: (user + system) / (this.#sentInAll - sentBefore),
    };
  }

  async stop(): Promise<void> {
    for (const line of this.#lines) line.socket.destroy();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /** Everybody has subscribed: fixes when what is due, and begins. */
  #begin(): void {
    const startUs = Math.round(systemClock.nowUs()) + LEAD_US;
    for (const { interactions, phaseUs } of this.#lines) {
      for (const index of interactions) this.#zeroUs[index] = startUs + phaseUs;
    }
    this.#isReady(this.#zeroUs);
    this.#flow = this.#send(startUs);
  }

  /** Round after round in the order of the phases, which is the order in which writes are due. */
  async #send(startUs: number): Promise<void> {
    const lines = this.#lines.filter((line) => line.interactions.length > 0);
    lines.sort((a, b) => a.phaseUs - b.phaseUs);
    for (const line of lines) {
      const voices = line.interactions.map((index) => ({
        index,
        ticksPerPacket: formatOf(this.#load.codec, index).clockRate / TICKS_PER_SECOND,
        ...this.#payloads.speech(index),
      }));
      line.frames = new ConnectionFrames(voices, SLOTS);
    }
    for (let tick = 0; ; tick++) {
      for (const line of lines) {
        const dueUs = startUs + line.phaseUs + tick * TICK_US;
        await this.#pacer.until(dueUs);
        if (this.#timetable !== undefined && dueUs >= this.#timetable.toUs + TAIL_US) return;
        this.#write(line, tick, dueUs);
      }
    }
  }

  #write(line: Line, tick: number, dueUs: number): void {
    const { frames, socket } = line;
    if (frames === undefined) return;
    const counts = this.#timetable !== undefined && isInWindow(this.#timetable, dueUs);
    if (counts) recordUs(this.#lateness, systemClock.nowUs() - dueUs);
    const packets = frames.packetsPerTick;
    if (line.unwritten >= frames.slots || socket.destroyed) {
      if (counts) this.#withheld += packets;
      return;
    }
    line.unwritten++;
    socket.write(frames.at(tick), line.written);
    this.#sentInAll += packets;
    if (counts) this.#sent += packets;
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (!(stream instanceof Socket)) {
      stream.destroy();
      return;
    }
    this.#webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      const connections = Math.ceil(this.#load.streams / 50);
      const phases = Math.min(connections, PHASES);
      const line = new Line(stream, Math.round(((this.#lines.length % phases) / phases) * TICK_US));
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
    for (const { index } of accepted) line.interactions.push(index);
    if (accepted.length > 0) webSocket.send(subscribedMessage(accepted));
    for (const interactionId of request.unsubscribe) webSocket.send(endedMessage(interactionId, 'unsubscribed'));
    const before = this.#subscribed;
    this.#subscribed += accepted.length;
    if (before < this.#load.streams && this.#subscribed >= this.#load.streams) this.#begin();
  }
}

export function makeLoadGenerator(load: Load): Generator {
  return new LoadGenerator(load);
}

const DAY_SECONDS = 86_400;

/** Sign-in and conversations: every request gets a token, and every call is active. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? '';
  request.resume();
  const body =
    path === '/oauth/token'
      ? { access_token: 'bench', token_type: 'bearer', expires_in: DAY_SECONDS }
      : { id: path.slice(path.lastIndexOf('/') + 1), participants: [{ calls: [{ state: 'connected' }] }] };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
