import { setImmediate } from 'node:timers/promises';

/** Events in virtual time, in steps of a millisecond. Promises that an event resolves are settled before the next step. */
export class VirtualTime {
  #nowMs = 0;
  readonly #steps = new Map<number, (() => void)[]>();

  get nowUs(): number {
    return this.#nowMs * 1_000;
  }

  after(us: number, work: () => void): void {
    const atMs = this.#nowMs + Math.max(1, Math.round(us / 1_000));
    const step = this.#steps.get(atMs);
    if (step === undefined) this.#steps.set(atMs, [work]);
    else step.push(work);
  }

  async runFor(us: number): Promise<void> {
    const endMs = this.#nowMs + us / 1_000;
    while (this.#nowMs < endMs) {
      this.#nowMs++;
      const step = this.#steps.get(this.#nowMs);
      if (step === undefined) continue;
      this.#steps.delete(this.#nowMs);
      for (const work of step) work();
      await setImmediate();
    }
  }
}
