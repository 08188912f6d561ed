import { WebSocket } from 'ws';
import type { Clock } from '../core/clock.js';
import { US_PER_MS, US_PER_SECOND } from '../core/units.js';
import { type AudioHookCallBooks, addStretch } from './audiohook-books.js';
import { type Mischief, requestHeaders } from './audiohook-mischief.js';
import { type AudioHookSound, HOOK_RATE, type HookChannel, type HookFormat } from './audiohook-sound.js';

export interface HookMedia {
  readonly format: HookFormat;
  readonly channels: readonly HookChannel[];
}

/** A stretch of the call by the call's own time, in seconds from its start. */
export interface HookScriptStretch {
  readonly atSeconds: number;
  readonly lastsSeconds: number;
}

/** What a call does, and how fast. */
export interface HookScript {
  readonly seconds: number;
  readonly frameMs: number;
  readonly media: readonly HookMedia[];
  /** Times faster than real time. */
  readonly speed: number;
  /** Audio of the call's first seconds that is sent at once, as history is. */
  readonly burstSeconds: number;
  readonly pauses: readonly HookScriptStretch[];
  readonly discards: readonly HookScriptStretch[];
  /** The connection breaks here, without a word. */
  readonly lossAtSeconds: number | undefined;
  /** After a loss, or when asked to reconnect, the call goes on in a new session. */
  readonly rejoin: boolean;
  readonly pingSeconds: number;
  /** Null UUIDs, no audio: the connection test of the integration's settings. */
  readonly probe: boolean;
  readonly mischief: Mischief | undefined;
}

/** What a call needs of the run that it belongs to. */
export interface HookRun {
  readonly clock: Clock;
  readonly url: URL;
  readonly organizationId: string;
  readonly apiKey: string;
  readonly clientSecret: string | undefined;
  readonly sound: AudioHookSound;
  readonly rejectUnauthorized: boolean;
  newId(): string;
  /** From when the ping was due, and from when it was sent. */
  pong(latencyUs: number, roundTripUs: number): void;
  opened(latencyUs: number): void;
  ended(call: AudioHookCall): void;
}

const NULL_ID = '00000000-0000-0000-0000-000000000000';
const SILENT_CLIENT_BYTES = 1 << 20;
/** Messages of a flood at a time, so that the run's other calls keep theirs. */
const FLOOD_PER_TICK = 1_000;
const ONE_BYTE = new Uint8Array(1);

/** One call as Genesys Cloud would make it, over one connection or, when it is rejoined, several. */
export class AudioHookCall {
  readonly books: AudioHookCallBooks;
  readonly #run: HookRun;
  readonly #script: HookScript;
  readonly #dueUs: number;
  readonly #startSource: number;
  #socket: WebSocket | undefined;
  #sessionId = '';
  #state: 'waiting' | 'connecting' | 'opening' | 'live' | 'closing' | 'over' = 'waiting';
  #seq = 0;
  #serverseq = 0;
  #continued: { id: string; serverseq: number; clientseq: number } | undefined;
  #coded: Uint8Array = new Uint8Array(0);
  #frameBytes = 1;
  /** When position 0 of the call was, or would have been. */
  #startUs = 0;
  #askedUs = 0;
  #pingDueUs = Number.POSITIVE_INFINITY;
  #pingSentUs = -1;
  #rttUs = -1;
  #ownPauseEnds = -1;
  #serverPause = false;
  #pausedAtSamples = -1;
  #pausesDone = 0;
  #discardsDone = 0;
  #mischiefDone = false;
  #rejoining = false;

