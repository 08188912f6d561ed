import { constants, lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { boundedAttributes, type CallAttributes, readAttributes } from '../../core/attributes/attributes.js';
import type { Clock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import {
  decide,
  type RetainedRecording,
  type RetentionDecision,
  type RetentionPolicy,
} from '../../core/retention/policy.js';
import { folderKeyOf } from '../../evidence/recording-entry.js';
import { MANIFEST_FILE, PARTIAL_FILE, SPARE_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { recordingFolders } from '../../sinks/recorder/folders/recording-folders.js';
import type { Deletion } from './deletions.js';
import { type HoldableRecording, heldBy, readHolds } from './legal-holds.js';

const MAX_MANIFEST_BYTES = 64 << 20;
/** Recordings between two turns of the event loop. */
const SHARE = 50;
/** A wall clock that has gained so much over the monotonic one since the last run was set; one run is left out then. */
const MAX_JUMP_MS = 86_400_000;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const attributesSchema = z
  .unknown()
  .transform((value): CallAttributes => boundedAttributes(readAttributes(value)))
  .optional();
const manifestSchema = z.object({
  interactionId: z.string(),
  endedAt: z.string().nullable(),
  endReason: z.string().nullable(),
  attributes: attributesSchema,
  firstAttributes: attributesSchema,
});

/** What becomes of one recording. */
export interface PlannedRecording extends RetentionDecision {
  readonly folder: string;
  readonly interactionId: string;
  /** See folderKeyOf(). */
  readonly folderKey: string;
}

/**
 * What would become of each recording now, one after another: the holds are read again for each that is due, since one may
 * have been placed meanwhile. What has no manifest that can be read is left out; it is never deleted.
 *
 * @throws TrunklineError FILE_INVALID, FILE_FAILED when the legal holds cannot be read.
 */
export async function* retentionPlan(
  directory: string,
  policy: RetentionPolicy,
  clock: Clock,
  isPending: (folder: string) => boolean = () => false,
): AsyncGenerator<PlannedRecording> {
  let { holds } = readHolds(directory);
  let share = 0;
  for (const folder of recordingFolders(directory)) {
    if (++share % SHARE === 0) await turn();
    const known = await retainedIn(directory, folder);
    if (known === undefined) continue;
    const recording = { ...known, isPending: isPending(folder) };
    const decision = (): RetentionDecision => decide(recording, policy, heldBy(holds, recording), clock.wallMs());
    let decided = decision();
    if (decided.isDue) {
      ({ holds } = readHolds(directory));
      decided = decision();
    }
    yield { folder, interactionId: known.interactionId, folderKey: known.folderKey, ...decided };
  }
}

/** What the retention of a node needs. */
export interface RetentionDependencies {
  readonly directory: string;
  readonly clock: Clock;
  /** Deletes a recording, with its entry in the audit before; see deletions.ts. */
  delete(deletion: Deletion): Promise<void>;
  /** Takes a sentence for the operator. */
  fault(message: string): void;
  count(counter: 'retentionDeleted' | 'retentionFailed'): void;
  /** The folders that a digest or an upload is still to come of. */
  pending(): Promise<ReadonlySet<string>>;
  readonly closing: AbortSignal;
}

/**
 * Deletes what is older than the policy says. The entry `recording_deleted` is in the audit before anything of a recording
 * is touched: after a kill at any point the audit explains what is missing, and what is left is deleted by the next run.
 * A deletion by anybody else has no entry.
 */
export class Retention {
  readonly #policy: RetentionPolicy;
  readonly #dependencies: RetentionDependencies;
  #last: { readonly wallMs: number; readonly nowUs: number } | undefined;

  constructor(policy: RetentionPolicy, dependencies: RetentionDependencies) {
    this.#policy = policy;
    this.#dependencies = dependencies;
  }

  /** Goes over all recordings once. Returns the folders that were deleted; never rejects. */
  async run(): Promise<readonly string[]> {
    const deleted: string[] = [];
    const { directory, clock, pending, closing, fault, count } = this.#dependencies;
    if (this.#clockWasSet()) {
      count('retentionFailed');
      fault(
        'The clock was set ahead by more than a day: nothing is deleted in this run. Check the time of this machine.',
      );
      return deleted;
    }
    try {
      const waiting = await pending();
      for await (const planned of retentionPlan(directory, this.#policy, clock, (folder) => waiting.has(folder))) {
        if (closing.aborted) break;
        if (planned.isDue && (await this.#delete(planned))) deleted.push(planned.folder);
      }
    } catch (thrown) {
      count('retentionFailed');
      fault(`Recordings that are due cannot be deleted: ${messageOf(thrown)}`);
    }
    return deleted;
  }

  async #delete({ folder, folderKey, interactionId, why }: PlannedRecording): Promise<boolean> {
    const { fault, count } = this.#dependencies;
    try {
      await this.#dependencies.delete({ folder, folderKey, interactionId, reason: 'retention', detail: why });
      count('retentionDeleted');
      return true;
    } catch (thrown) {
      count('retentionFailed');
      fault(`The recording ${folder}, which is ${why}, cannot be deleted: ${messageOf(thrown)}.`);
      return false;
    }
  }

  #clockWasSet(): boolean {
    const { clock } = this.#dependencies;
    const now = { wallMs: clock.wallMs(), nowUs: clock.nowUs() };
    const last = this.#last;
    this.#last = now;
    return last !== undefined && now.wallMs - last.wallMs - (now.nowUs - last.nowUs) / 1e3 > MAX_JUMP_MS;
  }
}

type Known = Omit<RetainedRecording, 'isPending'> &
  Pick<HoldableRecording, 'firstAttributes'> & { readonly folderKey: string };

/** Undefined where there is no manifest that can be read. */
async function retainedIn(directory: string, folder: string): Promise<Known | undefined> {
  const path = join(directory, folder);
  try {
    const status = lstatSync(join(path, MANIFEST_FILE));
    if (!status.isFile() || status.size > MAX_MANIFEST_BYTES) return undefined;
    const bytes = await readFile(join(path, MANIFEST_FILE), { flag: READ });
    const {
      interactionId,
      endedAt,
      endReason,
      attributes = {},
      firstAttributes,
    } = manifestSchema.parse(JSON.parse(bytes.toString('utf8')));
    const endedAtMs = Date.parse(endedAt ?? '');
    return {
      interactionId,
      attributes,
      firstAttributes,
      endedAtMs: Number.isNaN(endedAtMs) ? undefined : endedAtMs,
      isUnfinished: endReason === null || [PARTIAL_FILE, SPARE_FILE].some((name) => isThere(join(path, name))),
      folderKey: folderKeyOf(bytes),
    };
  } catch {
    return undefined;
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
