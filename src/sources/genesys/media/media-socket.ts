import type { Buffer } from 'node:buffer';
import { WebSocket } from 'ws';
import type { Clock } from '../../../core/clock.js';
import { LIMITS } from '../../../core/limits.js';
import { US_PER_MS } from '../../../core/units.js';
import type { SourceCounters } from '../counters.js';
import { InteractionTable } from '../interaction-table.js';
import type { Availability } from '../rest/conversations.js';
import { networkAdvice } from '../rest/platform.js';
import { parseRetryAfterUs } from '../rest/retry.js';
import type { SignIn } from '../rest/sign-in.js';
import type { Transport } from '../rest/transport.js';
import { Connection, type ConnectionOutput, type ConnectionSettings, type DialFailure } from './connection.js';
import type { PacketIngest } from './packet-ingest.js';
import { WebSocketFastPath } from './websocket-fast-path.js';

const ABNORMAL_CLOSURE = 1006;

/** What the sockets of one source have in common. */
export interface MediaSocketDependencies {
  readonly mediaUrl: string;
  readonly transport: Transport;
  readonly signIn: Pick<SignIn, 'getToken' | 'renew'>;
  readonly clock: Clock;
  readonly intake: PacketIngest;
  readonly counters: SourceCounters;
  readonly settings: ConnectionSettings;
  /** Asks REST; `unknown` when it could not be asked. Never rejects. */
  ask(interactionId: string): Promise<Availability | 'unknown'>;
}

/** What is left of a connection's outputs once the socket's own part has been done. */
export type MediaSocketEvent = Extract<
  ConnectionOutput,
  { kind: 'connected' | 'disconnected' | 'heartbeat' | 'exhausted' | 'error' | 'left' | 'closed' }
>;

/** Drives one Connection with a real WebSocket, real timers and a real token. */
export class MediaSocket {
  readonly number: number;
  readonly roster = new InteractionTable();
  readonly connection: Connection;
  readonly #surroundings: MediaSocketDependencies;
  readonly #onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void;
  #socket: WebSocket | undefined;
  #token: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueUs = Number.POSITIVE_INFINITY;
  #draining = false;

  constructor(
    number: number,
    surroundings: MediaSocketDependencies,
    onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void,
  ) {
    this.number = number;
    this.#surroundings = surroundings;
    this.#onEvent = onEvent;
    this.connection = new Connection(surroundings.settings);
  }

