import type { Buffer } from 'node:buffer';
import { WebSocket } from 'ws';
import type { Clock } from '../../../core/clock.js';
import { messageOf } from '../../../core/errors.js';
import { LIMITS } from '../../../core/limits.js';
import { US_PER_MS } from '../../../core/units.js';
import type { Refusals } from '../counters.js';
import type { Interaction } from '../interaction/interaction.js';
import { InteractionTable } from '../interaction-table.js';
import type { Availability } from '../rest/conversations.js';
import { networkAdvice } from '../rest/platform.js';
import { parseRetryAfterUs } from '../rest/retry.js';
import type { SignIn } from '../rest/sign-in.js';
import type { Transport } from '../rest/transport.js';
import { Connection } from './connection.js';
import type { ConnectionOutput, ConnectionSettings, DialFailure } from './connection-outputs.js';
import type { PacketIngest } from './packet-ingest.js';
import { WebSocketFastPath } from './websocket-fast-path.js';

const ABNORMAL_CLOSURE = 1006;

/** What the sockets of one source have in common. */
export interface MediaSocketDependencies {
  readonly mediaUrl: string;
  readonly transport: Transport;
  readonly signIn: Pick<SignIn, 'getToken' | 'renew'>;
  readonly clock: Clock;
  readonly packetIngest: PacketIngest;
  readonly refusals: Refusals;
  readonly settings: ConnectionSettings;
  /** Asks REST; `unknown` when it could not be asked. Never rejects. */
  ask(interactionId: string): Promise<Availability | 'unknown'>;
}

/** What is left of a connection's outputs once the socket's own part has been done. */
export type MediaSocketEvent = Extract<
  ConnectionOutput,
  { kind: 'connected' | 'disconnected' | 'heartbeat' | 'exhausted' | 'error' | 'ended' | 'closed' }
>;

type Input = (connection: Connection, nowUs: number) => void;

/** Drives one Connection with a real WebSocket, real timers and a real token. */
export class MediaSocket {
  readonly number: number;
  readonly table = new InteractionTable();
  readonly connection: Connection;
  readonly #dependencies: MediaSocketDependencies;
  readonly #onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void;
  #socket: WebSocket | undefined;
  #token: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueUs = Number.POSITIVE_INFINITY;
  readonly #inputs: Input[] = [];
  #isActing = false;

  constructor(
    number: number,
    dependencies: MediaSocketDependencies,
    onEvent: (socket: MediaSocket, event: MediaSocketEvent) => void,
  ) {
    this.number = number;
    this.#dependencies = dependencies;
    this.#onEvent = onEvent;
    this.connection = new Connection(dependencies.settings);
  }

  /** Puts an interaction on this connection; call only when the table has a free slot. */
  attach(interaction: Interaction): void {
    interaction.attach(this.table, () => this.act((connection, nowUs) => connection.mediaFlows(nowUs)));
    this.act((connection) => connection.add(interaction));
  }

  /**
   * Gives the connection an input, then carries out its outputs. A listener of an event may give the next input: that
   * waits until the outputs of this one have been carried out.
   */
  act(input: Input): void {
    this.#inputs.push(input);
    if (this.#isActing) return;
    this.#isActing = true;
    const thrown: unknown[] = [];
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      next(this.connection, this.#dependencies.clock.nowUs());
      for (let output = this.connection.poll(); output !== undefined; output = this.connection.poll()) {
        try {
          this.#do(output);
        } catch (error) {
          // A listener's own error goes to its owner, but must not stop the connection.
          thrown.push(error);
        }
      }
    }
    this.#isActing = false;
    this.#setTimer();
    if (thrown.length > 0) throw thrown[0];
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
        void this.#ask(output.interaction);
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
    const delayMs = Math.max(0, Math.ceil((dueUs - this.#dependencies.clock.nowUs()) / US_PER_MS));
    this.#timer = setTimeout(() => {
      this.#timerDueUs = Number.POSITIVE_INFINITY;
      this.act((connection, nowUs) => connection.tick(nowUs));
    }, delayMs);
  }

  async #ask(interaction: Interaction): Promise<void> {
    const answer = await this.#dependencies.ask(interaction.id);
    this.act((connection, nowUs) => connection.available(interaction, answer, nowUs));
  }

  async #connect(renewToken: boolean): Promise<void> {
    const { signIn } = this.#dependencies;
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
    try {
      this.#open(token);
    } catch (error) {
      // What the network has brought, such as a token that cannot stand in a header, fails this attempt and no more.
      const message = `The connection to the media server cannot be opened: ${messageOf(error)}.`;
      this.act((connection, nowUs) => connection.closed(nowUs, ABNORMAL_CLOSURE, '', { message }));
    }
  }

  #open(token: string): void {
    const { mediaUrl, packetIngest, refusals, clock, transport } = this.#dependencies;
    const { host } = new URL(mediaUrl);
    const fastPath = new WebSocketFastPath(packetIngest, this.table);
    const socket = new WebSocket(mediaUrl, {
      ...transport.webSocketOptions(mediaUrl),
      createConnection: fastPath.connector(mediaUrl.startsWith('wss:')),
      headers: { Authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: LIMITS.maxMessageBytes,
      // The scan takes ASCII only and the exact reading replaces what is not UTF-8: a check first would gain nothing.
      skipUTF8Validation: true,
      // All messages of one socket read in one turn, which is what makes one submit and one clock reading do for them.
      allowSynchronousEvents: true,
      followRedirects: false,
    });
    this.#socket = socket;
    let failure: DialFailure | undefined;
    socket.on('message', (data, isBinary) => {
      // A whole message in one Buffer: binaryType is left at nodebuffer.
      if (isBinary) refusals.add('unknownMessages');
      else packetIngest.message(data as Buffer, this.table);
    });
    socket.on('open', () => fastPath.open());
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
      fastPath.close();
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') refusals.add('oversize');
      failure ??= { message: `Connecting to the media server ${host}: ${dialAdvice(code, error.message)}` };
      // A peer that broke the protocol may also never answer the close; ws would wait for it for half a minute.
      if (socket.readyState === WebSocket.CLOSING) socket.terminate();
    });
    socket.on('close', (code, reason) => {
      packetIngest.flush();
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
