import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Socket } from 'node:net';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../../src/core/clock.js';
import { LIMITS } from '../../../src/core/limits.js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { endedMessage, parseRequest, subscribedMessage } from '../../../src/simulator/genesys/wire.js';
import { LatencyHistogram } from '../../../src/sinks/metrics/latency.js';
import { Pacer } from '../load/pacer.js';
import { SpeechPayloads } from '../load/payloads.js';
import { interactionIds, isInWindow, LEAD_US, type Load, TAIL_US, type Timetable } from '../load/plan.js';
import { evenPhase } from '../load/rota.js';
import { SocketWriter } from '../load/socket-writer.js';
import type { GeneratorReport } from '../processes/messages.js';
import type { Generator } from '../roles.js';
import { ConnectionFrames, type Voice } from './frames.js';
import { firstSequence, firstTimestamp, formatOf, TICK_US } from './plan.js';

const TICKS_PER_SECOND = US_PER_SECOND / TICK_US;
/** Slots of each connection, and so the backlog in ticks that a client may have before packets are withheld. */
const SLOTS = TICKS_PER_SECOND;
/** Writes are due at this many different moments of a tick, as far as there are so many. */
const PHASES = 40;
const PHASE_US = TICK_US / PHASES;
/** Clients say little, and what they leave unread waits a second at most. */
const TURN_US = 5_000;

/** One media connection, written to past the `ws` object that made it: that one only answers what the client says. */
interface Connection {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  readonly interactions: number[];
  readonly phaseUs: number;
}

/** Packets that are written together, once in every tick. */
interface Departure {
  readonly writer: SocketWriter;
  readonly phaseUs: number;
  readonly frames: ConnectionFrames;
}

/**
 * The load: a server of the media protocol that sends from prepared buffers, open loop. Every packet is due at a time
 * that is fixed before the first is sent and does not depend on earlier ones. A connection's packets of a tick are one
 * write, or each of them is one at a moment of its own. REST answers just enough for the real SDK to sign in.
 */
class LoadGenerator implements Generator {
  readonly ready: Promise<Float64Array>;
  readonly #load: Load;
  readonly #payloads: SpeechPayloads;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #connections: Connection[] = [];
  readonly #zeroUs: Float64Array;
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #pacer = new Pacer(TURN_US);
  readonly #lateness = new LatencyHistogram();
  #isReady: (zeroUs: Float64Array) => void = () => {};
  #timetable: Timetable | undefined;
  #flow: Promise<void> | undefined;
  #subscribed = 0;
  #sent = 0;
  #sentInAll = 0;
  #withheld = 0;
  #writes = 0;

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
      writes: this.#writes,
      lateness: encodeIntoCompressedBase64(this.#lateness.histogram()),
      cpuMicrosPerPacket: (user + system) / (this.#sentInAll - sentBefore),
    };
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#connections) socket.destroy();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /** Everybody has subscribed: prepares what is to be sent, fixes when it is due, and begins. */
  #begin(): void {
    const departures = this.#connections.flatMap((connection) => this.#departuresOf(connection));
    departures.sort((a, b) => a.phaseUs - b.phaseUs);
    const startUs = Math.round(systemClock.nowUs()) + LEAD_US;
    for (let index = 0; index < this.#zeroUs.length; index++) {
      this.#zeroUs[index] = startUs + (this.#zeroUs[index] as number);
    }
    this.#isReady(this.#zeroUs);
    this.#flow = this.#send(departures, startUs);
  }

  /** Puts down each interaction's phase as well. */
  #departuresOf({ interactions, writer, phaseUs }: Connection): Departure[] {
    const { codec, writes } = this.#load;
    const voices = interactions.map((index) => ({
      index,
      ticksPerPacket: formatOf(codec, index).clockRate / TICKS_PER_SECOND,
      firstSequence: firstSequence(index),
      firstTimestamp: firstTimestamp(index),
      ...this.#payloads.speech(index),
    }));
    const depart = (together: readonly Voice[], atUs: number): Departure => {
      for (const { index } of together) this.#zeroUs[index] = atUs;
      return { writer, phaseUs: atUs, frames: new ConnectionFrames(together, SLOTS) };
    };
    if (writes === 'packet') {
      return voices.map((voice) => depart([voice], Math.floor(evenPhase(voice.index) * PHASES) * PHASE_US));
    }
    return voices.length === 0 ? [] : [depart(voices, phaseUs)];
  }

  /** Round after round in the order of the phases, which is the order in which writes are due. */
  async #send(departures: readonly Departure[], startUs: number): Promise<void> {
    const pacer = this.#pacer;
    for (let tick = 0; ; tick++) {
      for (const departure of departures) {
        const dueUs = startUs + departure.phaseUs + tick * TICK_US;
        while (!pacer.reached(dueUs)) await pacer.turn(dueUs);
        if (this.#timetable !== undefined && dueUs >= this.#timetable.toUs + TAIL_US) return;
        this.#write(departure, tick, dueUs);
      }
    }
  }

  #write({ frames, writer }: Departure, tick: number, dueUs: number): void {
    const counts = this.#timetable !== undefined && isInWindow(this.#timetable, dueUs);
    if (counts) this.#lateness.record(systemClock.nowUs() - dueUs);
    const packets = frames.packetsPerTick;
    if (writer.unwritten >= frames.slots || !writer.write(frames.at(tick))) {
      if (counts) this.#withheld += packets;
      return;
    }
    this.#sentInAll += packets;
    if (!counts) return;
    this.#sent += packets;
    this.#writes++;
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (!(stream instanceof Socket)) {
      stream.destroy();
      return;
    }
    this.#webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      const connections = Math.ceil(this.#load.streams / LIMITS.interactionsPerConnection);
      const phases = Math.min(connections, PHASES);
      const connection: Connection = {
        socket: stream,
        writer: new SocketWriter(stream),
        interactions: [],
        phaseUs: Math.round(((this.#connections.length % phases) / phases) * TICK_US),
      };
      this.#connections.push(connection);
      webSocket.on('message', (data) => this.#subscribe(connection, webSocket, String(data)));
      webSocket.on('error', () => {});
    });
  }

  #subscribe({ interactions }: Connection, webSocket: WebSocket, text: string): void {
    const request = parseRequest(text);
    const accepted = request.subscribe.flatMap((id) => {
      const index = this.#indexOf.get(id);
      return index === undefined ? [] : [{ interactionId: id, index, ...formatOf(this.#load.codec, index) }];
    });
    for (const { index } of accepted) interactions.push(index);
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
