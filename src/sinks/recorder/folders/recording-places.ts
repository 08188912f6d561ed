import { join } from 'node:path';
import type { StreamInfo } from '../../../core/events.js';
import { isInside } from '../../../core/files/inside.js';
import { type FileAccess, folderName, makeRecordingFolder, newestNumber, numberedName } from '../files/folder.js';
import { readCheckpoint, readManifest } from '../files/manifest-file.js';
import { DirectoryTemplate, FLAT_TEMPLATE } from './directory-template.js';

/** How many recordings of one interaction are looked at for the one that a stream continues. */
const MAX_EARLIER = 64;
/** Streams whose folders are remembered for those that continue them. */
const MAX_REMEMBERED = 4_096;

/** The recording that a stream continues has not been finished yet. */
export class EarlierUnfinished extends Error {}

/** Where in the output folder the recordings go. */
export class RecordingPlaces {
  readonly #outDir: string;
  readonly #access: FileAccess;
  readonly #template: DirectoryTemplate;
  /** By interaction: a layout by attributes may have another folder for the stream that continues one. */
  readonly #newest = new Map<string, string>();

  constructor(outDir: string, access: FileAccess, template: string = FLAT_TEMPLATE) {
    this.#outDir = outDir;
    this.#access = access;
    this.#template = new DirectoryTemplate(template);
  }

  /** Makes the folder of a recording, see makeRecordingFolder(), and returns its path within the output folder. */
  make(info: StreamInfo, taken: readonly string[], claim: (path: string, folder: string) => void): string {
    const folder = makeRecordingFolder(this.#outDir, this.#template.pathOf(info), taken, this.#access, claim);
    this.#newest.delete(info.interactionId);
    this.#newest.set(info.interactionId, folder);
    const [oldest] = this.#newest.keys();
    if (oldest !== undefined && this.#newest.size > MAX_REMEMBERED) this.#newest.delete(oldest);
    return folder;
  }

  /**
   * The folder of the recording that a stream continues; undefined when there is none.
   * @throws EarlierUnfinished while it is still being written.
   */
  earlierOf(info: StreamInfo): string | undefined {
    const { segment } = info;
    if (segment === undefined) return undefined;
    const startedAt = new Date(segment.firstStartedAtMs).toISOString();
    for (const folder of this.#candidates(info, segment.firstStartedAtMs)) {
      if (!isInside(this.#outDir, folder)) continue;
      const path = join(this.#outDir, folder);
      const unfinished = readCheckpoint(path);
      const found = unfinished ?? readManifest(path);
      if (found?.interactionId !== info.interactionId || found.startedAt !== startedAt) continue;
      if (unfinished?.writer !== undefined) throw new EarlierUnfinished();
      return unfinished === undefined && found.endReason === 'formatChanged' ? folder : undefined;
    }
    return undefined;
  }

  *#candidates(info: StreamInfo, startedAtMs: number): Generator<string> {
    const remembered = this.#newest.get(info.interactionId);
    if (remembered !== undefined) yield remembered;
    const parents = this.#template.parentsOf({ ...info, startedAtMs });
    const name = [...parents, folderName(info.interactionId)].join('/');
    const newest = newestNumber(this.#outDir, name);
    for (let n = newest; n > Math.max(0, newest - MAX_EARLIER); n--) yield numberedName(name, n);
  }
}
