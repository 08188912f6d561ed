import process from 'node:process';
import { InteractionView } from '../../src/control/live/interaction-view.js';
import { NodeMetrics } from '../../src/control/metrics/node-metrics.js';
import { systemClock } from '../../src/core/clock.js';
import { US_PER_MS } from '../../src/core/units.js';
import { createNode } from '../../src/node/create-node.js';
import { nodeParts } from '../../src/node/parts/node-parts.js';
import type { Source, SourceContext } from '../../src/sources/source.js';
import { median } from '../capacity/report/statistics.js';
import { describeProvenance, type Provenance, provenanceLines } from '../provenance.js';

export interface ScrapeOptions {
  readonly streams: number;
  /** A few scrapes that show that it works, not how long they take. */
  readonly smoke: boolean;
}

/** What one scrape does, and what as much time without one. */
interface Cost {
  /** CPU of the process, whose other threads have nothing to do, in milliseconds; the median. */
  readonly cpuMs: number;
  /** Of the main thread, the longest stretch without a turn of the event loop, in milliseconds; the median, and the worst of all. */
  readonly longestMs: number;
  readonly worstMs: number;
}

export interface ScrapeReport extends Provenance {
  readonly streams: number;
  readonly scrapes: number;
  readonly bytes: number;
  readonly samples: number;
  readonly scrape: Cost;
  /** The same node, for as long as a scrape takes, without one. */
  readonly baseline: Cost;
}

const SCRAPES = 30;
const SMOKE_SCRAPES = 3;
const PACKETS = 25;
const PAYLOAD_BYTES = 160;
/** A scrape that comes sooner gets the text of the last one. */
const APART_MS = 300;

/** Opens streams and sends half a second of packets in each, so that there is something to be counted everywhere. */
class Streams implements Source {
  readonly name = 'bench';
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  async start({ ingest, clock }: SourceContext): Promise<void> {
    const format = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
    const streams = Array.from({ length: this.#count }, (_, n) => ingest.openStream(`call-${n}`, format));
    const { batch } = ingest;
    for (let sequence = 0; sequence < PACKETS; sequence++) {
      for (const stream of streams) {
        const offset = batch.claim(PAYLOAD_BYTES);
        if (offset < 0) continue;
        batch.bytes.fill(0x90, offset, offset + PAYLOAD_BYTES);
        const { columns, row } = batch;
        columns.channel[row] = stream * 2;
        columns.wireSequence[row] = sequence;
        columns.wireTimestamp[row] = sequence * PAYLOAD_BYTES;
        columns.arrivalUs[row] = clock.nowUs();
        columns.flags[row] = 0;
        columns.payloadOffset[row] = offset;
        columns.payloadLength[row] = PAYLOAD_BYTES;
        batch.add(1);
      }
      ingest.submit();
      await pause(20);
    }
  }

  async drain(): Promise<void> {}
  async close(): Promise<void> {}

  status(): object {
    return {};
  }

  pause(): boolean {
    return false;
  }

  resume(): boolean {
    return false;
  }

  end(): boolean {
    return false;
  }
}

/** Scrapes a node with many streams, in turn with as much time without a scrape. */
export async function runScrape({ streams, smoke }: ScrapeOptions): Promise<ScrapeReport> {
  const provenance = describeProvenance(smoke);
  const node = await createNode({
    start: false,
    sources: [new Streams(streams)],
    engine: { maxStreams: streams },
  });
  const interactions = new InteractionView(systemClock);
  const metrics = new NodeMetrics({
    ...nodeParts(node),
    clock: systemClock,
    interactions,
    stats: () => node.stats(),
    health: () => node.health(),
  });
  for (const sink of [interactions, metrics.sink]) await node.addSink(sink);
  metrics.start();
  await node.start();
  try {
    const scrapes = smoke ? SMOKE_SCRAPES : SCRAPES;
    const [scrape, baseline] = [new Stretches(), new Stretches()];
    let text = '';
    for (let n = 0; n < scrapes; n++) {
      await pause(APART_MS);
      const beganUs = systemClock.nowUs();
      await scrape.work(async () => {
        ({ text } = await metrics.scrape());
      });
      const tookMs = (systemClock.nowUs() - beganUs) / US_PER_MS;
      await baseline.work(() => pause(tookMs));
      await pause(APART_MS);
      await scrape.turns(() => metrics.scrape());
      await baseline.turns(() => pause(tookMs));
    }
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
    const bytes = Buffer.byteLength(text);
    return { ...provenance, streams, scrapes, bytes, samples, scrape: scrape.read(), baseline: baseline.read() };
  } finally {
    metrics.close();
    await node.close();
  }
}

class Stretches {
  readonly #cpuMs: number[] = [];
  readonly #longestMs: number[] = [];

  /** How much the process works meanwhile. */
  async work(run: () => Promise<unknown>): Promise<void> {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    this.#cpuMs.push((user + system) / US_PER_MS);
  }

  /** The longest stretch between two turns meanwhile. An event loop that always turns never waits. */
  async turns(run: () => Promise<unknown>): Promise<void> {
    let isOver = false;
    let longestUs = 0;
    let lastUs = systemClock.nowUs();
    const look = (): void => {
      const nowUs = systemClock.nowUs();
      longestUs = Math.max(longestUs, nowUs - lastUs);
      lastUs = nowUs;
      if (!isOver) setImmediate(look);
    };
    setImmediate(look);
    await run();
    await new Promise((resolve) => setImmediate(resolve));
    isOver = true;
    this.#longestMs.push(longestUs / US_PER_MS);
  }

  read(): Cost {
    return {
      cpuMs: rounded(median(this.#cpuMs)),
      longestMs: rounded(median(this.#longestMs)),
      worstMs: rounded(Math.max(...this.#longestMs)),
    };
  }
}

export function scrapeTable(report: ScrapeReport): string {
  const { streams, scrapes, bytes, samples, scrape, baseline } = report;
  const line = (name: string, { cpuMs, longestMs, worstMs }: Cost): string =>
    `${name.padEnd(16)}${`${cpuMs}`.padStart(8)}${`${longestMs}`.padStart(10)}${`${worstMs}`.padStart(8)}`;
  return [
    ...provenanceLines(report),
    `${streams} streams, ${scrapes} scrapes of ${samples} samples, ${bytes} bytes. In ms.`,
    `${''.padEnd(16)}${'CPU'.padStart(8)}${'longest'.padStart(10)}${'worst'.padStart(8)}`,
    line('scrape', scrape),
    line('without', baseline),
  ].join('\n');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
