import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type VerifyReport, verifyFolder } from '../../src/archive/verification/verify-recordings.js';
import { ManualClock } from '../../src/core/clock.js';
import { signerOf } from '../../src/evidence/signed-note.js';
import { FLAG } from '../../src/ring/layout.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { OWNER_ONLY } from '../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import { repairUnfinished } from '../../src/sinks/recorder/repair.js';
import { ArchiveRig } from '../support/archive/archive-rig.js';
import { CrashingProcess, installCrashingDisk } from '../support/archive/crashing-disk.js';
import { streamInfo } from '../support/frames.js';
import { below, mulberry32, type Random } from '../support/random.js';
import { encryptFor, type Person, person } from '../support/recorder/opening.js';
import { RecorderRig, tone } from '../support/recorder/recorder-rig.js';

/** TRUNKLINE_CRASH_RUNS=10000 takes some minutes; with TMPDIR=/dev/shm fewer. */
const RUNS = Number(process.env['TRUNKLINE_CRASH_RUNS'] ?? 16);
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? 20_261_129);
/** They wait for each other's timers and files. */
const PARALLEL = 16;
/** More changes than a process makes that lives on. */
const LONG = 120;
const KEEP_A_DAY = { keepDays: 1, rules: [] };
const signer = signerOf('test-node', Buffer.alloc(32, 7));

let folder: string;
let restore: () => void;
let owner: Person;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-honest-'));
  owner = await person();
  restore = await installCrashingDisk();
});

afterAll(() => {
  restore();
  rmSync(folder, { recursive: true, force: true });
});

const counts = { starts: 0, killed: 0, verified: 0, deleted: 0, unfinished: 0, waiting: 0, deleting: 0, unsigned: 0 };

/** One run: a folder, and the processes that write to it one after another. */
class Run {
  readonly directory = mkdtempSync(join(folder, 'run-'));
  readonly #random: Random;
  readonly #about: string;
  readonly #isEncrypted: boolean;
  readonly #witnesses = new Set<string>();
  readonly #faults: string[] = [];
  #start = 0;
  #calls = 0;

  constructor(random: Random, about: string) {
    this.#random = random;
    this.#about = about;
    this.#isEncrypted = random() < 0.3;
  }

