import { join } from 'node:path';
import { z } from 'zod';
import { parseOptions } from '../../config/options.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { AuditEntry, FrameView, MarkedSpan, SilenceEdge, StreamInfo, StreamSummary } from '../../core/events.js';
import { makeFolder } from '../../core/make-folder.js';
import { defaultKeyFile, loadSigner } from '../../evidence/signing-key.js';
import type { AuditKeeper, Sink, SinkContext, SinkStats } from '../sink.js';
import { AuditLog } from './audit-log.js';
import { CheckpointThread } from './checkpoint-thread.js';

export interface AuditSinkOptions {
  /** Folder of `audit.jsonl`; made when it is missing. */
  readonly directory: string;
  /** Permissions of the file; default 0o600, its owner alone. */
  readonly fileMode?: number;
  /** An entry for every packet instead of one for every span; default false. */
  readonly perPacket?: boolean;
  /** Interaction ids are replaced by their HMAC under this key, of at least 16 characters; default: they stand there. */
  readonly idKey?: string;
  /** Written into every entry, such as a Genesys Cloud region; default empty. */
  readonly region?: string;
  /** At this size in bytes `audit.jsonl` is put aside as `audit-<time>.jsonl`; default 1 GiB, 0 for never. */
  readonly maxBytes?: number;
  /** The same with each day, by UTC; default false. */
  readonly daily?: boolean;
  /**
   * File with the key that signs the audit; it is made when there is none. Default: `audit-signing-key` in `trunkline`
   * below `$XDG_CONFIG_HOME` or `~/.config`, unless that is in `directory`. `false`: not signed.
   */
  readonly signingKey?: string | false;
}

/** Entries that may wait for the file to be opened. */
const MAX_EARLY = 10_000;

const schema = z.strictObject({
  directory: z.string().min(1),
  fileMode: z.int().min(0).max(0o777).default(0o600),
  perPacket: z.boolean().default(false),
  idKey: z.string().min(16).exactOptional(),
  region: z.string().default(''),
  maxBytes: z
    .int()
    .min(0)
    .default(2 ** 30),
  daily: z.boolean().default(false),
  signingKey: z.union([z.string().min(1), z.literal(false)]).exactOptional(),
});

/** The audit of a node: one JSON object a line in `audit.jsonl`; see AuditLog for its fields. */
export class AuditSink implements Sink {
  readonly name = 'audit';
  readonly #options: z.output<typeof schema>;
  #log: AuditLog | undefined;
  readonly #early: AuditEntry[] = [];
  #earlyDropped = 0;
  #checkpointThread: CheckpointThread | undefined;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: AuditSinkOptions) {
    this.#options = parseOptions('audit()', schema, options);
  }

  /** @throws TrunklineError FILE_FAILED when the file cannot be opened. */
  async start({ clock, logger, report }: SinkContext): Promise<void> {
    const { directory, fileMode, region, perPacket, idKey, maxBytes, daily } = this.#options;
    const onFault = (message: string): void => report(new TrunklineError('FILE_FAILED', message));
    await makeFolder(directory);
    const log = new AuditLog({
      file: join(directory, 'audit.jsonl'),
      fileMode,
      region,
      perPacket,
      clock,
      ...(maxBytes === 0 ? {} : { maxBytes }),
      daily,
      checkpoints: await this.#checkpoints(onFault),
      onFault,
      onReopened: (why) => logger.info({ why }, 'the audit continues in another file'),
      ...(idKey === undefined ? {} : { idKey }),
    });
    await log.open();
    this.#log = log;
    for (const entry of this.#early.splice(0)) this.auditEntry(entry);
  }

  /** An audit that cannot be signed is written all the same. */
  async #checkpoints(onFault: (message: string) => void): Promise<CheckpointThread | undefined> {
    const { directory, fileMode, signingKey } = this.#options;
    if (signingKey === false) return undefined;
    try {
      const signer = await loadSigner(signingKey ?? defaultKeyFile(process.env, directory));
      this.#checkpointThread = new CheckpointThread({ directory, fileMode, signer, onFault });
      return this.#checkpointThread;
    } catch (thrown) {
      onFault(`The audit is not signed. ${messageOf(thrown)}`);
      return undefined;
    }
  }

  /** Begins another file; the one that there is is put aside, unless a tool that rotates logs has moved it already. */
  async reopen(): Promise<void> {
    await this.#log?.reopen();
  }

  auditEntry(entry: AuditEntry): void {
    const { action, interactionId, fields } = entry;
    // Another sink that starts before this one may have entries already.
    if (this.#log !== undefined) this.#log.event(action, interactionId, fields);
    else if (this.#early.length < MAX_EARLY) this.#early.push(entry);
    else this.#earlyDropped++;
  }

  get output(): { directory: string; folderMode: number } {
    return { directory: this.#options.directory, folderMode: 0o700 };
  }

  /** For entries that something else waits for, such as the digest of a recording. */
  get auditKeeper(): AuditKeeper {
    return {
      directory: this.#options.directory,
      checkpoint: () => this.#checkpointThread?.newest,
      keep: async (entry) => {
        this.auditEntry(entry);
        if ((await this.#log?.written()) === true) return;
        throw new TrunklineError('FILE_FAILED', `The audit in ${this.#options.directory} cannot be written.`);
      },
    };
  }

  streamOpened(info: StreamInfo): void {
    this.#log?.streamOpened(info);
  }

  frame(frame: FrameView): void {
    this.#log?.frame(frame);
  }

  silenceEdge(edge: SilenceEdge): void {
    this.#log?.silenceEdge(edge);
  }

  markedSpan(span: MarkedSpan): void {
    this.#log?.markedSpan(span);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    this.#log?.streamEnded(info, summary);
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  /** `entries`: all that there were; `dropped`: those of them that are not in the file. */
  stats(): SinkStats {
    const { entries = 0, dropped = 0, writeErrors = 0 } = this.#log ?? {};
    return { entries: entries + this.#earlyDropped, dropped: dropped + this.#earlyDropped, writeErrors };
  }
}

/**
 * Keeps an audit of everything that a node captures.
 *
 * @example
 * const node = await createNode({ sources, sinks: [audit({ directory: 'capture' })] });
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function audit(options: AuditSinkOptions): AuditSink {
  return new AuditSink(options);
}
