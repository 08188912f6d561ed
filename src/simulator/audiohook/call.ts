import { WebSocket } from 'ws';
import type { Clock } from '../../core/clock.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { durationSamples } from '../../sources/audiohook/protocol/duration.js';
import type { AudioHookCallLedger } from './ledger.js';
import { HookPlayback, secondsText } from './playback.js';
import { isSessionFault, requestHeaders } from './protocol-faults.js';
import type { HookMedia, HookScript } from './script.js';
import { isFlood, SessionFaults, type SessionFaultTarget } from './session-faults.js';
import { type AudioHookSound, HOOK_RATE } from './sound.js';

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
/** The protocol gives a server this long for `opened`, `pong` and `closed`. */
const ANSWER_WAIT_US = 5 * US_PER_SECOND;

/** One call as Genesys Cloud would make it, over one connection or, when it is rejoined, several. */
export class AudioHookCall {
  readonly ledger: AudioHookCallLedger;
  readonly #run: HookRun;
  readonly #script: HookScript;
  readonly #dueUs: number;
  readonly #playback: HookPlayback;
  readonly #faults: SessionFaults | undefined;
  #socket: WebSocket | undefined;
  #sessionId = '';
  #state: 'waiting' | 'connecting' | 'opening' | 'live' | 'closing' | 'over' = 'waiting';
  #seq = 0;
  #serverseq = 0;
  #continued: { id: string; serverseq: number; clientseq: number } | undefined;
  #askedUs = 0;
  #isOverdue = false;
  #pingDueUs = Number.POSITIVE_INFINITY;
  #pingSentUs = -1;
  #rttUs = -1;
  #rejoining = false;

