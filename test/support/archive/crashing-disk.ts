import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';

/**
 * One process as the disk sees it: it is killed at one of its changes to files, perhaps in the middle of a write. What it
 * does afterwards changes nothing: blocking calls throw, and others never end.
 */
export class CrashingProcess {
  /** Changes that it has made. */
  changes = 0;
  isDead = false;
  readonly #diesAt: number;
  readonly #random: () => number;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #handles = new Set<FileHandle>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #whenDead: Promise<void>;
  #died: () => void = () => {};

  /** @param diesAt the change that it dies at; Infinity for none. */
  constructor(diesAt: number, random: () => number) {
    this.#diesAt = diesAt;
    this.#random = random;
    this.#whenDead = new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  /** Runs what the process does, until that has ended or the process has died. */
  async run(body: () => Promise<void>): Promise<void> {
    await current.run(this, async () => {
      // What a dead process throws means nothing.
      const ended = body().catch((thrown: unknown) => {
        if (!this.isDead) throw thrown;
      });
      await Promise.race([ended, this.#whenDead]);
    });
    this.die();
  }

  /** Waits for what the kernel still does for it, and closes its files, which are those below `directory`. */
  async closeFiles(directory: string): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await turn();
    for (const handle of this.#handles) await handle.close().catch(() => {});
    for (const fd of fs.readdirSync('/proc/self/fd')) {
      try {
        const isOurs = fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
        // One that is being listed is closed at its end.
        if (isOurs && fs.fstatSync(Number(fd)).isFile()) real.closeSync(Number(fd));
      } catch {
        // It was that of readdir.
      }
    }
  }

  /** Nothing more comes of it. */
  die(): void {
    this.isDead = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#died();
  }

  /** How much of a change is made: 1 for all of it, less at the one that the process dies at. */
  nextShare(): number {
    if (this.isDead) return 0;
    if (this.changes++ < this.#diesAt) return 1;
    const share = this.#random() < 0.5 ? 0 : this.#random();
    this.die();
    return share;
  }

  /** A call of its that the kernel is doing. */
  track<T>(promise: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = promise.then(
      (value: unknown) => {
        if (typeof value === 'object' && value !== null && 'fd' in value) this.#handles.add(value as FileHandle);
        this.#underWay.delete(settled);
      },
      () => this.#underWay.delete(settled),
    );
    this.#underWay.add(settled);
    return promise;
  }

  keep(timer: NodeJS.Timeout): NodeJS.Timeout {
    if (this.isDead) clearTimeout(timer);
    else this.#timers.add(timer);
    return timer;
  }
}

/** As they are before anything is patched. */
const real = { ...fs };
const current = new AsyncLocalStorage<CrashingProcess>();
const never = new Promise<never>(() => {});
type Call = (...args: never[]) => unknown;
type Functions = Record<string, Call>;

const killed = (): Error => Object.assign(new Error('EIO: the process is dead'), { code: 'EIO' });
const WRITES = fs.constants.O_CREAT | fs.constants.O_TRUNC;
const opensToChange = (flags: unknown): boolean =>
  typeof flags === 'number' ? (flags & WRITES) !== 0 : /[wa+]/.test(String(flags ?? 'r'));

/** A call that is made as a whole, or not at all. */
function atOnce(original: Call, changes: (args: unknown[]) => boolean = () => true): Call {
  return function (this: unknown, ...args: never[]) {
    const crashing = current.getStore();
    if (crashing !== undefined && (crashing.isDead || changes(args)) && crashing.nextShare() < 1) throw killed();
    return original.apply(this, args);
  };
}

function atOnceLater(original: Call, changes: (args: unknown[]) => boolean = () => true): Call {
  return function (this: unknown, ...args: never[]) {
    const crashing = current.getStore();
    if (crashing === undefined) return original.apply(this, args);
    if ((crashing.isDead || changes(args)) && crashing.nextShare() < 1) return never;
    return crashing.track(original.apply(this, args) as Promise<unknown>);
  };
}

/** The part of a text or of bytes that is still written. */
function partOf(data: unknown, share: number): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data as Uint8Array);
  return bytes.subarray(0, Math.floor(bytes.length * share));
}

/** writeSync(fd, buffer, offset, length, position) or writeSync(fd, text). */
function writing(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    const crashing = current.getStore();
    const share = crashing?.nextShare() ?? 1;
    if (share === 1) return original.apply(this, args);
    const [fd, data, at = 0, length, position] = args as unknown as [number, unknown, number?, number?, number?];
    if (share > 0 && typeof data === 'string') original.apply(this, [fd, partOf(data, share)] as never[]);
    else if (share > 0) {
      const view = data as Int16Array;
      const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      const part = Math.floor((length ?? bytes.length) * share);
      if (part > 0) original.apply(this, [fd, bytes, at, part, position ?? null] as never[]);
    }
    throw killed();
  };
}

/** writevSync(fd, buffers, position), of an encrypted chunk. */
function writingAll(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    const share = current.getStore()?.nextShare() ?? 1;
    if (share === 1) return original.apply(this, args);
    const [fd, buffers, position] = args as unknown as [number, Uint8Array[], number?];
    const part = partOf(Buffer.concat(buffers), share);
    if (part.length > 0) real.writeSync(fd, part, 0, part.length, position ?? null);
    throw killed();
  };
}

