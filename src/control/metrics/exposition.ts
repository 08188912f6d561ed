import { type Metric, Registry } from 'prom-client';
import type { Clock } from '../../core/clock.js';
import { US_PER_MS } from '../../core/units.js';
import type { Family } from './family.js';

/** How long the event loop waits for a scrape at most, as far as its parts can be cut. */
const SLICE_US = 1 * US_PER_MS;

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Lets the event loop turn whenever a slice of work has taken long enough. */
export class Slices {
  readonly #clock: Clock;
  #beganUs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganUs = clock.nowUs();
  }

  get isOver(): boolean {
    return this.#clock.nowUs() - this.#beganUs >= SLICE_US;
  }

  /** A turn of the event loop; packets are taken in meanwhile. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#beganUs = this.#clock.nowUs();
  }
}

/** Whether a client asks for OpenMetrics rather than for Prometheus's text format; the latter when it has no preference. */
export function wantsOpenMetrics(accept: string): boolean {
  return quality(accept, 'application/openmetrics-text') > quality(accept, 'text/plain');
}

/** Writes metrics with prom-client, in the text format of Prometheus or as OpenMetrics. */
export async function expose(families: readonly Family[], isOpenMetrics: boolean, slices: Slices): Promise<Exposition> {
  const registry = isOpenMetrics ? openMetricsRegistry() : new Registry();
  const texts: string[] = [];
  for (const family of families) {
    // OpenMetrics names a counter without `_total`, which prom-client adds to its samples.
    const name = isOpenMetrics && family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
    registry.registerMetric(asMetric({ ...family, name }));
    texts.push(await registry.getSingleMetricAsString(name));
    if (slices.isOver) await slices.turn();
  }
  const text = isOpenMetrics ? `${texts.join('\n')}\n# EOF\n` : `${texts.join('\n\n')}\n`;
  return { contentType: registry.contentType, text };
}

/** The registry reads name and get() alone; its types want one of prom-client's classes, which count themselves. */
function asMetric({ name, help, type, samples }: Family): Metric {
  const metric = { name, get: async () => ({ name, help, type, values: samples, aggregator: 'sum' }) };
  return metric as unknown as Metric;
}

/** How much a type is wanted by an Accept header, 0 to 1; RFC 9110 section 12.5.1. */
function quality(accept: string, type: string): number {
  let best = 0;
  let specificity = -1;
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const matches = name === type ? 2 : name === `${type.slice(0, type.indexOf('/'))}/*` ? 1 : name === '*/*' ? 0 : -1;
    if (matches < specificity || matches < 0) continue;
    const q = parameters.find((one) => one.startsWith('q='))?.slice(2);
    const value = q === undefined ? 1 : Number(q);
    best = matches === specificity ? Math.max(best, value) : value;
    specificity = matches;
  }
  return Number.isFinite(best) ? best : 0;
}

function openMetricsRegistry(): Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE> {
  const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}
