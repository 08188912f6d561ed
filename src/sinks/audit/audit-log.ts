import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../../core/clock.js';
import type {
  AuditedRecording,
  AuditFields,
  Channel,
  FrameSink,
  FrameView,
  MarkedSpan,
  SilenceEdge,
  StreamInfo,
  StreamSummary,
} from '../../core/events.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { AuditIdentities, type AuditIdentity } from './identity.js';
import { LineFile, type Reopened } from './line-file.js';
import { redact } from './redact.js';

/** What signs the entries of an audit: it follows the file that they go to. Faults are reported, not thrown. */
export interface Checkpoints {
  /** Checkpoints that could not be written. */
  readonly writeErrors: number;
  /** Entries go to the file with this inode from now on, which is at `path` or was put aside since. */
  follow(path: string, ino: number): void | Promise<void>;
  /** Nothing more is written to the oldest file that is followed. */
  completed(): void;
  /** Signs what is there by now; resolves as well when that has failed. */
  write(): Promise<void>;
  /** Signs what is there, once nothing more is written. */
  close(): Promise<void>;
}

export interface AuditOptions {
  /** Appended to; made, with its folder, when it is not there. A symbolic link in its place is refused. */
  readonly file: string;
  /** Permissions of the file, such as 0o640; 0600 when absent. A folder that is made has 0700. */
  readonly fileMode?: number;
  readonly region: string;
  /** Interaction ids are replaced by their HMAC under this key. */
  readonly idKey?: string;
  /** An entry for each packet instead of one for each span. */
  readonly perPacket?: boolean;
  /** Called at the first failed write, and when the file cannot be opened again. */
  readonly onFault?: (message: string) => void;
  /** Called when the file was moved or removed, or reopen() was called, and another one is being written. */
  readonly onReopened?: (why: Reopened) => void;
  /** At this size the file is put aside under another name; default never. */
  readonly maxBytes?: number | undefined;
  /** The same with each day, by UTC; default false. */
  readonly daily?: boolean | undefined;
  /** Signs the entries; without it the audit is not signed. */
  readonly checkpoints?: Checkpoints | undefined;
  readonly clock?: Clock;
}

const EXTRA_FIELDS = [
  ...[
    'channel',
    'outcome',
    'reason',
    'detail',
    'code',
    'connection',
    'attempt',
    'positionMs',
    'packetsReceived',
    'packetsLost',
    'mosLqMin',
    'mosLqMean',
    'organizationId',
    'actor',
  ],
  ...[
    'durationMs',
    'keptMs',
    'pausedMs',
    'discardedMs',
    'framesReceived',
    'messagesReceived',
    'messagesSent',
    'faults',
    'bytesIgnored',
    'stalls',
    'recordings',
  ],
] as readonly (keyof AuditFields)[];

const OWNER_MAY_READ = 0o600;
/** What a start waits for the first signature at most. */
const MAX_SIGN_MS = 10_000;

const NOBODY: AuditIdentity = { json: 'null', privacyCompliant: true };

/**
 * The audit: one JSON object a line, `timestamp, action, interactionId, sequenceNumber, signalDetected,
 * privacyCompliant, region` and what AuditFields allows; what does not apply is null.
 *
 * Actions: `stream_opened`, `stream_ended`, `stream_finished` with the `outcome` of the stream, those given to event(), `media_capture` for each span of speech or silence
 * (`positionMs` is where it begins on the stream's time line), and `media_paused` and `media_discarded` for spans without
 * audio (with `durationMs`; the signal before such a span continues after it, unless a `media_capture` says otherwise);
 * so has `media_lost`, for packets that the engine had to drop.
 * With `perPacket` there is one `media_capture` for each packet instead of each span, and one `media_lost` for each lost
 * packet. `audit_reopened` begins a file that replaces one that was moved or removed. A signed audit begins each run with
 * `audit_opened` and ends it with `audit_closed`.
 *
 * `privacyCompliant` is worked out for each entry: it is true when the interaction is named by its pseudonym, or by an
 * id that shows no personal data (see AuditIdentities). Free text is redacted, and fields that are not named here are
 * never written: no audio, token or secret gets in.
 */