/** fs.write(fd, text, encoding, callback), as the destination of the audit calls it. */
function writingLater(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    const crashing = current.getStore();
    if (crashing === undefined) return original.apply(this, args);
    const share = crashing.nextShare();
    const [fd, data] = args as unknown as [number, unknown];
    if (share < 1) return share > 0 ? void real.writeSync(fd, partOf(data, share)) : undefined;
    const done = args.pop() as unknown as (...results: unknown[]) => void;
    void crashing.track(
      new Promise<void>((resolve) => {
        const called = (...results: unknown[]): void => {
          resolve();
          if (!crashing.isDead) done(...results);
        };
        original.apply(this, [...args, called as never]);
      }),
    );
    return undefined;
  };
}

function patch(target: object, name: string, make: (original: Call) => Call): () => void {
  const functions = target as Functions;
  const original = functions[name] as Call;
  functions[name] = make(original);
  return () => {
    functions[name] = original;
  };
}

/** Has every change to files within CrashingProcess.run() go by it; returns what undoes that. */
export async function installCrashingDisk(): Promise<() => void> {
  const handle = await fs.promises.open('/dev/null');
  const ofHandles = Object.getPrototypeOf(handle) as object;
  await handle.close();
  const opening = (at: number) => (args: unknown[]) => opensToChange(args[at]);
  const undo = [
    ...[
      'renameSync',
      'rmSync',
      'unlinkSync',
      'rmdirSync',
      'mkdirSync',
      'ftruncateSync',
      'truncateSync',
      'linkSync',
    ].map((name) => patch(fs, name, (original) => atOnce(original))),
    patch(fs, 'openSync', (original) => atOnce(original, opening(1))),
    patch(fs, 'writeSync', writing),
    patch(fs, 'writevSync', writingAll),
    patch(fs, 'writeFileSync', (original) => atOnce(original)),
    patch(fs, 'write', writingLater),
    // The number may be that of a file of another process by now.
    patch(fs, 'closeSync', closing),
    patch(fs, 'close', closing),
    ...['rename', 'rm', 'unlink', 'rmdir', 'mkdir', 'writeFile', 'link', 'truncate'].map((name) =>
      patch(fs.promises, name, (original) => atOnceLater(original)),
    ),
    patch(fs.promises, 'open', (original) => atOnceLater(original, opening(1))),
    // What is read changes nothing, but a dead process has no files that could be read.
    ...['readFile', 'readdir', 'opendir', 'lstat', 'stat', 'realpath'].map((name) =>
      patch(fs.promises, name, (original) => atOnceLater(original, () => false)),
    ),
    ...['write', 'writeFile', 'appendFile', 'truncate'].map((name) => patch(ofHandles, name, handleWriting)),
    patch(ofHandles, 'close', closingHandle),
    ...['setTimeout', 'setInterval'].map((name) =>
      patch(globalThis, name, (original) => {
        const make = function (this: unknown, ...args: never[]) {
          const timer = original.apply(this, args) as NodeJS.Timeout;
          return current.getStore()?.keep(timer) ?? timer;
        };
        return Object.assign(make, original);
      }),
    ),
  ];
  syncBuiltinESMExports();
  return () => {
    for (const one of undo) one();
    syncBuiltinESMExports();
  };
}

function closing(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    return current.getStore()?.isDead === true ? undefined : original.apply(this, args);
  };
}

function closingHandle(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    return current.getStore()?.isDead === true ? Promise.resolve() : original.apply(this, args);
  };
}

function handleWriting(original: Call): Call {
  return function (this: unknown, ...args: never[]) {
    const crashing = current.getStore();
    const share = crashing?.nextShare() ?? 1;
    if (share === 1) {
      const made = original.apply(this, args) as Promise<unknown>;
      return crashing?.track(made) ?? made;
    }
    const [data] = args as unknown as [unknown];
    const { fd } = this as { fd: number };
    if (share > 0 && (typeof data === 'string' || ArrayBuffer.isView(data))) {
      const [, , , position] = args as unknown as [unknown, number?, number?, number?];
      const bytes = partOf(data, share);
      if (bytes.length > 0) real.writeSync(fd, bytes, 0, bytes.length, typeof position === 'number' ? position : null);
    }
    return never;
  };
}
