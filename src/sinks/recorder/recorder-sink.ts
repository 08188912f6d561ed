import { z } from 'zod';
import { parseOptions } from '../../config/options.js';
import type { Clock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { HealthCheck } from '../../core/health.js';
import { makeFolder } from '../../core/make-folder.js';
import { isRetentionRule } from '../../core/retention/policy.js';
import type { DiskLowEvent, Sink, SinkAgent, SinkContext, SinkStats } from '../sink.js';
import { conversionThread } from './conversion/convert.js';
import { MAX_RECIPIENTS, readRecipients } from './encryption/recipients.js';
import { DiskWatermark } from './files/disk-watermark.js';
import { type FileAccess, fileAccess } from './files/folder.js';
import { AUDIO_FORMATS } from './files/manifest.js';
import { UnfinishedIndex } from './files/unfinished.js';
import { thisWriter } from './files/writer.js';
import { FLAT_TEMPLATE, isDirectoryTemplate } from './folders/directory-template.js';
import { DiskSpace, diskCheck, FAILING_SHARE } from './recorder-gauges.js';
import { RecorderThread } from './recorder-thread.js';
import { type RepairReport, repairedFields, repairUnfinished } from './repair.js';

export interface RecorderOptions {
  /** Folder of the recordings; made when it is missing. Each interaction gets a folder of its own in it. */
  readonly directory: string;
  /**
   * Where in it the folder of each recording goes; default `{interactionId}`. `{date}/{queue}/{interactionId}` gives
   * `2026-03-01/Sales/<id>`. Placeholders: date, year, month, day, hour (of the start, UTC), queue, user, direction,
   * division, organization; `unknown` stands for what is not known when the first audio is written. What they insert has
   * letters, digits, `-` and `_` only. The template ends with `{interactionId}`.
   */
  readonly directoryTemplate?: string;
  /**
   * What recordings are stored as, default `wav`. `flac` is lossless and takes half of the space: a call is WAV while it
   * runs and is converted by the recorder's thread when it has ended. `opus` keeps the packets of Opus calls as they came,
   * in Ogg; calls of other codecs become FLAC.
   */
  readonly format?: 'wav' | 'flac' | 'opus';
  /**
   * Permissions of the files; default 0o600, their owner alone. Folders may be entered by those who may read the files:
   * 0o640 gives 0o750. The process's umask is applied as well.
   */
  readonly fileMode?: number;
  /**
   * Those who can open the recordings, X25519 recipients of age (`age1…`). With it each audio file is encrypted from its
   * first byte, with a key of its own that this process forgets when the call has ended (`audio.wav.enc`, FORMAT.md), and
   * `trunkline open` reads it. Default: none, recordings are stored as they are.
   */
  readonly encryptTo?: readonly string[];
  /** A file with more of them, one a line, as for `age -R`: blank lines and lines that begin with `#` are left out. */
  readonly encryptToFile?: string;
  /**
   * Megabytes of memory, for all calls together, in which audio waits while the disk is slow or stands still; 1 to 1024,
   * default 64. It is used only then. One call at 8 kHz needs 1.1 MB a minute. Audio for which there is no space is
   * lost, which its manifest says.
   */
  readonly bufferMegabytes?: number;
  /**
   * Days that a recording is kept after its end, 1 to 36,525; default for ever. The archive's thread deletes it then, at
   * the start and every hour, and makes that an entry of the audit. Nothing is deleted that is under a legal hold, not
   * finished, or still to be uploaded.
   */
  readonly keepDays?: number;
  /**
   * Rules for some calls, such as `queue=Sales:days=30` or `tag=claim:days=forever`: the first that matches decides, and
   * `keepDays` where none does; default none.
   */
  readonly retentionRules?: readonly string[];
  /**
   * Megabytes that should stay free on the disk; 0 to 1,000,000,000, default 1024. Below it the node's health is degraded,
   * below a quarter of it failing, and calls that begin then are not recorded (outcome `failed`, cause `refused`): what is
   * left is for those that are under way, which go on as long as there is space. `diskLow` events say each of these, and
   * when there is space again.
   */
  readonly minFreeMegabytes?: number;
}

const WATCH_MS = 500;
const MEGABYTE = 1 << 20;

const schema = z.strictObject({
  directory: z.string().min(1),
  directoryTemplate: z
    .string()
    .refine(isDirectoryTemplate, 'folders that end with {interactionId}')
    .default(FLAT_TEMPLATE),
  format: z.enum(AUDIO_FORMATS).default('wav'),
  fileMode: z.int().min(0o400).max(0o666).default(0o600),
  encryptTo: z.array(z.string()).max(MAX_RECIPIENTS).default([]),
  encryptToFile: z.string().min(1).optional(),
  bufferMegabytes: z.int().min(1).max(1024).default(64),
  keepDays: z.int().min(1).max(36_525).optional(),
  retentionRules: z.array(z.string().refine(isRetentionRule, 'a rule such as queue=Sales:days=30')).default([]),
  minFreeMegabytes: z.int().min(0).max(1_000_000_000).default(1024),
});

/**
 * Records every stream into `<directory>/<interaction>/audio.wav`, or what `format` says, and `session.json`, on a thread
 * of its own. A call whose codec changes goes on in `audio-2.wav` and so on, in the same folder.
 */
export class RecorderSink implements Sink {
  readonly name = 'recorder';
  readonly #directory: string;
  readonly #access: FileAccess;
  readonly #thread: RecorderThread;
  readonly #disk: DiskSpace;
  readonly #minFreeBytes: number;
  readonly #watermark: DiskWatermark;
  /** Below it, what is left is for the recordings that are under way. */
  readonly #lowest: DiskWatermark;
  readonly #closing = new AbortController();
  #context: SinkContext | undefined;
  #watch: NodeJS.Timeout | undefined;
  #repairing: Promise<RepairReport | undefined> = Promise.resolve(undefined);

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: RecorderOptions) {
    const parsed = parseOptions('recorder()', schema, options);
    const { directory, directoryTemplate, format, fileMode, bufferMegabytes, minFreeMegabytes } = parsed;
    const { keepDays, retentionRules: rules } = parsed;
    this.#directory = directory;
    this.#access = fileAccess(fileMode);
    this.#disk = new DiskSpace(directory);
    this.#minFreeBytes = minFreeMegabytes * MEGABYTE;
    this.#watermark = new DiskWatermark(this.#minFreeBytes);
    this.#lowest = new DiskWatermark(this.#minFreeBytes * FAILING_SHARE);
    this.#thread = new RecorderThread({
      directory,
      directoryTemplate,
      format,
      access: this.#access,
      encryptTo: readRecipients(parsed),
      retention: keepDays === undefined && rules.length === 0 ? undefined : { keepDays, rules },
      bufferBytes: bufferMegabytes * MEGABYTE,
    });
  }

  get output(): { directory: string; folderMode: number } {
    return { directory: this.#directory, folderMode: this.#access.folderMode };
  }

  get agent(): SinkAgent {
    return this.#thread;
  }

  /** What was repaired of the recordings of an earlier process, once that is done; undefined when it failed. */
  repaired(): Promise<RepairReport | undefined> {
    return this.#repairing;
  }

  /**
   * Begins to repair what an earlier process left unfinished, and does not wait for it.
   * @throws TrunklineError FILE_FAILED when the folder cannot be made.
   */
  async start(context: SinkContext): Promise<void> {
    this.#context = context;
    await makeFolder(this.#directory, this.#access.folderMode);
    this.#disk.look(context.clock.nowUs());
    this.#repairing = this.#repair(context);
    this.#watch = setInterval(() => this.#look(), WATCH_MS).unref();
  }

  flush(): Promise<void> {
    return this.#thread.caughtUp();
  }

  async settle(): Promise<void> {
    this.#closing.abort();
    await this.#repairing;
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.settle();
    this.#look();
    const { recordingsOpened, recordingsFinished } = this.#thread.counters();
    const missing = recordingsOpened - recordingsFinished;
    if (missing === 0) return;
    const message = `${missing} recordings could not be finished in time; run "trunkline repair ${this.#directory}".`;
    this.#context?.report(new TrunklineError('FILE_FAILED', message));
  }

  /**
   * `dropped`: frames that were lost because the disk was too slow. Beside the counters: `lagSeconds`, how long what is
   * next to be written has been waiting, and `freeBytes` and `diskBytes` of the disk, once they are known.
   */
  stats(): SinkStats {
    const lagSeconds = this.#context === undefined ? 0 : this.#thread.lagSeconds(this.#context.clock.nowUs());
    return { ...this.#thread.counters(), dropped: this.#thread.refused, lagSeconds, ...this.#disk.bytes };
  }

  health(): readonly HealthCheck[] {
    const disk = { freeBytes: this.#disk.bytes.freeBytes, writeFault: this.#disk.writeFault };
    return [diskCheck(this.name, disk, this.#minFreeBytes)];
  }

  async #repair({ clock, logger, emit, report, audit }: SinkContext): Promise<RepairReport | undefined> {
    try {
      const repaired = await repairUnfinished(this.#directory, {
        clock,
        access: this.#access,
        convert: conversionThread(this.#thread.usesNative),
        signal: this.#closing.signal,
        ...(this.#thread.isArchived ? { archiveIndex: this.#archiveIndex(clock) } : {}),
        onRepaired: (recording) => {
          const { interactionId } = recording;
          audit({ source: this.name, action: 'recording_repaired', interactionId, fields: repairedFields(recording) });
          emit('recordingRepaired', recording);
        },
      });
      const { repaired: folders, failed } = repaired;
      if (folders.length > 0) {
        logger.warn({ recordings: folders.length }, 'repaired recordings that an earlier process left unfinished');
      }
      for (const { folder, message } of failed) {
        report(new TrunklineError('FILE_FAILED', `The recording in ${folder} cannot be repaired: ${message}`));
      }
      return repaired;
    } catch (thrown) {
      report(new TrunklineError('FILE_FAILED', `Recordings cannot be repaired: ${messageOf(thrown)}`));
      return undefined;
    }
  }

  /** What is repaired now is the archive's to do. */
  #archiveIndex(clock: Clock): UnfinishedIndex {
    return new UnfinishedIndex(this.#directory, thisWriter(), this.#access, clock.nowUs(), true);
  }

  #tellDisk(event: DiskLowEvent): void {
    const { isLow, freeBytes, watermarkBytes } = event;
    const fields = { freeMegabytes: Math.floor(freeBytes / MEGABYTE), watermarkMegabytes: watermarkBytes / MEGABYTE };
    if (isLow) this.#context?.logger.warn(fields, 'the disk of the recordings is nearly full');
    else this.#context?.logger.info(fields, 'the disk of the recordings has space again');
    this.#context?.emit('diskLow', event);
  }

  #refuseNew(event: DiskLowEvent): void {
    this.#thread.refuseNew(event.isLow);
    const fields = { freeMegabytes: Math.floor(event.freeBytes / MEGABYTE) };
    if (event.isLow) this.#context?.logger.error(fields, 'the disk is so full that new calls are not recorded');
    else this.#context?.logger.info(fields, 'new calls are recorded again');
    this.#context?.emit('diskLow', { ...event, refusesNew: event.isLow });
  }

  #look(): void {
    const nowUs = this.#context?.clock.nowUs();
    if (nowUs !== undefined) {
      this.#thread.markLag(nowUs);
      this.#disk.look(nowUs);
    }
    const low = this.#watermark.look(this.#disk.bytes.freeBytes);
    if (low !== undefined) this.#tellDisk(low);
    const lowest = this.#lowest.look(this.#disk.bytes.freeBytes);
    if (lowest !== undefined) this.#refuseNew(lowest);
    for (const fault of this.#thread.takeFaults()) this.#context?.report(new TrunklineError('FILE_FAILED', fault));
    const isSlow = this.#thread.takeSlowness();
    if (isSlow === true) this.#context?.logger.warn('the disk is slow: recordings wait in memory');
    if (isSlow === false) this.#context?.logger.info('the disk is fast enough again');
  }
}

/**
 * Records what a node captures. Without it, an embedded node records nothing.
 *
 * @example
 * const node = await createNode({ sources, sinks: [recorder({ directory: 'capture' })] });
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function recorder(options: RecorderOptions): RecorderSink {
  return new RecorderSink(options);
}