  constructor(run: HookRun, script: HookScript, dueUs: number, startSource: number) {
    this.#run = run;
    this.#script = script;
    this.#dueUs = dueUs;
    this.#startSource = startSource;
    this.books = {
      conversationId: script.probe ? NULL_ID : run.newId(),
      participantId: script.probe ? NULL_ID : run.newId(),
      sessionIds: [],
      outcome: 'failed',
      framesSent: 0,
      bytesSent: 0,
      samplesSent: 0,
      positionSamples: 0,
      stretches: [],
      received: {},
      violations: [],
    };
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /** Does whatever is due. */
  tick(nowUs: number): void {
    if (this.#state === 'waiting') {
      if (nowUs >= this.#dueUs) this.#connect();
    } else if (this.#state === 'live') {
      this.#ping(nowUs);
      this.#misbehave();
      this.#play(nowUs);
    }
  }

  /** Ends the call early, properly. */
  hangUp(): void {
    if (this.#state === 'live') this.#close('end');
    else if (this.#state === 'waiting') this.#end('failed');
  }

  // ---- The connection --------------------------------------------------------------------------------------------

  #connect(): void {
    const { url, organizationId, apiKey, clientSecret, rejectUnauthorized, clock } = this.#run;
    const { mischief } = this.#script;
    this.#state = 'connecting';
    this.#sessionId = this.#run.newId();
    this.books.sessionIds.push(this.#sessionId);
    this.#seq = 0;
    this.#serverseq = 0;
    const correlationId = this.#run.newId();
    const identity = { url, organizationId, sessionId: this.#sessionId, correlationId, apiKey, clientSecret };
    const headers = requestHeaders(identity, clock.wallMs(), mischief);
    const socket = new WebSocket(url, {
      headers: headers as Record<string, string>,
      perMessageDeflate: false,
      rejectUnauthorized,
    });
    this.#socket = socket;
    socket.on('open', () => this.#onOpen());
    socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    socket.on('unexpected-response', (_request, response) => {
      if (response.statusCode !== undefined) this.books.status = response.statusCode;
      response.resume();
      socket.terminate();
      this.#end('refused');
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#onClosed());
  }

  #onOpen(): void {
    const { mischief, probe, media } = this.#script;
    if (mischief === 'neverOpen') return;
    if (mischief === 'audioBeforeOpen') this.#socket?.send(new Uint8Array(160));
    this.#state = 'opening';
    this.#askedUs = this.#run.clock.nowUs();
    this.#say('open', {
      organizationId: this.#run.organizationId,
      conversationId: this.books.conversationId,
      participant: {
        id: this.books.participantId,
        ani: probe ? '' : '+15550100',
        aniName: probe ? '' : 'Caller',
        dnis: probe ? '' : '+15550199',
      },
      media: media.map(({ format, channels }) => ({ type: 'audio', format, channels, rate: HOOK_RATE })),
      language: 'en-US',
      ...(this.#continued === undefined ? {} : { continuedSessions: [this.#continued] }),
    });
  }

  #onClosed(): void {
    if (this.#state === 'over') return;
    if (this.#rejoining) {
      this.#rejoining = false;
      this.#continued = { id: this.#sessionId, serverseq: this.#serverseq, clientseq: this.#seq };
      this.#connect();
      return;
    }
    this.#end(this.#state === 'connecting' ? 'failed' : 'lost');
  }

  #end(outcome: AudioHookCallBooks['outcome']): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.books.outcome = outcome;
    this.#run.ended(this);
  }

  // ---- What the server says --------------------------------------------------------------------------------------

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.#violation('binary message');
      this.#say('error', { code: 415, message: 'Unexpected binary message' });
      return;
    }
    const message = JSON.parse(data.toString()) as Record<string, unknown>;
    const { type, seq, clientseq, id, version, parameters } = message;
    if (seq !== this.#serverseq + 1) this.#violation(`seq ${String(seq)} after ${this.#serverseq}`);
    if (version !== '2' || id !== this.#sessionId) this.#violation(`version or id of ${String(type)}`);
    if (typeof clientseq !== 'number' || clientseq > this.#seq) this.#violation(`clientseq ${String(clientseq)}`);
    if (typeof parameters !== 'object' || parameters === null) this.#violation(`no parameters in ${String(type)}`);
    this.#serverseq = Number(seq);
    const kind = String(type);
    this.books.received[kind] = (this.books.received[kind] ?? 0) + 1;
    this.#answer(kind, (parameters ?? {}) as Record<string, unknown>);
  }

  #answer(type: string, parameters: Record<string, unknown>): void {
    switch (type) {
      case 'opened':
        this.#onOpened(parameters);
        break;
      case 'pong':
        this.#onPong();
        break;
      case 'pause':
        this.#serverPause = true;
        this.#pauseHere();
        break;
      case 'resume':
        this.#serverPause = false;
        if (this.#ownPauseEnds >= 0) this.#say('paused', {});
        else this.#resumeHere();
        break;
      case 'disconnect':
        this.books.disconnect = parameters as { reason: string };
        if (this.#state !== 'closing') this.#close('disconnect');
        break;
      case 'reconnect':
        if (!this.#script.rejoin || this.#state !== 'live') break;
        this.#rejoining = true;
        this.#close('reconnect');
        break;
      case 'closed':
        if (this.#state !== 'closing') this.#violation('closed without close');
        this.books.closedMs = (this.#run.clock.nowUs() - this.#askedUs) / US_PER_MS;
        if (!this.#rejoining) this.#end('closed');
        this.#socket?.close(1000);
        break;
    }
  }

  #onOpened(parameters: Record<string, unknown>): void {
    if (this.#state !== 'opening') {
      this.#violation('opened without open');
      return;
    }
    const nowUs = this.#run.clock.nowUs();
    const [media] = (parameters['media'] ?? []) as HookMedia[];
    if (media !== undefined) {
      this.books.media = { format: media.format, channels: media.channels };
      this.#coded = this.#run.sound.coded(media.format, media.channels);
      this.#frameBytes = (media.format === 'PCMU' ? 1 : 2) * media.channels.length;
    }
    this.books.openedMs ??= (nowUs - this.#askedUs) / US_PER_MS;
    if (this.#continued === undefined) {
      this.#run.opened(nowUs - this.#dueUs);
      this.#startUs = nowUs;
    }
    this.#state = 'live';
    // Quick to ask once, as the real client is: what the server has to say waits for it.
    this.#pingDueUs = nowUs + Math.min(this.#script.pingSeconds, 0.2) * US_PER_SECOND;
    this.#pingSentUs = -1;
    if (parameters['startPaused'] === true) {
      this.#serverPause = true;
      this.#pauseHere();
    }
    if (this.#script.probe) this.#close('end');
  }

  #onPong(): void {
    if (this.#pingSentUs < 0) {
      this.#violation('pong without ping');
      return;
    }
    const nowUs = this.#run.clock.nowUs();
    this.#rttUs = nowUs - this.#pingSentUs;
    this.#pingSentUs = -1;
    this.#run.pong(nowUs - this.#pingDueUs, this.#rttUs);
    this.#pingDueUs += this.#script.pingSeconds * US_PER_SECOND;
  }

  #violation(what: string): void {
    if (this.books.violations.length < 100) this.books.violations.push(what);
  }

  // ---- What the client does --------------------------------------------------------------------------------------

  #say(type: string, parameters: object | undefined, change: object = {}): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#seq += 1;
    const position = secondsText(this.books.positionSamples);
    const message = {
      version: '2',
      id: this.#sessionId,
      type,
      seq: this.#seq,
      serverseq: this.#serverseq,
      position,
      parameters,
    };
    this.#socket.send(JSON.stringify({ ...message, ...change }));
  }

  #close(reason: string): void {
    if (this.#state === 'closing' || this.#state === 'over') return;
    if (this.#pausedAtSamples >= 0) this.#resumeHere();
    this.#state = 'closing';
    this.#askedUs = this.#run.clock.nowUs();
    this.#say('close', { reason });
  }

  #ping(nowUs: number): void {
    if (nowUs < this.#pingDueUs || this.#pingSentUs >= 0 || this.#script.mischief === 'neverPing') return;
    this.#pingSentUs = nowUs;
    this.#say('ping', this.#rttUs < 0 ? {} : { rtt: `PT${(this.#rttUs / US_PER_SECOND).toFixed(6)}S` });
  }

  // The place on the time line that is due now: history at once, the rest by the clock.
  #dueSamples(nowUs: number): number {
    const { speed, burstSeconds, seconds } = this.#script;
    const elapsed = ((nowUs - this.#startUs) / US_PER_SECOND) * speed + burstSeconds;
    return Math.round(Math.min(elapsed, seconds) * HOOK_RATE);
  }

  #play(nowUs: number): void {
    const { frameMs, seconds, lossAtSeconds } = this.#script;
    const frameSamples = Math.round((frameMs * HOOK_RATE) / 1000);
    const due = this.#dueSamples(nowUs);
    const lossAt =
      lossAtSeconds === undefined || this.#continued !== undefined
        ? Number.POSITIVE_INFINITY
        : lossAtSeconds * HOOK_RATE;
    while (this.#state === 'live') {
      if (this.#ownPauseEnds >= 0 && due >= this.#ownPauseEnds) this.#endOwnPause();
      const { positionSamples } = this.books;
      if (this.#pausedAtSamples >= 0) {
        if (due >= seconds * HOOK_RATE) this.#close('end');
        return;
      }
      if (positionSamples >= lossAt) {
        this.#rejoining = this.#script.rejoin;
        this.#socket?.terminate();
        return;
      }
      if (positionSamples >= seconds * HOOK_RATE) {
        this.#close('end');
        return;
      }
      if (this.#stretchDue(positionSamples)) continue;
      const length = Math.min(
        frameSamples,
        this.#untilNextStretch(positionSamples),
        seconds * HOOK_RATE - positionSamples,
      );
      if (due < positionSamples + length) return;
      this.#frame(length);
    }
  }

  // Begins the pause or does the discard that the script has here.
  #stretchDue(positionSamples: number): boolean {
    const discard = this.#script.discards[this.#discardsDone];
    if (discard !== undefined && positionSamples >= discard.atSeconds * HOOK_RATE) {
      this.#discardsDone += 1;
      const length = Math.round(discard.lastsSeconds * HOOK_RATE);
      const start = secondsText(positionSamples);
      addStretch(this.books, 'discarded', length, this.#sourceAt(positionSamples));
      this.#say('discarded', { start, discarded: secondsText(length) });
      return true;
    }
    const pause = this.#script.pauses[this.#pausesDone];
    if (pause !== undefined && positionSamples >= pause.atSeconds * HOOK_RATE) {
      this.#pausesDone += 1;
      this.#ownPauseEnds = positionSamples + Math.round(pause.lastsSeconds * HOOK_RATE);
      this.#pauseHere();
      return true;
    }
    return false;
  }

  #untilNextStretch(positionSamples: number): number {
    const next = Math.min(
      this.#script.discards[this.#discardsDone]?.atSeconds ?? Number.POSITIVE_INFINITY,
      this.#script.pauses[this.#pausesDone]?.atSeconds ?? Number.POSITIVE_INFINITY,
    );
    return Math.max(1, Math.round(next * HOOK_RATE) - positionSamples);
  }

  #sourceAt(positionSamples: number): number {
    return (this.#startSource + positionSamples) % this.#run.sound.lengthSamples;
  }

  #frame(length: number): void {
    if (this.#coded.length === 0) {
      this.books.positionSamples += length;
      return;
    }
    const from = this.#sourceAt(this.books.positionSamples);
    const loop = this.#run.sound.lengthSamples;
    const first = this.#coded.subarray(from * this.#frameBytes, Math.min(from + length, loop) * this.#frameBytes);
    const frame =
      from + length <= loop
        ? first
        : Buffer.concat([first, this.#coded.subarray(0, (from + length - loop) * this.#frameBytes)]);
    this.#socket?.send(frame);
    this.books.framesSent += 1;
    this.books.bytesSent += frame.length;
    this.books.samplesSent += length;
    addStretch(this.books, 'audio', length, this.#startSource + this.books.positionSamples);
  }

  #pauseHere(): void {
    if (this.#pausedAtSamples < 0) this.#pausedAtSamples = this.books.positionSamples;
    this.#say('paused', {});
  }

  #endOwnPause(): void {
    const ends = this.#ownPauseEnds;
    this.#ownPauseEnds = -1;
    if (!this.#serverPause) this.#resumeHere(ends);
  }

  // Time has gone on during the pause; what it took was thrown away.
  #resumeHere(atSamples = this.#dueSamples(this.#run.clock.nowUs())): void {
    const start = this.#pausedAtSamples < 0 ? this.books.positionSamples : this.#pausedAtSamples;
    const length = this.#pausedAtSamples < 0 ? 0 : Math.max(0, atSamples - start);
    this.#pausedAtSamples = -1;
    if (length > 0) addStretch(this.books, 'paused', length, this.#sourceAt(start));
    this.#say('resumed', { start: secondsText(start), discarded: secondsText(length) });
  }

  #misbehave(): void {
    const socket = this.#socket;
    const { mischief } = this.#script;
    if (mischief === undefined || socket === undefined) return;
    if (mischief === 'tinyFrames') {
      // As fast as the socket takes them; TCP holds this end up when the server does.
      for (let i = 0; i < FLOOD_PER_TICK && socket.bufferedAmount < SILENT_CLIENT_BYTES; i++) socket.send(ONE_BYTE);
      return;
    }
    if (mischief === 'neverRead') {
      socket.pause();
      for (let i = 0; i < FLOOD_PER_TICK && socket.bufferedAmount < SILENT_CLIENT_BYTES; i++) this.#say('ping', {});
      return;
    }
    if (this.#mischiefDone) return;
    this.#mischiefDone = true;
    this.#misbehaveOnce(socket, mischief);
  }

  #misbehaveOnce(socket: WebSocket, mischief: Mischief): void {
    switch (mischief) {
      case 'badJson':
        socket.send('{"version":"2"');
        break;
      case 'hugeText':
        this.#say('ping', { filler: 'x'.repeat(70_000) });
        break;
      case 'skipSeq':
        this.#seq += 1;
        this.#say('ping', {});
        break;
      case 'wrongVersion':
        this.#say('ping', {}, { version: '1' });
        break;
      case 'wrongId':
        this.#say('ping', {}, { id: this.#run.newId() });
        break;
      case 'missingParameters':
        this.#say('ping', undefined);
        break;
      case 'halfSample':
        socket.send(new Uint8Array(321));
        break;
      case 'unknownType':
        this.#say('telepathy', {});
        break;
      case 'unknownField':
        this.#say('error', { code: 400, message: 'with an unknown field', novelty: true }, { novelty: true });
        break;
      case 'duplicatePaused':
        this.#pauseHere();
        this.#pauseHere();
        this.#resumeHere();
        break;
      case 'discardedAhead':
        this.#say('discarded', { start: 'PT3600S', discarded: 'PT0S' });
        break;
      case 'error':
        this.#say('error', { code: 500, message: 'Internal client error' });
        break;
    }
  }
}

/** Exact: a sample of 8 kHz is 125 µs. */
function secondsText(samples: number): string {
  return `PT${(samples / HOOK_RATE).toFixed(6)}S`;
}
