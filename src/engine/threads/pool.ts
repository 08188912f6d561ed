import { EventEmitter } from 'node:events';
import { Piscina } from 'piscina';
import type { Clock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { AgentHandle, type ControlPlace, type Refusal } from '../../ring/agent.js';

/** A heartbeat that stands still for this long is a hang of a shard; an idle agent's beats every 100 ms. */
export const SHARD_HANG_US = 700_000;
const WATCH_MS = 150;
/** Lives that may end within RESTART_WINDOW_US before the engine gives the agent up. */
const RESTART_LIMIT = 20;
const RESTART_WINDOW_US = 60_000_000;
const START_LIMIT_US = 20_000_000;

export interface AgentTask {
  readonly name: string;
  /** URL of the file whose default export takes `data` and runs until it is told to stop, or returns a Refusal. */
  readonly entry: string;
  readonly data: unknown;
  readonly control: ControlPlace;
  /** Agents of a lower stage fill the rings of a higher one, so they are stopped first. */
  readonly stage: number;
  /**
   * How long its heartbeat may stand still before the thread is replaced. Infinity for an agent that writes to disks,
   * which may block for seconds: ending its thread would not end the write, and two would be at work.
   */
  readonly hangUs: number;
}

export interface PoolEvents {
  /** An agent died or hung and has been started again on the same rings. */
  restarted: [name: string, cause: string];
  /** An agent dies again and again, or refuses to begin; what it should do is no longer done. */
  failed: [error: TrunklineError, name: string];
}

/** How a thread does at the moment. */
export interface ThreadState {
  /** `shard 0`, `shard 1` and so on, or `recorder`. */
  readonly name: string;
  /** `failed`: it died too often and is no longer started again. */
  readonly phase: 'starting' | 'running' | 'failed';
  /** Seconds of work since the start; the utilisation is how fast it grows. */
  readonly busySeconds: number;
  /** Turns of its loop, modulo 2^32. */
  readonly heartbeats: number;
  /** Milliseconds since the last turn, seen every 150 ms; an idle thread turns every 100 ms. */
  readonly heartbeatAgeMs: number;
  /** Threads that died or hung and were replaced. */
  readonly restarts: number;
  /** Milliseconds since the last one was replaced, when that was less than a minute ago. */
  readonly restartedMsAgo: number | undefined;
}

interface Life {
  readonly task: AgentTask;
  readonly handle: AgentHandle;
  abort: AbortController;
  ended: Promise<void>;
  lastBeat: number;
  lastBeatUs: number;
  restartsUs: number[];
  restarts: number;
  hasFailed: boolean;
}

/**
 * The one Piscina pool: as many threads as there are long-lived agents (the shards and the recorder), each running one
 * task that ends only with the engine. Piscina starts, replaces and stops the threads; what this adds is the watch for
 * agents that hang, since a thread that blocks its event loop cannot be asked.
 */
export class AgentPool extends EventEmitter<PoolEvents> {
  readonly #clock: Clock;
  readonly #lives: readonly Life[];
  #pool: Piscina | undefined;
  #started: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #refused: TrunklineError | undefined;
  #isStarting = false;
  #closing = false;

  /** Nothing runs before start(). */
  constructor(tasks: readonly AgentTask[], clock: Clock) {
    super();
    this.#clock = clock;
    this.#lives = tasks.map((task) => ({
      task,
      handle: new AgentHandle(task.control),
      abort: new AbortController(),
      ended: Promise.resolve(),
      lastBeat: 0,
      lastBeatUs: clock.nowUs(),
      restartsUs: [],
      restarts: 0,
      hasFailed: false,
    }));
  }

  get isStarted(): boolean {
    return this.#pool !== undefined;
  }

  /** Shards first, then the recorder where there is one. */
  states(): ThreadState[] {
    const nowUs = this.#clock.nowUs();
    return this.#lives.map((life) => {
      if (this.isStarted) noteBeat(life, nowUs);
      return {
        name: life.task.name,
        phase: life.hasFailed ? 'failed' : life.handle.running ? 'running' : 'starting',
        busySeconds: life.handle.busyUs() / US_PER_SECOND,
        heartbeats: life.lastBeat >>> 0,
        heartbeatAgeMs: Math.max(0, nowUs - life.lastBeatUs) / US_PER_MS,
        restarts: life.restarts,
        restartedMsAgo: lastRestartMsAgo(life, nowUs),
      };
    });
  }

  handle(index: number): AgentHandle {
    const life = this.#lives[index];
    if (life === undefined) throw new RangeError(`No agent ${index}.`);
    return life.handle;
  }

  /**
   * Starts the threads, once; resolves when every agent has begun its loop.
   * @throws TrunklineError with the code of the agent that refuses to begin, or ENGINE_FAILED after 20 s.
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Ends an agent's thread without asking it, as a crash would; the pool starts it again. */
  kill(index: number): void {
    const life = this.#lives[index];
    // One that is still loading has nothing to lose, and Node may abort when a module graph is torn down half-way.
    if (life?.handle.running === true) life.abort.abort();
  }

  /**
   * Lets the agents finish what lies in their rings and stops the threads. An agent that makes progress, as a recorder
   * with a slow disk does, is given its time; one that shows no sign of life for `graceMs` is not waited for.
   */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    clearInterval(this.#watch);
    if (this.#pool === undefined) return;
    const stages = [...new Set(this.#lives.map((life) => life.task.stage))].sort((a, b) => a - b);
    for (const stage of stages) await this.#stop(stage, graceMs);
    await this.#pool.destroy();
  }

  async #stop(stage: number, graceMs: number): Promise<void> {
    const lives = this.#lives.filter((life) => life.task.stage === stage);
    for (const life of lives) life.handle.stop();
    const all = Promise.all(lives.map((life) => life.ended));
    const beats = (): number => lives.reduce((sum, life) => sum + life.handle.heartbeat(), 0);
    for (let before = Number.NaN; before !== beats(); ) {
      before = beats();
      if (await settledWithin(all, graceMs)) return;
    }
    for (const life of lives) life.handle.stop(true);
    await settledWithin(all, 200);
  }

  async #start(): Promise<void> {
    const pool = new Piscina({
      minThreads: this.#lives.length,
      maxThreads: this.#lives.length,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Tasks are never queued behind one another, and a thread has nothing else to look for.
      atomics: 'disabled',
      recordTiming: false,
    });
    this.#pool = pool;
    pool.on('error', () => {
      // Told through the task's own promise; without a listener it would end the process.
    });
    // start() throws a refusal; an event is not needed as well.
    this.#isStarting = true;
    for (const life of this.#lives) this.#run(pool, life);
    this.#watch = setInterval(() => this.#lookForHangs(), WATCH_MS);
    try {
      await this.#allRunning();
    } finally {
      this.#isStarting = false;
    }
  }

  async #allRunning(): Promise<void> {
    const deadlineUs = this.#clock.nowUs() + START_LIMIT_US;
    while (!this.#lives.every((life) => life.handle.running)) {
      if (this.#refused !== undefined) throw this.#refused;
      if (this.#closing) return;
      if (this.#clock.nowUs() > deadlineUs) {
        throw new TrunklineError('ENGINE_FAILED', 'The worker threads did not start within 20 s; see the log for why.');
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #run(pool: Piscina, life: Life): void {
    life.handle.reset();
    life.abort = new AbortController();
    life.lastBeatUs = this.#clock.nowUs();
    life.ended = pool.run(life.task.data, { filename: life.task.entry, signal: life.abort.signal }).then(
      (refusal: Refusal | undefined) => refusal && this.#refuse(refusal, life.task.name),
      (cause: unknown) => this.#died(pool, life, cause),
    );
  }

  #refuse(refusal: Refusal, name: string): void {
    this.#refused ??= new TrunklineError(refusal.code, refusal.message);
    if (!this.#isStarting) this.emit('failed', this.#refused, name);
  }

  #died(pool: Piscina, life: Life, cause: unknown): void {
    if (this.#closing) return;
    const nowUs = this.#clock.nowUs();
    life.restartsUs = life.restartsUs.filter((at) => nowUs - at < RESTART_WINDOW_US);
    life.restartsUs.push(nowUs);
    const why = cause instanceof Error ? cause.message : String(cause);
    if (life.restartsUs.length > RESTART_LIMIT) {
      life.hasFailed = true;
      this.emit(
        'failed',
        new TrunklineError(
          'ENGINE_FAILED',
          `The thread "${life.task.name}" died ${RESTART_LIMIT} times within a minute, last of: ${why}. Restart the process and report this.`,
          { cause },
        ),
        life.task.name,
      );
      return;
    }
    life.restarts++;
    this.#run(pool, life);
    this.emit('restarted', life.task.name, why);
  }

  #lookForHangs(): void {
    const nowUs = this.#clock.nowUs();
    for (const life of this.#lives) {
      noteBeat(life, nowUs);
      if (nowUs - life.lastBeatUs > life.task.hangUs) {
        life.abort.abort(`no heartbeat for ${Math.round((nowUs - life.lastBeatUs) / 1000)} ms`);
      }
    }
  }
}

function noteBeat(life: Life, nowUs: number): void {
  const beat = life.handle.heartbeat();
  // A thread that is still starting has no heartbeat yet; Piscina reports if it cannot start.
  if (beat === life.lastBeat && life.handle.running) return;
  life.lastBeat = beat;
  life.lastBeatUs = nowUs;
}

function lastRestartMsAgo({ restartsUs }: Life, nowUs: number): number | undefined {
  const atUs = restartsUs.at(-1);
  return atUs === undefined || nowUs - atUs >= RESTART_WINDOW_US ? undefined : (nowUs - atUs) / US_PER_MS;
}

async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([work.then(() => true as const), late]);
  clearTimeout(timer);
  return inTime;
}
