import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Control } from '../../src/control/control.js';
import type { ServiceContext } from '../../src/node/service.js';
import type { SubjectSettings } from './processes/messages.js';

type ControlLoad = Pick<SubjectSettings, 'scrape' | 'eventClients' | 'listeners' | 'consoles'>;

/** More often than Prometheus scrapes by default, which is every 15 s or a minute. */
const SCRAPE_EVERY_MS = 5_000;

/** The control server of the node under test, where anything is wanted of it. */
export function benchControl(load: ControlLoad): Control[] {
  return load.scrape || clientsOf(load) > 0 ? [new BenchControl(load)] : [];
}

function clientsOf({ eventClients, listeners, consoles }: ControlLoad): number {
  return eventClients + listeners + consoles;
}

/**
 * A control server that is scraped from its own process, where the client's work is charged to the node as well, and
 * whose event stream and live audio clients of another process follow.
 */
class BenchControl extends Control {
  readonly #load: ControlLoad;
  #timer: NodeJS.Timeout | undefined;
  #followers: ChildProcess | undefined;

  constructor(load: ControlLoad) {
    super({ port: 0 });
    this.#load = load;
  }

  override async start(context: ServiceContext): Promise<void> {
    await super.start(context);
    const { scrape, eventClients, listeners, consoles } = this.#load;
    if (scrape) {
      this.#timer = setInterval(() => void this.#scrape(), SCRAPE_EVERY_MS).unref();
      await this.#scrape();
    }
    if (clientsOf(this.#load) === 0) return;
    const file = fileURLToPath(new URL('./processes/follower-process.js', import.meta.url));
    const args = [file, this.url, String(eventClients), String(listeners), String(consoles)];
    this.#followers = spawn(process.execPath, args, { stdio: 'ignore' });
  }

  override async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#followers?.kill();
    await super.close();
  }

  async #scrape(): Promise<void> {
    const response = await fetch(`${this.url}/metrics`).catch(() => undefined);
    const text = await response?.text();
    // When the node closes, the scrape that is under way is cut off.
    if (text !== undefined && !text.includes('trunkline_streams')) throw new Error(`A scrape failed: ${text}`);
  }
}
