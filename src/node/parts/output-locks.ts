import { realpath } from 'node:fs/promises';
import { FolderLock } from '../../core/files/folder-lock.js';
import { makeFolder } from '../../core/make-folder.js';
import type { Sink, SinkContext } from '../../sinks/sink.js';

/** The locks of the folders that a node's sinks write. */
export class OutputLocks {
  readonly #context: SinkContext;
  readonly #locks = new Map<string, FolderLock>();

  constructor(context: SinkContext) {
    this.#context = context;
  }

  /** Once for each folder. @throws TrunklineError FOLDER_IN_USE when somebody else writes it; FILE_FAILED. */
  async acquire(output: Sink['output']): Promise<void> {
    if (output === undefined) return;
    const { directory, folderMode } = output;
    await makeFolder(directory, folderMode);
    const folder = await realpath(directory);
    if (this.#locks.has(folder)) return;
    const lock = await FolderLock.acquire(directory, {
      onLost: (error) => this.#context.report(error),
      onWaiting: (holder) =>
        this.#context.logger.warn({ holder }, 'the output folder has a lock: waiting a few seconds for its holder'),
    });
    this.#locks.set(folder, lock);
  }

  async release(): Promise<void> {
    for (const lock of this.#locks.values()) await lock.release();
    this.#locks.clear();
  }
}
