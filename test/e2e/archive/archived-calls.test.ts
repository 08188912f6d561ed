import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../../src/simulator/genesys/simulator.js';
import {
  type FoundRecording,
  identityOf,
  manifestMs,
  recordingsInBucket,
  recordingsOnDisk,
} from '../../support/archive/archived-calls.js';
import { type Fault, FaultProxy } from '../../support/archive/fault-proxy.js';
import { CREDENTIALS, S3Server, serverKind } from '../../support/archive/s3-server.js';
import { MAIN, TrunklineProcess } from '../../support/cli/trunkline-process.js';
import { below, mulberry32, type Random } from '../../support/random.js';
import { decodeFlac, hasFlac } from '../../support/recorder/flac-program.js';
import { openWith, person } from '../../support/recorder/opening.js';
import { mountTiny, unmount } from '../../support/recorder/tiny-disk.js';

// The full run is for once in a while: TRUNKLINE_E2E=full; the same test, smaller, is for everyone.
const FULL = process.env['TRUNKLINE_E2E'] === 'full';
const CALLS = FULL ? 200 : 12;
const KILLS = FULL ? 20 : 2;
/** Of each call, and over which they begin. */
const CALL_SECONDS = FULL ? 10 : 4;
const SPREAD_SECONDS = FULL ? 100 : 2;
/** Of this time the bucket is unavailable for a third. */
const OUTAGE_CYCLE_MS = FULL ? 9_000 : 2_400;
/** Packets between two kills, about. */
const KILL_PACKETS = (CALLS * CALL_SECONDS * 50) / (2 * KILLS + 2);
/** Least and most milliseconds of a node between two kills once all calls are over. */
const LATE_KILL_MS = { least: 300, most: 2_000 };
const DISK_KILOBYTES = 64 << 10;
const QUEUE = 'queue-1';
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? 20_261_129);
const KIND = serverKind();
/**
 * Most that a kill costs of each recording; a second, where the machine gives the node the processor at all times. That it
 * does is asked of the machine of a full run only.
 */
const KILL_COST_MS = FULL ? 3_000 : Number.POSITIVE_INFINITY;
const OWNER = await person();
/** What else the node does with its recordings. */
const FEATURES: readonly string[] = ['--format', 'flac', '--encrypt-to', OWNER.recipient];

class Run {
  readonly random: Random = mulberry32(SEED);
  readonly prefix = `e2e-${randomUUID()}`;
  readonly out: string;
  /** On another disk than the recordings, as by default. */
  readonly #keys = mkdtempSync(join(tmpdir(), 'trunkline-keys-'));
  readonly #folder: string;
  readonly #isMounted: boolean;
  readonly server: S3Server;
  readonly proxy: FaultProxy;
  readonly simulator: Simulator;
  node: TrunklineProcess | undefined;
  kills = 0;
  /** How often each call was running when the node was killed. */
  readonly hits = new Map<string, number>();
  /** What all nodes have logged. */
  said = '';

