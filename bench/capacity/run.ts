import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.js';
import { US_PER_MS } from '../../src/core/units.js';
import { LEAD_US, type Load, type Timetable } from './load/plan.js';
import type { CapacityOptions, Undertaking } from './options.js';
import { Child } from './processes/child.js';
import type { GeneratorReport, OpusImplementation, SubjectKind, SubjectReport } from './processes/messages.js';
import { Profiler } from './processes/profiler.js';
import { SOURCES } from './sources.js';

/** One subject under one load, once. */
export interface RunReport {
  readonly subject: SubjectReport;
  readonly generator: GeneratorReport;
}

/** How the node is when it is what others are compared with. */
const PLAIN = {
  record: false,
  encrypt: false,
  native: 'auto',
  scrape: false,
  eventClients: 0,
  listeners: 0,
  consoles: 0,
} as const;
/** To start, and to open every session. */
const START_PATIENCE_MS = 120_000;
/** Beyond the length of the run itself; a saturated subject is late with everything. */
const END_PATIENCE_MS = 60_000;

/** Starts generator and subject as processes of their own, measures, and stops both. */
export async function runSubject(
  kind: SubjectKind,
  { load, warmupUs, steadyUs }: Undertaking,
  options: CapacityOptions,
): Promise<RunReport> {
  const { profile } = options;
  // What encryption costs is what it costs beside recording.
  const plain = options.encrypt ? { ...options, encrypt: false } : PLAIN;
  const { record, encrypt, native, scrape, eventClients, listeners, consoles } = kind === 'plain' ? plain : options;
  const { consumer } = options;
  const settings = { kind, load, record, encrypt, native, scrape, eventClients, listeners, consoles, consumer };
  const out = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  const profiler = kind === 'node' && profile !== undefined ? new Profiler(profile) : undefined;
  const generator = new Child('generator-process');
  const subject = new Child('subject-process', profiler?.execArgv);
  const generate = (peer: string): void => generator.tell({ kind: 'generate', load, peer });
  const receive = (peer: string): void => subject.tell({ kind: 'receive', settings: { ...settings, out }, peer });
  const { listens } = SOURCES[load.source];
  const [server, client] = listens === 'generator' ? [generator, subject] : [subject, generator];
  try {
    (listens === 'generator' ? generate : receive)('');
    const { url } = await server.answer('listening', START_PATIENCE_MS);
    (listens === 'generator' ? receive : generate)(url);
    // When the subject fails to start, report its reason and not a time-out of the generator.
    const openingMs = (load.streams / load.openRate) * 1e3;
    const { zeroUs } = await Promise.race([generator.answer('ready', START_PATIENCE_MS + openingMs), subject.failed]);
    const fromUs = Math.round(systemClock.nowUs()) + LEAD_US + warmupUs;
    const timetable: Timetable = { zeroUs, tickUs: load.tickUs, fromUs, toUs: fromUs + steadyUs };
    generator.tell({ kind: 'begin', timetable });
    subject.tell({ kind: 'begin', timetable });
    const patienceMs = (LEAD_US + warmupUs + steadyUs) / US_PER_MS + openingMs + END_PATIENCE_MS;
    const [{ report: measured }, { report: generated }] = await Promise.all([
      subject.answer('measured', patienceMs),
      generator.answer('generated', patienceMs),
      profiler?.record(subject.pid, fromUs, timetable.toUs),
    ]);
    return { subject: measured, generator: generated };
  } finally {
    // The side that connected closes first, as real clients do.
    await client.stop();
    await server.stop();
    rmSync(out, { recursive: true, force: true });
  }
}

/** CPU of a plain loop over the Opus decoder, per packet; undefined when the loop cannot be built. */
export async function runDecodeLoop(load: Load, decoder: OpusImplementation): Promise<number | undefined> {
  const child = new Child('decode-process');
  try {
    child.tell({ kind: 'decode', load, decoder });
    return (await child.answer('decoded', START_PATIENCE_MS)).cpuMicrosPerPacket;
  } finally {
    await child.stop();
  }
}