  constructor(run: HookRun, script: HookScript, dueUs: number, startSource: number) {
    this.#run = run;
    this.#script = script;
    this.#dueUs = dueUs;
    const { fault } = script;
    if (fault !== undefined && isSessionFault(fault)) this.#faults = new SessionFaults(fault);
    this.ledger = {
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
    const output = {
      frame: (bytes: Uint8Array) => this.#socket?.send(bytes),
      sendMessage: (type: string, parameters: object) => this.#sendMessage(type, parameters),
      nowUs: () => run.clock.nowUs(),
    };
    this.#playback = new HookPlayback(script, run.sound, this.ledger, output, startSource);
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /** Does what is due. */
  tick(nowUs: number): void {
    if (this.#state === 'waiting') {
      if (nowUs >= this.#dueUs) this.#connect();
    } else if (this.#state === 'live') {
      this.#ping(nowUs);
      this.#injectFault();
      this.#play(nowUs);
    } else if (this.#state === 'opening' || this.#state === 'closing') {
      this.#awaitAnswer(nowUs);
    }
  }

  /** Ends the call early: properly when it is open. */
  hangUp(): void {
    if (this.#state === 'live') this.#close('end');
    else if (this.#state === 'waiting') this.#end('failed');
    else if (this.#state === 'connecting' || this.#state === 'opening') this.#socket?.terminate();
  }

  // ---- The connection --------------------------------------------------------------------------------------------

  #connect(): void {
    const { url, organizationId, apiKey, clientSecret, rejectUnauthorized, clock } = this.#run;
    const { fault } = this.#script;
    this.#state = 'connecting';
    if (this.#sessionId === '' || fault !== 'sameSessionId') {
      this.#sessionId = this.#run.newId();
      this.ledger.sessionIds.push(this.#sessionId);
    }
    this.#seq = 0;
    this.#serverseq = 0;
    const correlationId = this.#run.newId();
    const identity = { url, organizationId, sessionId: this.#sessionId, correlationId, apiKey, clientSecret };
    const headers = requestHeaders(identity, clock.wallMs(), fault);
    const socket = new WebSocket(url, {
      headers: headers as Record<string, string>,
      perMessageDeflate: false,
      rejectUnauthorized,
    });
    this.#socket = socket;
    socket.on('open', () => this.#onOpen());
    socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    socket.on('unexpected-response', (_request, response) => {
      if (response.statusCode !== undefined) this.ledger.status = response.statusCode;
      response.resume();
      socket.terminate();
      this.#end('refused');
    });
    socket.on('error', ({ message }) => {
      if (this.#state === 'connecting') this.ledger.error ??= message;
    });
    socket.on('close', () => this.#onClosed());
  }

  #onOpen(): void {
    const { fault, probe, media } = this.#script;
    if (fault === 'neverOpen') return;
    if (fault === 'audioBeforeOpen') this.#socket?.send(new Uint8Array(160));
    this.#state = 'opening';
    this.#isOverdue = false;
    this.#askedUs = this.#run.clock.nowUs();
    this.#sendMessage('open', {
      organizationId: this.#run.organizationId,
      conversationId: this.ledger.conversationId,
      participant: {
        id: this.ledger.participantId,
        ani: probe ? '' : '+15550100',
        aniName: probe ? '' : 'Caller',
        dnis: probe ? '' : '+15550199',
        ...(fault === 'nullFields' ? { ani: null, aniName: null, dnis: null } : {}),
      },
      media: media.map(({ format, channels }) => ({ type: 'audio', format, channels, rate: HOOK_RATE })),
      language: fault === 'nullFields' ? null : 'en-US',
      ...(this.#continued === undefined
        ? { ...(fault === 'nullFields' ? { continuedSessions: null } : {}) }
        : { continuedSessions: [this.#continued] }),
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

  #end(outcome: AudioHookCallLedger['outcome']): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.ledger.outcome = outcome;
    this.#run.ended(this);
  }

  // ---- What the server says --------------------------------------------------------------------------------------

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.#violation('binary message');
      this.#sendMessage('error', { code: 415, message: 'Unexpected binary message' });
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
    this.ledger.received[kind] = (this.ledger.received[kind] ?? 0) + 1;
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
        this.#playback.serverPaused();
        break;
      case 'resume':
        this.#playback.serverResumed();
        break;
      case 'disconnect':
        this.ledger.disconnect = parameters as { reason: string };
        if (this.#state !== 'closing') this.#close('disconnect');
        break;
      case 'reconnect':
        if (!this.#script.rejoin || this.#state !== 'live') break;
        this.#rejoining = true;
        this.#close('reconnect');
        break;
      case 'closed':
        if (this.#state !== 'closing') this.#violation('closed without close');
        this.ledger.closedMs = (this.#run.clock.nowUs() - this.#askedUs) / US_PER_MS;
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
    if (media !== undefined) this.#playback.take(media);
    this.ledger.openedMs ??= (nowUs - this.#askedUs) / US_PER_MS;
    if (this.#continued === undefined) {
      this.#run.opened(nowUs - this.#dueUs);
      this.#playback.begin(nowUs);
    }
    this.#state = 'live';
    // Quick to ask once, as the real client is: what the server has to say waits for it.
    this.#pingDueUs = nowUs + Math.min(this.#script.pingSeconds, 0.2) * US_PER_SECOND;
    this.#pingSentUs = -1;
    this.#playback.serverDiscards(durationSamples(String(parameters['discardTo']), HOOK_RATE));
    if (parameters['startPaused'] === true) this.#playback.serverPaused();
    if (this.#script.probe) this.#close('end');
  }

  #onPong(): void {
    if (this.#pingSentUs < 0) {
      // A flood sends more pings than it keeps count of.
      if (!isFlood(this.#script.fault)) this.#violation('pong without ping');
      return;
    }
    const nowUs = this.#run.clock.nowUs();
    this.#rttUs = nowUs - this.#pingSentUs;
    this.#pingSentUs = -1;
    this.#isOverdue = false;
    this.#run.pong(nowUs - this.#pingDueUs, this.#rttUs);
    this.#pingDueUs += this.#script.pingSeconds * US_PER_SECOND;
  }

  #violation(what: string): void {
    if (this.ledger.violations.length < 100) this.ledger.violations.push(what);
  }

  // ---- What the client does --------------------------------------------------------------------------------------

  #sendMessage(type: string, parameters: object | undefined, change: object = {}): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#seq += 1;
    const position =
      this.#script.fault === 'summedPositions' ? this.#summedPosition() : secondsText(this.ledger.positionSamples);
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

  /** The position as a client prints it that adds the length of each frame to a floating-point number. */
  #summedPosition(): string {
    const frameSamples = Math.round((this.#script.frameMs * HOOK_RATE) / 1000);
    let seconds = 0;
    let samples = 0;
    for (; samples + frameSamples <= this.ledger.positionSamples; samples += frameSamples) {
      seconds += frameSamples / HOOK_RATE;
    }
    return `PT${seconds + (this.ledger.positionSamples - samples) / HOOK_RATE}S`;
  }

  #close(reason: string): void {
    if (this.#state === 'closing' || this.#state === 'over') return;
    this.#playback.end();
    this.#state = 'closing';
    this.#isOverdue = false;
    this.#askedUs = this.#run.clock.nowUs();
    this.#sendMessage('close', { reason });
  }

  #ping(nowUs: number): void {
    if (this.#pingSentUs >= 0) this.#judgeWait('pong', nowUs - this.#pingSentUs);
    if (nowUs < this.#pingDueUs || this.#pingSentUs >= 0 || this.#script.fault === 'neverPing') return;
    this.#pingSentUs = nowUs;
    this.#sendMessage('ping', this.#rttUs < 0 ? {} : { rtt: `PT${(this.#rttUs / US_PER_SECOND).toFixed(6)}S` });
  }

  // A call whose server does not answer is given up.
  #awaitAnswer(nowUs: number): void {
    const waitedUs = nowUs - this.#askedUs;
    this.#judgeWait(this.#state === 'closing' ? 'closed' : 'opened', waitedUs);
    if (waitedUs > 2 * ANSWER_WAIT_US) this.#socket?.terminate();
  }

  #judgeWait(answer: string, waitedUs: number): void {
    if (waitedUs <= ANSWER_WAIT_US || this.#isOverdue || isFlood(this.#script.fault)) return;
    this.#isOverdue = true;
    this.#violation(`no ${answer} within ${ANSWER_WAIT_US / US_PER_SECOND} s`);
  }

  #play(nowUs: number): void {
    if (this.#state !== 'live') return;
    const lossAtSeconds = this.#continued === undefined ? this.#script.lossAtSeconds : undefined;
    const now = this.#playback.play(nowUs, lossAtSeconds);
    if (now === 'ended') this.#close('end');
    if (now !== 'breaks') return;
    this.#rejoining = this.#script.rejoin;
    this.#socket?.terminate();
  }

  #injectFault(): void {
    const socket = this.#socket;
    if (this.#faults === undefined || socket === undefined) return;
    const call: SessionFaultTarget = {
      socket,
      sendMessage: (type, parameters, change) => this.#sendMessage(type, parameters, change),
      skipNumber: () => {
        this.#seq += 1;
      },
      newId: () => this.#run.newId(),
      pause: () => this.#playback.pause(),
      resume: () => this.#playback.resume(),
    };
    this.#faults.tick(call);
  }
}