  /** For what the test itself needs. */
  get scratch(): string {
    return join(this.#keys, 'opened');
  }

  constructor(server: S3Server, proxy: FaultProxy, simulator: Simulator) {
    this.server = server;
    this.proxy = proxy;
    this.simulator = simulator;
    const tiny = mountTiny(DISK_KILOBYTES);
    this.#isMounted = tiny !== undefined;
    this.#folder = tiny ?? mkdtempSync(join(tmpdir(), 'trunkline-archived-'));
    this.out = join(this.#folder, 'capture');
  }

  /** Starts a node, also after the one before was killed. */
  start(): void {
    const { apiUrl, mediaUrl } = this.simulator;
    const { bucket } = this.server;
    this.node = new TrunklineProcess(
      [
        ...['capture', '--api-url', apiUrl, '--media-url', mediaUrl, '--queue', QUEUE, '--out', this.out],
        ...['--archive-s3', `s3://${bucket}/${this.prefix}`, '--archive-endpoint', this.proxy.endpoint],
        ...[
          '--archive-delete-local',
          '--record-min-free-megabytes',
          '0',
          '--log-level',
          'warn',
          '--drain-seconds',
          '0',
        ],
        ...['--audit-signing-key', join(this.#keys, 'signing-key'), ...FEATURES],
      ],
      ['ignore', 'pipe', 'pipe'],
      [],
      { ...CREDENTIALS, TRUNKLINE_CONTROL_PORT: '0' },
    );
  }

  /** Kills the node at random moments of its work, and starts it again. */
  async killAtRandom(): Promise<void> {
    let isDone = false;
    void this.simulator.done.then(() => {
      isDone = true;
    });
    while (this.kills < KILLS) {
      const at = this.packetsSent() + KILL_PACKETS * (0.3 + this.random());
      while (this.packetsSent() < at && !isDone) await sleep(10);
      if (isDone) await sleep(LATE_KILL_MS.least + this.random() * (LATE_KILL_MS.most - LATE_KILL_MS.least));
      const running = this.running();
      await this.node?.end('SIGKILL');
      // A call may have begun meanwhile.
      for (const id of new Set([...running, ...this.running()])) this.hits.set(id, (this.hits.get(id) ?? 0) + 1);
      this.said += this.node?.stderr ?? '';
      this.kills++;
      this.start();
    }
  }

  /** The calls of which a node has some, but not all. */
  running(): string[] {
    const all = Object.entries(this.simulator.ledger().interactions);
    return all.flatMap(([id, { sent, state }]) => (sent > 0 && state === 'live' ? [id] : []));
  }

  packetsSent(): number {
    return Object.values(this.simulator.ledger().interactions).reduce((sum, { sent }) => sum + sent, 0);
  }

  /** The bucket fails for a third of the time, in every way that it can. */
  async failNowAndThen(isOver: () => boolean): Promise<void> {
    const faults: readonly Fault[] = [
      ...[{ kind: 'refuse' } as const, { kind: 'hang' } as const, { kind: 'busy' } as const],
      ...[{ kind: 'cut', afterBytes: 20_000 } as const, { kind: 'slow', bytesPerSecond: 30_000 } as const],
    ];
    while (!isOver()) {
      await sleep((OUTAGE_CYCLE_MS * 2) / 3);
      if (isOver()) break;
      this.proxy.become(faults[below(this.random, faults.length)]);
      await sleep(OUTAGE_CYCLE_MS / 3);
      this.proxy.become(undefined);
    }
  }

  /** Fills the disk once, for a second. */
  async fillOnce(): Promise<void> {
    if (!this.#isMounted) return;
    await sleep((SPREAD_SECONDS * 1_000) / 2);
    const ballast = join(this.#folder, 'ballast');
    try {
      writeFileSync(ballast, Buffer.alloc(DISK_KILOBYTES << 10));
    } catch {
      // That is what it is for.
    }
    await sleep(1_000);
    rmSync(ballast, { force: true });
  }

  /** Gives the last node what it needs to upload everything, and ends it. */
  async settle(): Promise<void> {
    this.proxy.become(undefined);
    const isSettled = async (): Promise<boolean> => recordingsOnDisk(this.out).length === 0 && !hasPartial(this.out);
    for (let waited = 0; waited < 60_000 && !(await isSettled()); waited += 200) await sleep(200);
    await this.node?.end('SIGTERM');
    this.said += this.node?.stderr ?? '';
  }

  async close(): Promise<void> {
    if (this.node?.isRunning()) await this.node.end('SIGKILL');
    rmSync(this.#keys, { recursive: true, force: true });
    if (this.#isMounted) unmount(this.#folder);
    else rmSync(this.#folder, { recursive: true, force: true });
  }
}

function hasPartial(out: string): boolean {
  return readdirSync(out, { recursive: true }).some((name) => String(name).includes('session.json.partial'));
}

interface Entry {
  readonly action: string;
  readonly folder?: string;
  readonly interactionId?: string;
  readonly files?: readonly { readonly name: string; readonly sha256: string }[];
}

function auditOf(out: string): Entry[] {
  const files = readdirSync(out).filter((name) => /^audit.*\.jsonl$/.test(name));
  return files.flatMap((file) =>
    readFileSync(join(out, file), 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Entry),
  );
}

/** What a recording is once its owner has opened it; a kill leaves one that does not prove its end. */
function opened({ name, manifest, files }: FoundRecording, folder: string): { wav?: Buffer; flac?: Buffer } {
  expect(Object.keys(files).toSorted(), name).toEqual([manifest.file, 'session.json']);
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, file), bytes);
  const { content, opened, refused } = openWith(folder, OWNER);
  rmSync(folder, { recursive: true });
  expect(refused, name).toBeUndefined();
  expect(opened, name).toEqual({ damage: undefined, isSealed: manifest.encryption?.sealed });
  return manifest.file === 'audio.flac.enc' ? { flac: content } : { wav: content };
}

/** Milliseconds of audio of a recording of one channel at 8 kHz; FLAC by another decoder, where there is one. */
function audioMs(recording: FoundRecording, folder: string): number {
  const { name } = recording;
  const { wav, flac } = opened(recording, folder);
  if (flac !== undefined && wav === undefined) {
    const samples = Number(flac.readBigUInt64BE(18) & 0xf_ffff_ffffn);
    if (hasFlac) expect(decodeFlac(flac).length, name).toBe(samples);
    return samples / 8;
  }
  if (wav === undefined) throw new Error(`${name} has no audio`);
  expect(wav.toString('latin1', 0, 4) + wav.toString('latin1', 8, 16), name).toBe('RIFFWAVEfmt ');
  expect(wav.readUInt32LE(40), name).toBe(wav.length - 44);
  return (wav.length - 44) / 16;
}

describe.skipIf(KIND === undefined)(
  `calls, an archive in ${KIND ?? 'no S3 server'}, and everything that goes wrong`,
  () => {
    // The calls begin by the clock: a machine that starts the node only when they are over gets another try.
    it(`leave each recording in the bucket or on the disk exactly once, whole (seed ${SEED})`, {
      retry: FULL ? 0 : 2,
      timeout: 600_000,
    }, async () => {
      const server = await S3Server.start(KIND ?? 'moto');
      const proxy = await new FaultProxy(server.port).start();
      const simulator = await startSimulator({
        ...{ interactions: CALLS, codec: 'pcmu', seconds: CALL_SECONDS, seed: SEED },
        ...{ queues: [QUEUE], spreadSeconds: SPREAD_SECONDS, leadSeconds: 2 },
      });
      const run = new Run(server, proxy, simulator);
      try {
        let isOver = false;
        run.start();
        const mishaps = [run.killAtRandom(), run.failNowAndThen(() => isOver), run.fillOnce()];
        await simulator.done;
        await mishaps[0];
        isOver = true;
        await Promise.all(mishaps);
        await run.settle();
        await check(run);
      } finally {
        await run.close();
        await simulator.close();
        await proxy.close();
        await server.close();
      }
    });
  },
);

async function check(run: Run): Promise<void> {
  expect(run.kills).toBe(KILLS);
  const inBucket = await recordingsInBucket(run.server, run.prefix);
  const onDisk = recordingsOnDisk(run.out);
  const all = [...inBucket, ...onDisk];
  const ids = all.map(identityOf);
  expect(new Set(ids).size, 'recordings that are there twice').toBe(ids.length);

  // Everything that the audit knows of is somewhere, as it was recorded.
  const entries = auditOf(run.out);
  // The name of a folder is free again once it was deleted.
  const digests: Entry[] = [];
  const current = new Map<string, Entry>();
  for (const entry of entries) {
    const { action, folder = '' } = entry;
    if (action === 'recording_digest') current.set(folder, entry);
    const digest = action === 'recording_deleted' ? current.get(folder) : undefined;
    if (digest !== undefined && current.delete(folder)) digests.push(digest);
  }
  digests.push(...current.values());
  expect(digests.length).toBe(all.length);
  const digestsFound = all.map(({ files }) =>
    digestKey(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)])),
  );
  const digestsKept = digests.map(({ files = [] }) => digestKey(files.map(({ name, sha256 }) => [name, sha256])));
  expect(digestsFound.toSorted()).toEqual(digestsKept.toSorted());

  // Each opens, and has the length that it should have.
  const recordedMs = new Map<string, number>();
  expect(all.every(({ manifest }) => manifest.encryption !== undefined)).toBe(true);
  for (const recording of all) {
    const { manifest } = recording;
    const lengthMs = audioMs(recording, run.scratch);
    if (manifest.incomplete !== true) expect(Math.abs(lengthMs - manifestMs(manifest)), recording.name).toBeLessThan(1);
    recordedMs.set(manifest.interactionId, (recordedMs.get(manifest.interactionId) ?? 0) + manifestMs(manifest));
  }
  let whole = 0;
  let mostLostMs = 0;
  for (const [id, { sent }] of Object.entries(run.simulator.ledger().interactions)) {
    const parts = all.filter(({ manifest }) => manifest.interactionId === id);
    const missingMs = sent * 20 - (recordedMs.get(id) ?? 0);
    if (!run.hits.has(id) && parts.every(({ manifest }) => manifest.endReason !== 'interrupted')) {
      // Longer where a starved simulator was late: that is a sender that stood still.
      expect(missingMs, id).toBeLessThanOrEqual(0);
      expect(parts, id).toHaveLength(sent > 0 ? 1 : 0);
      whole++;
    } else {
      expect(missingMs, id).toBeLessThan(KILL_COST_MS * (run.hits.get(id) ?? 1));
      mostLostMs = Math.max(mostLostMs, missingMs);
    }
  }
  const verified = spawnSync(process.execPath, [MAIN, 'verify', run.out], { encoding: 'utf8' });
  process.stdout.write(
    `${run.said}${all.length} recordings of ${CALLS} calls, ${inBucket.length} in the bucket, ${onDisk.length} on the disk, ` +
      `${whole} calls whole, ${mostLostMs} ms lost of another at the most; ${entries.filter(({ action }) => action === 'recording_repaired').length} repaired; ` +
      `verify: ${verified.stdout.trim().split('\n').at(-1)}\n`,
  );
  expect(verified.status, verified.stdout + verified.stderr).toBe(0);
  // How many calls no kill hits depends on how long a node takes to start; some there must be, to be compared exactly.
  if (FULL) expect(whole).toBeGreaterThan(0);
}

function digestKey(files: readonly (readonly [name: string, sha256: string])[]): string {
  return files
    .map(([name, digest]) => `${name} ${digest}`)
    .toSorted()
    .join('\n');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