  /** Some processes that are killed, and one that is not. */
  async run(): Promise<void> {
    for (let left = 1 + below(this.#random, 3); left > 0; left--) {
      await this.#process(this.#random() < 0.9 ? below(this.#random, LONG) : Number.POSITIVE_INFINITY);
      await this.#check();
    }
    // A recording that was changed while its digest was made has it at the next start.
    let { recordings, unsigned } = await this.#restart();
    for (let more = 0; more < 3 && recordings.waiting > 0; more++) ({ recordings, unsigned } = await this.#restart());
    const nothing = { waiting: 0, unfinished: 0, deleting: 0, deletedUnsigned: 0 };
    expect(unsigned, this.#about).toBe(0);
    expect(recordings, this.#about).toMatchObject({ ...nothing, unsigned: 0 });
    expect(this.#faults, this.#about).toEqual([]);
    counts.verified += recordings.verified;
    counts.deleted += recordings.deleted;
    rmSync(this.directory, { recursive: true });
  }

  async #restart(): Promise<VerifyReport> {
    await this.#process(Number.POSITIVE_INFINITY, 0);
    return this.#check();
  }

  async #process(diesAt: number, calls = 1 + below(this.#random, 4)): Promise<void> {
    const crashing = new CrashingProcess(diesAt, this.#random);
    counts.starts++;
    this.#start++;
    await crashing.run(() => this.#live(crashing, calls));
    if (crashing.changes > diesAt) counts.killed++;
    await crashing.closeFiles(this.directory);
    this.#markDead();
  }

  /** What a node does, from its start to its end. */
  async #live(crashing: CrashingProcess, calls: number): Promise<void> {
    const { directory } = this;
    const sinceMs = Date.now();
    const onFault = (message: string): void => {
      if (!crashing.isDead) this.#faults.push(message);
    };
    const repairing = this.#repair();
    repairing.catch(() => {});
    const intervalMs = 1 + below(this.#random, 30);
    const checkpoints = await CheckpointWriter.open({ directory, fileMode: 0o600, signer, intervalMs, onFault });
    const log = new AuditLog({ file: join(directory, 'audit.jsonl'), region: 'here', checkpoints, onFault });
    await log.open();
    const archive = new ArchiveRig(directory, log, sinceMs, undefined, KEEP_A_DAY);
    const opened = archive.worker.open();
    opened.catch(() => {});
    const recorder = new RecorderRig({
      outDir: directory,
      startUs: this.#start * 1e9,
      recordings: 8,
      options: { isArchived: true, ...(this.#isEncrypted ? encryptFor([owner], 8) : {}) },
    });
    for (let call = 0; call < calls; call++) {
      await this.#call(recorder, archive);
      if (this.#random() < 0.2) await log.reopen();
    }
    // So that what is due is deleted.
    for (let turns = below(this.#random, 60); turns > 0; turns--) await turn();
    recorder.recorder.close();
    await repairing;
    await opened;
    await archive.worker.close(600_000);
    await log.close();
    // The numbers of files that were closed for a dead process may be those of others.
    for (const fault of archive.faults) if (!fault.includes('EBADF')) onFault(fault);
  }

  async #repair(): Promise<void> {
    const index = new UnfinishedIndex(this.directory, thisWriter(), OWNER_ONLY, this.#start * 1e9 + 1, true);
    // What has no manifest yet is taken for dead half a minute after its last write.
    const clock = new ManualClock(0, Date.now() + 60_000);
    await repairUnfinished(this.directory, { archiveIndex: index, clock });
  }

  /** Half of them are so old that they are deleted at the next start. */
  async #call(recorder: RecorderRig, archive: ArchiveRig): Promise<void> {
    const startedAtMs = this.#random() < 0.5 ? 1_700_000_000_000 : Date.now();
    const stream = this.#calls % 8;
    recorder.open(streamInfo({ stream, interactionId: `call-${this.#calls++}`, startedAtMs }));
    const frames = 1 + below(this.#random, 12);
    for (let n = 0; n < frames; n++) {
      recorder.frame(stream, 0, n * 160, tone(n * 160, 160), this.#random() < 0.2 ? FLAG.SILENT : 0);
      recorder.work(this.#random() < 0.3 ? 800_000 : 20_000);
      if (this.#random() < 0.05) recorder.crash();
      if (this.#random() < 0.2) await turn();
    }
    if (this.#random() < 0.15) return;
    recorder.closeStream(stream, { endedAtMs: startedAtMs + frames * 20 });
    recorder.work(20_000);
    archive.worker.look();
    for (let turns = below(this.#random, 20); turns > 0; turns--) await turn();
  }

  /** No alarm, whatever the moment of the kill. */
  async #check(): Promise<VerifyReport> {
    const witness = this.#checkpoint();
    const report = await verifyFolder(this.directory, { publicKey: signer, witnesses: [...this.#witnesses] });
    // A process that was killed before its first checkpoint has no log yet.
    const faults = report.faults.filter(({ what }) => witness !== undefined || what !== 'The file is missing.');
    expect(faults, `${this.#about}, start ${this.#start}`).toEqual([]);
    if (witness !== undefined) this.#witnesses.add(witness);
    const { unfinished, waiting, deleting } = report.recordings;
    counts.unfinished += unfinished;
    counts.waiting += waiting;
    counts.deleting += deleting;
    counts.unsigned += report.unsigned > 0 ? 1 : 0;
    return report;
  }

  #checkpoint(): string | undefined {
    const path = join(this.directory, 'audit.checkpoint');
    return readdirSync(this.directory).includes('audit.checkpoint') ? readFileSync(path, 'utf8') : undefined;
  }

  /** All processes of the test have the same id and start time: those that were killed get another one. */
  #markDead(): void {
    for (const entry of readdirSync(this.directory, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile() || !/\.log$|^session\.json\.partial/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path, 'utf8');
      const dead = text.replace(
        /("startTicks": ?)"(\d+)"/,
        (_, key: string, ticks: string) => `${key}"${'1'.repeat(ticks.length)}"`,
      );
      if (dead !== text) writeFileSync(path, dead);
    }
  }
}

describe('honest nodes that are killed at any of their changes to the disk', () => {
  it(`never raise an alarm: ${RUNS} runs`, { timeout: 7_200_000 }, async () => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < RUNS) {
        const run = next++;
        await new Run(mulberry32(SEED + run), `TRUNKLINE_SEED=${SEED + run}`).run();
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, RUNS) }, worker));
    process.stdout.write(`honest runs with kills, seed ${SEED}: ${JSON.stringify(counts)}, no false alarm\n`);
    expect(counts.killed).toBeGreaterThan(RUNS / 2);
    expect(counts.verified).toBeGreaterThan(RUNS / 2);
    if (RUNS >= 100) expect(counts.deleted).toBeGreaterThan(0);
  });
});
