import { spawn } from 'node:child_process';
import process from 'node:process';
import type { Addon } from '#addon';
import { loadAddon } from '../../native/addon.js';

/** While the node starts, systemd is asked this often for more time: the platform may not be reachable yet. */
const STARTING_MS = 10_000;
const STARTING_EXTENSION_US = 60_000_000;
const US_PER_MS = 1_000;

/** Sends one message to the service manager. */
type Send = (message: string) => void;

/**
 * Tells systemd how the node does, by the protocol of sd_notify(3): that it has started, that it lives, that it stops.
 * Without systemd it does nothing.
 */
export class ServiceManager {
  readonly #send: Send;
  readonly #watchdogMs: number | undefined;
  readonly #timers: NodeJS.Timeout[] = [];

  /** @param env What systemd has set: NOTIFY_SOCKET and, with WatchdogSec=, WATCHDOG_USEC and WATCHDOG_PID. */
  constructor(env: Readonly<Record<string, string | undefined>> = process.env) {
    const socket = env['NOTIFY_SOCKET'];
    this.#send = socket === undefined || socket === '' ? () => {} : sender(socket);
    this.#watchdogMs = socket === undefined ? undefined : watchdogMs(env);
  }

  /** Call it before the node starts, which may take as long as its platform cannot be reached. */
  starting(): void {
    const extend = (): void => this.#send(`EXTEND_TIMEOUT_USEC=${STARTING_EXTENSION_US}\nSTATUS=Starting`);
    this.#every(STARTING_MS, extend);
  }

  /**
   * The node takes calls. From now on systemd is told regularly that it lives.
   * @param isAlive Asked each time; while it is false nothing is said, and systemd starts the service again.
   */
  ready(isAlive: () => boolean): void {
    this.#stopTimers();
    this.#send('READY=1\nSTATUS=Running');
    if (this.#watchdogMs === undefined) return;
    // Half the interval, as sd_watchdog_enabled(3) recommends.
    this.#every(this.#watchdogMs / 2, () => {
      if (isAlive()) this.#send('WATCHDOG=1');
    });
  }

  /** The node drains and ends. systemd is told that it lives until then. */
  stopping(): void {
    this.#send('STOPPING=1\nSTATUS=Draining');
  }

  close(): void {
    this.#stopTimers();
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms).unref());
  }

  #stopTimers(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }
}

/** Undefined without a watchdog, and when it watches another process. */
function watchdogMs({ WATCHDOG_USEC: us, WATCHDOG_PID: pid }: Readonly<Record<string, string | undefined>>) {
  const ms = Number(us) / US_PER_MS;
  if (!(ms > 0) || (pid !== undefined && Number(pid) !== process.pid)) return undefined;
  return ms;
}

/** The native module sends datagrams. Without it the program of systemd does, which takes a process for each message. */
function sender(socket: string): Send {
  const notify = nativeNotify();
  if (notify === undefined) {
    return (message) => {
      const child = spawn('systemd-notify', message.split('\n'), { stdio: 'ignore' });
      child.on('error', () => {});
      child.unref();
    };
  }
  return (message) => {
    try {
      notify(socket, message);
    } catch {
      // The service manager is gone or does not read; it will notice by itself.
    }
  };
}

function nativeNotify(): Addon['notifyServiceManager'] | undefined {
  try {
    return loadAddon().notifyServiceManager;
  } catch {
    return undefined;
  }
}
