import type { AuditedFile } from '../../core/events.js';
import { recordingEntry } from '../../evidence/recording-entry.js';

/** What the audit says of one recording. */
export interface AuditedState {
  /** The newest digest that is signed; undefined when there is none. */
  readonly signed: readonly AuditedFile[] | undefined;
  /** A newer one that is not signed yet; undefined when there is none. */
  readonly unsigned: readonly AuditedFile[] | undefined;
  /** An entry says that it was deleted, after all its digests. */
  readonly deletion: 'signed' | 'unsigned' | undefined;
}

/** What is kept of a recording: text, which takes a fraction of the memory that objects do. */
interface Kept {
  signed: string | undefined;
  unsigned: string | undefined;
  deletion: 'signed' | 'unsigned' | undefined;
  isFound: boolean;
}

const OPENED = Buffer.from('"action":"audit_opened"');
const CLOSED = Buffer.from('"action":"audit_closed"');
const WAITING = Buffer.from('"action":"digests_waiting"');

/** The recordings that an audit has entries of, by the folder as the audit names it. */
export class AuditedRecordings {
  readonly #recordings = new Map<string, Kept>();
  #isClosed = false;
  #isSomeWaiting = false;

  /** Takes the next entry of the audit. */
  take(line: Buffer, isSigned: boolean): void {
    if (isSigned) this.#isClosed = line.includes(CLOSED);
    if (line.includes(OPENED)) this.#isSomeWaiting = false;
    else if (line.includes(WAITING)) this.#isSomeWaiting = true;
    const entry = recordingEntry(line);
    if (entry === undefined) return;
    const { action, folder, files } = entry;
    const kept = this.#recordings.get(folder) ?? EMPTY();
    this.#recordings.set(folder, kept);
    if (action === 'recording_deleted') {
      kept.deletion = isSigned ? 'signed' : 'unsigned';
      return;
    }
    kept.deletion = undefined;
    kept.unsigned = isSigned ? undefined : JSON.stringify(files);
    if (isSigned) kept.signed = JSON.stringify(files);
  }

  /** The audit was closed, and every recording that was finished by then has its digest. */
  get isComplete(): boolean {
    return this.#isClosed && !this.#isSomeWaiting;
  }

  /** What the audit says of the first of these names that it has, which is found from now on. */
  find(names: readonly string[]): AuditedState | undefined {
    const kept = names.flatMap((name) => this.#recordings.get(name) ?? [])[0];
    if (kept === undefined) return undefined;
    kept.isFound = true;
    return stateOf(kept);
  }

  /** The name of another recording with these files; undefined when there is none. */
  nameOf(files: readonly AuditedFile[]): string | undefined {
    const text = JSON.stringify(files);
    for (const [name, { signed, unsigned }] of this.#recordings) if (text === (unsigned ?? signed)) return name;
    return undefined;
  }

  /** Those that have not been found. */
  *missing(): Generator<[name: string, AuditedState]> {
    for (const [name, kept] of this.#recordings) if (!kept.isFound) yield [name, stateOf(kept)];
  }
}

const EMPTY = (): Kept => ({ signed: undefined, unsigned: undefined, deletion: undefined, isFound: false });

function stateOf({ signed, unsigned, deletion }: Kept): AuditedState {
  const files = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as AuditedFile[]));
  return { signed: files(signed), unsigned: files(unsigned), deletion };
}
