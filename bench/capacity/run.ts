import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.js';
import { MEDIA_PATH } from '../../src/simulator/server.js';
import { Child } from './child.js';
import type { GeneratorReport, SubjectKind, SubjectReport } from './messages.js';
import type { CapacityOptions } from './options.js';
import { type Load, TAIL_TICKS, TICK_US, type Timetable } from './plan.js';

/** One subject under one load, once. */
export interface RunReport {
  readonly subject: SubjectReport;
  readonly generator: GeneratorReport;
}

const MODULE: Readonly<Record<SubjectKind, string>> = {
  node: 'node-process',
  bareWs: 'bare-ws-process',
  tutorial: 'tutorial-process',
};

const START_PATIENCE_MS = 120_000;
/** Beyond the length of the run itself; a saturated subject is late with everything. */
const END_PATIENCE_MS = 60_000;
/** Between the order to begin and the first packet: the generator lays out its buffers. */
const LEAD_US = 1_500_000;

/** Starts generator and subject as processes of their own, measures, and stops both. */
export async function runSubject(kind: SubjectKind, load: Load, options: CapacityOptions): Promise<RunReport> {
  const out = mkdtempSync(join(tmpdir(), 'trunkline-bench-'));
  const profiling = kind === 'node' && options.profile !== undefined;
  const generator = new Child('generator-process');
  const subject = new Child(MODULE[kind], profiling ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : []);
  try {
    generator.tell({ kind: 'generate', settings: { load } });
    const { port } = await generator.answer('listening', START_PATIENCE_MS);
    const settings = {
      load,
      apiUrl: `http://127.0.0.1:${port}`,
      mediaUrl: `ws://127.0.0.1:${port}${MEDIA_PATH}`,
      out,
      record: options.record,
      native: options.native,
    };
    subject.tell({ kind: 'connect', settings });
    // Should the subject fail to come up, its reason is what there is to say, not that nobody subscribed.
    const { phaseUs } = await Promise.race([generator.answer('subscribed', START_PATIENCE_MS), subject.failed]);
    const timetable: Timetable = { startUs: systemClock.nowUs() + LEAD_US, phaseUs };
    generator.tell({ kind: 'begin', timetable });
    subject.tell({ kind: 'begin', timetable });
    const patienceMs = ((load.warmupTicks + load.steadyTicks + TAIL_TICKS) * TICK_US + LEAD_US) / 1e3 + END_PATIENCE_MS;
    const [{ report: measured }, { report: generated }] = await Promise.all([
      subject.answer('measured', patienceMs),
      generator.answer('generated', patienceMs),
    ]);
    return { subject: measured, generator: generated };
  } finally {
    await Promise.all([subject.stop(), generator.stop()]);
    rmSync(out, { recursive: true, force: true });
  }
}

/** CPU of a plain loop over the Opus decoder, a packet. */
export async function runDecodeLoop(load: Load): Promise<number> {
  const child = new Child('decode-process');
  try {
    child.tell({ kind: 'generate', settings: { load } });
    return (await child.answer('decoded', START_PATIENCE_MS)).cpuMicrosPerPacket;
  } finally {
    await child.stop();
  }
}
