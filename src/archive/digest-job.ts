import { lstat } from 'node:fs/promises';
import { isInside } from '../core/files/inside.js';
import { digestOf, hiddenFolder } from '../evidence/recording-entry.js';
import { DELETED } from './audit-search.js';
import type { ArchiveContext, ArchiveJob, FinishedRecording } from './jobs.js';
import { contentOf, digestRecording, type RecordingDigest } from './recording-digest.js';

/** A repair may list a recording once more that has just been finished. */
const MAX_RECENT = 1_000;

/**
 * Makes the digest of every file of a finished recording an entry of the audit, `recording_digest`. A recording that goes
 * on in another format gets a further entry at each of its ends, which replaces the one before.
 */
export class DigestJob implements ArchiveJob {
  readonly name = 'digest';
  readonly parallel = 4;
  readonly finishesAtClose = true;
  readonly #context: ArchiveContext;
  /** What the audit has of recordings that may come again after a kill, by the folder as the audit names it. */
  readonly #known: Map<string, string>;
  /** The newest of this thread, by the folder. */
  readonly #recent = new Map<string, string>();

  constructor(context: ArchiveContext, known: Map<string, string>) {
    this.#context = context;
    this.#known = known;
  }

  async run({ folder, path }: FinishedRecording): Promise<void> {
    const { directory, closing, stopped } = this.#context;
    const before = await contentOf(path);
    if (before === undefined) return this.#missing(folder);
    if (!isInside(directory, folder)) {
      this.#context.count('refused');
      this.#context.fault(`${path} is not a folder of the recorder: a symbolic link stands there. It gets no digest.`);
      return;
    }
    // The call goes on in another format, or a repair will finish the recording: either brings it here again.
    if (before.isUnfinished || before.files.length === 0) return;
    let digest: RecordingDigest;
    try {
      digest = await digestRecording(directory, folder, before.files, { gentlyUntil: closing, signal: stopped });
    } catch (thrown) {
      if ((await lstat(path).catch(() => undefined)) === undefined) return this.#missing(folder);
      throw thrown;
    }
    const after = await contentOf(path);
    if (after?.isUnfinished === true) return;
    if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`${path} was changed at the same time`);
    await this.#enter(folder, digest);
  }

  /** Once: what the audit has already is not entered again. */
  async #enter(folder: string, { files, folderKey, interactionId }: RecordingDigest): Promise<void> {
    const digest = digestOf(files);
    const names = [folder, hiddenFolder({ folder, folderKey })];
    if ([...names.map((name) => this.#known.get(name)), this.#recent.get(folder)].includes(digest)) return;
    this.#remember(folder, digest);
    try {
      await this.#context.audit(
        'recording_digest',
        { recording: { folder, folderKey, files } },
        interactionId ?? folder,
      );
    } catch (thrown) {
      this.#recent.delete(folder);
      throw thrown;
    }
    for (const name of names) this.#known.delete(name);
    this.#context.count('digests');
    this.#context.count(
      'digestedBytes',
      files.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }

  #remember(folder: string, digest: string): void {
    this.#recent.set(folder, digest);
    const [oldest] = this.#recent.keys();
    if (this.#recent.size > MAX_RECENT && oldest !== undefined) this.#recent.delete(oldest);
  }

  /** Somebody has removed it since it was finished, unless that was the node itself before a kill. */
  async #missing(folder: string): Promise<void> {
    if (this.#known.get(folder) === DELETED) return;
    this.#context.count('missing');
    const recording = { folder, folderKey: '' };
    await this.#context.audit('recording_missing', { recording });
  }
}