  /** Gives the connection an input, then does what comes out. */
  act(input: (connection: Connection, nowUs: number) => void): void {
    input(this.connection, this.#surroundings.clock.nowUs());
    this.#drain();
  }

  #drain(): void {
    // An output's listener may give the next input; its outputs then queue behind those that are being done.
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (let output = this.connection.poll(); output !== undefined; output = this.connection.poll()) this.#do(output);
    } finally {
      // A listener that throws is its owner's affair, but must not stop the connection.
      this.#draining = false;
      this.#setTimer();
    }
  }

  #do(output: ConnectionOutput): void {
    switch (output.kind) {
      case 'connect':
        void this.#connect(output.renewToken);
        return;
      case 'send':
        this.#socket?.send(output.text);
        return;
      case 'ping':
        this.#socket?.ping();
        return;
      case 'close':
        this.#socket?.close(output.code);
        return;
      case 'terminate':
        this.#socket?.terminate();
        return;
      case 'ask':
        void this.#ask(output.interactionId);
        return;
      default:
        this.#onEvent(this, output);
    }
  }

  #setTimer(): void {
    const dueUs = this.connection.deadlineUs;
    if (dueUs === this.#timerDueUs) return;
    clearTimeout(this.#timer);
    this.#timerDueUs = dueUs;
    if (dueUs === Number.POSITIVE_INFINITY) return;
    // Rounded up: a timer that fires before its time finds nothing to do.
    const delayMs = Math.max(0, Math.ceil((dueUs - this.#surroundings.clock.nowUs()) / US_PER_MS));
    this.#timer = setTimeout(() => {
      this.#timerDueUs = Number.POSITIVE_INFINITY;
      this.act((connection, nowUs) => connection.tick(nowUs));
    }, delayMs);
  }

  async #ask(interactionId: string): Promise<void> {
    const answer = await this.#surroundings.ask(interactionId);
    this.act((connection, nowUs) => connection.available(interactionId, answer, nowUs));
  }

  async #connect(renewToken: boolean): Promise<void> {
    const { signIn } = this.#surroundings;
    let token: string;
    try {
      token = renewToken ? await signIn.renew(this.#token) : await signIn.getToken();
    } catch (error) {
      this.act((connection, nowUs) => connection.unauthorized(nowUs, error));
      return;
    }
    if (this.connection.state !== 'authorizing') return;
    this.#token = token;
    this.act((connection, nowUs) => connection.dialing(nowUs));
    this.#open(token);
  }

  #open(token: string): void {
    const { mediaUrl, intake, counters, clock, transport } = this.#surroundings;
    const { host } = new URL(mediaUrl);
    const lane = new WebSocketFastPath(intake, this.roster);
    const socket = new WebSocket(mediaUrl, {
      ...transport.webSocketOptions(mediaUrl),
      createConnection: lane.connector(mediaUrl.startsWith('wss:')),
      headers: { Authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: LIMITS.maxMessageBytes,
      // The scan takes ASCII only and the exact reading replaces what is not UTF-8: checking first saves nobody.
      skipUTF8Validation: true,
      // All messages of one socket read in one turn, which is what makes one submit and one clock reading do for them.
      allowSynchronousEvents: true,
      followRedirects: false,
    });
    this.#socket = socket;
    let failure: DialFailure | undefined;
    socket.on('message', (data, isBinary) => {
      // A whole message in one Buffer: binaryType is left at nodebuffer.
      if (isBinary) counters.unknownMessages++;
      else intake.message(data as Buffer, this.roster);
    });
    socket.on('open', () => lane.open());
    socket.on('open', () => this.act((connection, nowUs) => connection.opened(nowUs)));
    socket.on('pong', () => this.act((connection) => connection.pong()));
    socket.on('unexpected-response', (request, response) => {
      const status = response.statusCode ?? 0;
      failure = {
        status,
        retryAfterUs: parseRetryAfterUs(response.headers['retry-after'], clock.wallMs()),
        message: handshakeRefused(host, status, response.headers['content-type'] ?? ''),
      };
      response.resume();
      request.destroy();
      // With a listener for this event, ws leaves the ending to it.
      socket.terminate();
    });
    socket.on('error', (error) => {
      lane.close();
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') counters.oversize++;
      failure ??= { message: `Connecting to the media server ${host}: ${dialAdvice(code, error.message)}` };
      // A peer that broke the protocol may also never answer the close; ws would wait for it for half a minute.
      if (socket.readyState === WebSocket.CLOSING) socket.terminate();
    });
    socket.on('close', (code, reason) => {
      intake.flush();
      if (this.#socket === socket) this.#socket = undefined;
      const text = printable(reason.toString());
      this.act((connection, nowUs) => connection.closed(nowUs, code || ABNORMAL_CLOSURE, text, failure));
    });
  }
}

function handshakeRefused(host: string, status: number, contentType: string): string {
  const page = contentType.includes('html') ? ' and a web page' : '';
  const advice =
    status === 401
      ? 'the token was refused; check the permissions of the OAuth client.'
      : status === 403
        ? 'access is denied; the OAuth client needs the scope media:stream:read.'
        : status === 429 || status >= 500
          ? 'the server is busy or failing.'
          : 'check the media URL, and any proxy on the way.';
  return `The media server ${host} answered with HTTP ${status}${page} instead of a WebSocket: ${advice}`;
}

function dialAdvice(code: string, message: string): string {
  if (code.startsWith('HPE_') || message.includes('Sec-WebSocket')) {
    return 'what answers there does not speak WebSocket; check the media URL.';
  }
  return networkAdvice(code);
}

/** A close reason as it may stand in a log. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, ' ');
}