export class AuditLog implements FrameSink {
  readonly #options: AuditOptions;
  readonly #identities: AuditIdentities;
  readonly #region: string;
  readonly #perPacket: boolean;
  #file: LineFile | undefined;
  #closed = false;
  /** Entries that were given to the file, those that it dropped included. */
  entries = 0;
  readonly #clock: Clock;
  /** By stream index: small numbers that are used again. */
  readonly #streams: (AuditIdentity | undefined)[] = [];
  /** Of the newest frame, by channel (two a stream); −1 before the first. */
  #sequenceNumbers = new Float64Array(128);
  #stampMs = -1;
  #stamp = '';
  #stampSecond = Number.NaN;
  #stampToSecond = '';

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#identities = new AuditIdentities(options.idKey);
    this.#region = JSON.stringify(redact(options.region));
    this.#perPacket = options.perPacket ?? false;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Opens the file; entries before that are not written.
   * @throws TrunklineError FILE_FAILED when it cannot be opened.
   */
  async open(): Promise<void> {
    if (this.#file !== undefined) return;
    const {
      file,
      fileMode = OWNER_MAY_READ,
      onFault = () => {},
      onReopened,
      maxBytes,
      daily,
      checkpoints,
    } = this.#options;
    let failed = (): void => {};
    const firstFault = new Promise<void>((resolve) => {
      failed = resolve;
    });
    this.#file = await LineFile.open(file, {
      fileMode,
      folderMode: fileMode | ((fileMode & 0o444) >> 2),
      onFault: (message) => {
        failed();
        onFault(message);
      },
      onReopened: (why) => {
        this.event('audit_reopened', undefined, { reason: why });
        if (this.#file !== undefined) void checkpoints?.follow(file, this.#file.ino);
        onReopened?.(why);
      },
      onCompleted: () => checkpoints?.completed(),
      maxBytes,
      daily,
      clock: this.#clock,
    });
    if (checkpoints === undefined) return;
    void checkpoints.follow(file, this.#file.ino);
    this.event('audit_opened');
    // Signed before anything is recorded: behind `audit_closed`, a recording without an entry would be one that was added.
    // Neither a full disk nor a long audit that has to be hashed first keeps a node from starting.
    const signed = this.#file.written().then(() => checkpoints.write());
    const waited = new AbortController();
    const late = sleep(MAX_SIGN_MS, undefined, { signal: waited.signal, ref: false }).catch(() => {});
    await Promise.race([signed, firstFault, late]);
    waited.abort();
  }

  /**
   * Begins another file, as on SIGHUP: the one that there is is put aside as `audit-<time>.jsonl`, unless a tool that
   * rotates logs has moved it already.
   */
  async reopen(): Promise<void> {
    await this.#file?.reopen();
  }

  /** Entries that found no space, because the disk is slow or full; after close() all that are not in the file. */
  get dropped(): number {
    return this.#file?.dropped ?? 0;
  }

  /** Resolves once all entries until now are in the file; false when entries have been dropped meanwhile. */
  async written(): Promise<boolean> {
    const { dropped } = this;
    await this.#file?.written();
    return this.#file !== undefined && !this.#closed && this.dropped === dropped;
  }

  get writeErrors(): number {
    return (this.#file?.writeErrors ?? 0) + (this.#options.checkpoints?.writeErrors ?? 0);
  }

  /** An event of a connection or of the process: `connected`, `disconnected`, `subscribed` and the like. */
  event(action: string, interactionId?: string, extra: AuditFields = {}): void {
    const identity = interactionId === undefined ? NOBODY : this.#identities.of(interactionId);
    this.#write(JSON.stringify(redact(action)).slice(1, -1), identity, null, null, extra);
  }

  streamOpened(info: StreamInfo): void {
    const identity = this.#identities.of(info.interactionId);
    this.#streams[info.stream] = identity;
    const first = info.stream * 2;
    if (first >= this.#sequenceNumbers.length) {
      const larger = new Float64Array(first * 2);
      larger.set(this.#sequenceNumbers);
      this.#sequenceNumbers = larger;
    }
    this.#sequenceNumbers.fill(-1, first, first + 2);
    const { organizationId } = info;
    this.#write('stream_opened', identity, null, null, organizationId === undefined ? {} : { organizationId });
  }

  frame(frame: FrameView): void {
    const channel = frame.info.stream * 2 + frame.channel;
    const isFirst = (this.#sequenceNumbers[channel] as number) < 0;
    this.#sequenceNumbers[channel] = frame.sequenceNumber;
    if (this.#perPacket) this.#writePacket(frame);
    // A channel begins silent, without an edge. One that begins with speech has its edge right behind this frame.
    else if (isFirst && frame.isSilent) {
      this.#writeSpan('media_capture', frame.info, frame.channel, false, frame.positionSamples);
    }
  }

  silenceEdge({ info, channel, silent, positionSamples }: SilenceEdge): void {
    if (!this.#perPacket) this.#writeSpan('media_capture', info, channel, !silent, positionSamples);
  }

  markedSpan({ info, channel, state, startSamples, lengthSamples }: MarkedSpan): void {
    this.#writeSpan(`media_${state}`, info, channel, false, startSamples, lengthSamples);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    const identity = this.#streams[info.stream] ?? this.#identities.of(info.interactionId);
    this.#streams[info.stream] = undefined;
    const { packetsReceived, packetsLost, endReason: reason } = summary;
    const counts = { reason, packetsReceived, packetsLost, ...lowestMosLq(summary.quality) };
    this.#write('stream_ended', identity, null, null, counts);
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    if (this.#options.checkpoints !== undefined && !this.#closed) this.event('audit_closed');
    this.#closed = true;
    await this.#file?.close();
    await this.#options.checkpoints?.close();
  }

  #writePacket(frame: FrameView): void {
    const identity = this.#streams[frame.info.stream];
    if (identity === undefined) return;
    const { channel, sequenceNumber, lost } = frame;
    const signalDetected = !lost && !frame.isSilent;
    this.#append(
      lost ? 'media_lost' : 'media_capture',
      identity,
      sequenceNumber,
      signalDetected,
      `,"channel":${channel}`,
    );
  }

  #writeSpan(
    action: string,
    info: StreamInfo,
    channel: Channel,
    signalDetected: boolean,
    positionSamples: number,
    lengthSamples = -1,
  ): void {
    const identity = this.#streams[info.stream];
    if (identity === undefined) return;
    const sequenceNumber = this.#sequenceNumbers[info.stream * 2 + channel] as number;
    const toMs = (samples: number): number => Math.round((samples * 1e3) / info.sampleRate);
    const known = sequenceNumber < 0 ? null : sequenceNumber;
    let fields = `,"channel":${channel},"positionMs":${toMs(positionSamples)}`;
    if (lengthSamples >= 0) fields += `,"durationMs":${toMs(lengthSamples)}`;
    this.#append(action, identity, known, signalDetected, fields);
  }

  #write(
    action: string,
    identity: AuditIdentity,
    sequenceNumber: number | null,
    signalDetected: boolean | null,
    extra: AuditFields,
  ): void {
    let line = '';
    if (extra.sessionId !== undefined) line += `,"sessionId":${this.#identities.of(extra.sessionId).json}`;
    for (const field of EXTRA_FIELDS) {
      const value: unknown = extra[field];
      if (typeof value === 'string') line += `,"${field}":${JSON.stringify(redact(value))}`;
      else if (typeof value === 'number' && Number.isFinite(value)) line += `,"${field}":${value}`;
    }
    // Redaction would take an address for a telephone number.
    if (extra.remoteAddress !== undefined && isIP(extra.remoteAddress) !== 0) {
      line += `,"remoteAddress":"${extra.remoteAddress}"`;
    }
    if (extra.recording !== undefined) line += this.#recordingFields(extra.recording);
    this.#append(action, identity, sequenceNumber, signalDetected, line);
  }

  #recordingFields(recording: AuditedRecording): string {
    const { files } = recording;
    const folder = `,"folder":${JSON.stringify(this.#identities.folderOf(recording))}`;
    return files === undefined ? folder : `${folder},"files":${JSON.stringify(files)}`;
  }

  // Concatenated by hand: an object and JSON.stringify take three times as long, which perPacket would pay per packet.
  // The action is escaped already.
  #append(
    action: string,
    identity: AuditIdentity,
    sequenceNumber: number | null,
    signalDetected: boolean | null,
    rest: string,
  ): void {
    if (this.#file === undefined || this.#closed) return;
    this.entries++;
    this.#file.append(
      `{"timestamp":"${this.#now()}","action":"${action}","interactionId":${identity.json}` +
        `,"sequenceNumber":${sequenceNumber},"signalDetected":${signalDetected}` +
        `,"privacyCompliant":${identity.privacyCompliant},"region":${this.#region}${rest}}\n`,
    );
  }

  #now(): string {
    const nowMs = Math.floor(this.#clock.wallMs());
    if (nowMs !== this.#stampMs) {
      this.#stampMs = nowMs;
      const second = Math.floor(nowMs / MS_PER_SECOND);
      // Nearly every entry has a millisecond of its own, and to make all of it from the time takes as long as the rest.
      if (second !== this.#stampSecond) {
        this.#stampSecond = second;
        this.#stampToSecond = new Date(second * MS_PER_SECOND).toISOString().slice(0, -'000Z'.length);
      }
      this.#stamp = `${this.#stampToSecond}${String(nowMs - second * MS_PER_SECOND).padStart(3, '0')}Z`;
    }
    return this.#stamp;
  }
}

/** Of the channel where it is lowest; nothing where there is none. */
function lowestMosLq(quality: StreamSummary['quality'] = []): { mosLqMin?: number; mosLqMean?: number } {
  const known = quality.flatMap(({ mosLqMin, mosLqMean }) =>
    mosLqMin === null || mosLqMean === null ? [] : [{ mosLqMin, mosLqMean }],
  );
  if (known.length === 0) return {};
  return {
    mosLqMin: Math.min(...known.map((one) => one.mosLqMin)),
    mosLqMean: Math.min(...known.map((one) => one.mosLqMean)),
  };
}
