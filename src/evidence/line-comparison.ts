import { LEAF_BYTES } from './log-files.js';

/** One thing that is not as it was signed. */
export interface Fault {
  /** A file, with the line where that is known. */
  readonly where: string;
  readonly what: string;
}

/** A stretch of lines that are no entries of the log, which has not been explained yet. */
interface Foreign {
  readonly line: number;
  count: number;
}

/** Lines at the beginning of a file among which one is looked for that stands in the log. */
const ANCHOR_LINES = 100;

/**
 * Compares the lines of the audit's files with the signed hashes, in the order of the entries. After a difference it goes
 * on at the next line that is in the log, so that each change is told by itself.
 */
export class LineComparison {
  readonly faults: Fault[] = [];
  readonly #leaves: Buffer;
  /** By entry: 1 when a line with its hash has been found. */
  readonly #found: Uint8Array;
  #name = '';
  #line = 0;
  #next = 0;
  #foreign: Foreign | undefined;
  /** The line that was taken last is an entry of the log. */
  isEntry = false;

  /** @param leaves the signed hashes, and nothing behind them. */
  constructor(leaves: Buffer) {
    this.#leaves = leaves;
    this.#found = new Uint8Array(leaves.length / LEAF_BYTES);
  }

  /** The entry with which a file begins, by the hashes of its first lines; −1 when none of them is in the log. */
  beginningOf(first: readonly Buffer[]): number {
    for (let line = 0; line < Math.min(first.length, ANCHOR_LINES); line++) {
      const entry = this.#indexOf(first[line] as Buffer, 0);
      if (entry >= 0) return Math.max(0, entry - line);
    }
    return -1;
  }

  begin(name: string, entry: number): void {
    this.#name = name;
    this.#line = 0;
    this.#next = entry;
    this.#foreign = undefined;
  }

  /** Takes the next line of the file. False once all signed entries have been passed, for the lines behind them. */
  take(leaf: Buffer): boolean {
    this.#line++;
    const entry = this.#entryOf(leaf);
    this.isEntry = entry >= 0;
    if (entry < 0) {
      if (this.#next >= this.#found.length && this.#foreign === undefined) return false;
      if (this.#foreign === undefined) this.#foreign = { line: this.#line, count: 0 };
      this.#foreign.count++;
      return true;
    }
    this.#explain(entry);
    this.#found[entry] = 1;
    this.#next = entry + 1;
    return true;
  }

  /** Whether a line with this hash is still to come. */
  has(leaf: Buffer): boolean {
    return this.#entryOf(leaf) >= 0;
  }

  /** It is none, and stands where entries should. */
  get isForeign(): boolean {
    return !this.isEntry && this.#foreign !== undefined;
  }

  /** The line that was taken last has no newline at its end. */
  cut(line: number): void {
    this.#tell(line, 'The end of the line was cut off.');
  }

  /** The file ends. @param isLast no file follows it, so that lines which replaced the last entries are told as changed. */
  end(isLast: boolean): void {
    if (this.#foreign === undefined) return;
    this.#explain(isLast ? this.#found.length : Math.min(this.#next + this.#foreign.count, this.#found.length));
  }

  /** Reports the entries that no line was found for. */
  finish(): void {
    const size = this.#found.length;
    for (let entry = this.#found.indexOf(0); entry >= 0; entry = this.#found.indexOf(0, entry)) {
      const found = this.#found.indexOf(1, entry);
      const end = found < 0 ? size : found;
      const which = end - entry === 1 ? `Entry ${entry} is` : `Entries ${entry} to ${end - 1} are`;
      this.faults.push({ where: 'audit', what: `${which} missing: deleted, or in a file that is not here.` });
      entry = end;
    }
  }

  /** Puts together what lies before `entry`: lines that are no entries, and entries that have no line. */
  #explain(entry: number): void {
    const foreign = this.#foreign;
    this.#foreign = undefined;
    if (foreign === undefined) return;
    const changed = Math.min(foreign.count, entry - this.#next);
    for (let i = 0; i < changed; i++) {
      this.#found[this.#next + i] = 1;
      this.#tell(foreign.line + i, `Entry ${this.#next + i} was changed.`);
    }
    this.#next += changed;
    for (let i = changed; i < foreign.count; i++)
      this.#tell(foreign.line + i, 'The line was inserted: it is no entry.');
  }

  #tell(line: number, what: string): void {
    this.faults.push({ where: `${this.#name}:${line}`, what });
  }

  #entryOf(leaf: Buffer): number {
    const at = this.#next * LEAF_BYTES;
    if (at >= this.#leaves.length) return -1;
    if (leaf.compare(this.#leaves, at, at + LEAF_BYTES) === 0) return this.#next;
    return this.#indexOf(leaf, this.#next);
  }

  #indexOf(leaf: Buffer, from: number): number {
    let at = this.#leaves.indexOf(leaf, from * LEAF_BYTES);
    while (at >= 0 && at % LEAF_BYTES !== 0) at = this.#leaves.indexOf(leaf, at + 1);
    return at < 0 ? -1 : at / LEAF_BYTES;
  }
}
