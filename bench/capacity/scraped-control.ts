import { Control } from '../../src/control/control.js';
import type { ServiceContext } from '../../src/node/service.js';

/** More often than Prometheus scrapes by default, which is every 15 s or a minute. */
const SCRAPE_EVERY_MS = 5_000;

/** A control server that is scraped from its own process: the client's work is charged to the node as well. */
export class ScrapedControl extends Control {
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    super({ port: 0 });
  }

  override async start(context: ServiceContext): Promise<void> {
    await super.start(context);
    this.#timer = setInterval(() => void this.#scrape(), SCRAPE_EVERY_MS).unref();
    await this.#scrape();
  }

  override async close(): Promise<void> {
    clearInterval(this.#timer);
    await super.close();
  }

  async #scrape(): Promise<void> {
    const response = await fetch(`${this.url}/metrics`).catch(() => undefined);
    const text = await response?.text();
    // When the node closes, the scrape that is under way is cut off.
    if (text !== undefined && !text.includes('trunkline_streams')) throw new Error(`A scrape failed: ${text}`);
  }
}
