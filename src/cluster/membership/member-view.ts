import { createHash } from 'node:crypto';
import type { NodeEntry } from '../entries.js';

/** A lease as it was last seen. */
export interface Member extends NodeEntry {
  readonly revision: number;
  /** When that revision was received. */
  readonly receivedUs: number;
}

/** Digests of earlier views that still count: a peer that is behind by some changes knows us all the same. */
const DIGESTS = 64;

/** The instances that hold a lease, in one view of the store. */
export class MemberView {
  readonly #self: string;
  readonly #members = new Map<string, Member>();
  /** Instances whose lease has ended, and when that was seen. */
  readonly #ended = new Map<string, number>();
  #lastEndedUs = Number.NEGATIVE_INFINITY;
  readonly #knowsUs = new Set<string>();
  readonly #digests = new Set<string>();
  #digest = '';
  #ids: readonly string[] = [];

  constructor(self: string) {
    this.#self = self;
  }

  /** Digest of the instances in the view. */
  get digest(): string {
    return this.#digest;
  }

  get size(): number {
    return this.#members.size;
  }

  get(instance: string): Member | undefined {
    return this.#members.get(instance);
  }

  /** Those that hold a lease, we among them, in the order of their ids. */
  all(): Member[] {
    return this.#ids.flatMap((id) => this.#members.get(id) ?? []);
  }

  *peers(): IterableIterator<Member> {
    for (const member of this.#members.values()) if (member.instance !== this.#self) yield member;
  }

  /** Whether the lease of an instance is known to have ended: it never writes again. */
  hasEnded(instance: string): boolean {
    return this.#ended.has(instance);
  }

  /** When a lease was last seen to have ended. */
  get lastEndedUs(): number {
    return this.#lastEndedUs;
  }

  /** Whether an instance has confirmed that it knows us, so that it would ask for our consent. */
  knowsUs(instance: string): boolean {
    return this.#knowsUs.has(instance);
  }

  /** Returns whether an instance came or went. */
  observe(entry: NodeEntry, revision: number, nowUs: number): boolean {
    const { instance, state } = entry;
    const known = this.#members.get(instance);
    if (known !== undefined && revision <= known.revision) return false;
    const isOver = state === 'left' || state === 'revoked';
    if (isOver) {
      if (this.#ended.has(instance)) return false;
      this.#ended.set(instance, nowUs);
      this.#knowsUs.delete(instance);
      if (!this.#members.delete(instance)) return false;
      this.#lastEndedUs = nowUs;
      this.#changed();
      return true;
    }
    if (this.#ended.has(instance)) return false;
    this.#members.set(instance, { ...entry, revision, receivedUs: nowUs });
    if (known === undefined) this.#changed();
    // A view that includes us has one of the digests that our view has had since we joined.
    if (this.#digests.has(entry.members)) this.#knowsUs.add(instance);
    return known === undefined || known.state !== state;
  }

  #changed(): void {
    const ids = [...this.#members.keys()].toSorted();
    this.#ids = ids;
    this.#digest = createHash('sha256').update(ids.join('\n')).digest('base64url').slice(0, 16);
    if (!this.#members.has(this.#self)) return;
    this.#digests.add(this.#digest);
    for (const oldest of this.#digests) {
      if (this.#digests.size <= DIGESTS) break;
      this.#digests.delete(oldest);
    }
  }
}
