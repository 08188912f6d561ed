import { z } from 'zod';
import { type Clock, systemClock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import { NO_IMPAIRMENTS } from '../network/impairments.js';
import { Pacer } from '../network/pacer.js';
import { CODEC_CHOICES } from '../sound/loops.js';
import { createCalls } from './call-factory.js';
import { CallScheduler } from './call-scheduler.js';
import { Completion } from './completion.js';
import { FaultBoard } from './fault-board.js';
import { FAULT, type FaultInput } from './fault-commands.js';
import type { Faults } from './faults.js';
import type { Ledger } from './ledger.js';
import type { MediaConnection } from './media-connection.js';
import { NotificationHub } from './notification-hub.js';
import { type LoggedRequest, RequestLog } from './request-log.js';
import { MEDIA_PATH, SimulatorServer } from './server.js';
import { TokenStore } from './tokens.js';

const share = z.number().min(0).max(1);

/** The options of startSimulator, with their limits and defaults. */
export const SIMULATOR_OPTIONS = z.strictObject({
  /** 0: any free one. */
  port: z.number().int().min(0).max(65_535).default(0),
  host: z.string().min(1).default('127.0.0.1'),
  interactions: z.number().int().min(1).max(LIMITS.maxStreams).default(1),
  codec: z.enum(CODEC_CHOICES).default('pcmu'),
  /** 2: each side of a call in packets of its own, told apart by `channel`. */
  channels: z.union([z.literal(1), z.literal(2)]).default(1),
  /** Length of each call from its first subscription; without it calls go on until close(). */
  seconds: z.number().min(0.02).max(86_400).optional(),
  /** Share of packets withheld. */
  loss: share.max(0.9).default(0),
  /** Mean length of a run of withheld packets; 1 and less: each on its own. */
  burst: z.number().min(0).max(1000).default(1),
  /** Share of packets held back behind later ones. */
  reorder: share.default(0),
  /** Share of packets sent twice. */
  duplicate: share.default(0),
  /** Largest random delay. What is beyond `maxDelayMs` is cut. */
  jitterMs: z.number().min(0).max(10_000).default(0),
  /** Most that jitter and reordering together delay a packet. */
  maxDelayMs: z.number().min(0).max(10_000).default(NO_IMPAIRMENTS.maxDelayMs),
  /** Determines ids, speech, numbers and impairments. */
  seed: z.number().int().default(1),
  /** A file of packets that every interaction replays, instead of speech. */
  trace: z.string().min(1).optional(),
  /** When absent, any credentials that are not empty are accepted. */
  clientId: z.string().optional(),
  clientSecret: z.string().optional(),
  tokenSeconds: z.number().positive().default(86_400),
  /** How long after its end a call can still be subscribed to. */
  availabilitySeconds: z.number().min(0).default(60),
  /** Keeps every packet sent, for GET /books/{id}/packets. */
  keepPackets: z.boolean().default(false),
  /** False: a server that never says `subscribed` or `ended`. */
  announce: z.boolean().default(true),
  /** Names the codec in every packet. */
  codecInPackets: z.boolean().default(false),
  /** Queues and users at which the calls arrive, each in turn; without any, the calls are connected from the start. */
  queues: z.array(z.string().min(1).max(LIMITS.maxNameBytes)).default([]),
  users: z.array(z.string().min(1).max(LIMITS.maxNameBytes)).default([]),
  /** Calls at queues and users begin evenly over so many seconds. */
  spreadSeconds: z.number().min(0).max(86_400).default(0),
  /** Before the first of them. */
  leadSeconds: z.number().min(0).max(86_400).default(0),
  /** Share of the calls at queues and users that have a secure pause, in which a loud square wave is sent. */
  securePause: share.default(0),
  /** What goes wrong; more with POST /faults while the simulator runs. */
  faultList: z.array(FAULT).default([]),
  /** A client that leaves more than this unread is cut off. */
  backlogBytes: z
    .number()
    .int()
    .positive()
    .default(8 << 20),
});

export type SimulatorOptions = z.input<typeof SIMULATOR_OPTIONS>;

/** A running simulator of the Genesys platform. */
export interface Simulator {
  readonly apiUrl: string;
  readonly mediaUrl: string;
  readonly interactionIds: readonly string[];
  /** May be set and changed at any time. */
  readonly faults: Faults;
  /** Every request so far, handshakes of WebSockets among them. */
  readonly requests: readonly LoggedRequest[];
  /** Makes something go wrong, as POST /faults does. */
  fault(fault: FaultInput): void;
  /** Fulfilled when the calls are over and the clients have left, when no client came, and by close(). */
  readonly done: Promise<void>;
  ledger(): Ledger;
  /** Open media connections, oldest first. */
  connections(): readonly MediaConnection[];
  /** Ends what is live, with reason `stopped`, and stops listening. The ledger stays. */
  close(): Promise<void>;
}

const CHECK_MS = 100;

/**
 * Starts a simulator of the Genesys platform on loopback: sign-in, conversations and media, as the SDK and the media
 * protocol have them, with recorded speech and an exact ledger of what was sent.
 * @throws TrunklineError CONFIG_INVALID, CONNECTION_FAILED when the port is taken, FILE_FAILED, FILE_INVALID and
 *   CODEC_UNSUPPORTED for a trace that cannot be replayed.
 */
export async function startSimulator(options: SimulatorOptions = {}, clock: Clock = systemClock): Promise<Simulator> {
  const checked = SIMULATOR_OPTIONS.safeParse(options);
  if (!checked.success) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The simulator cannot start with these options: ${z.prettifyError(checked.error)}`,
    );
  }
  const settings = checked.data;
  const { loss, burst, reorder, duplicate, jitterMs, maxDelayMs } = settings;
  const isPlanned = settings.queues.length + settings.users.length > 0;
  const calls = createCalls({
    interactions: settings.interactions,
    codec: settings.codec,
    channels: settings.channels,
    seconds: settings.seconds ?? Infinity,
    seed: settings.seed,
    impairments: { loss, burst, reorder, duplicate, jitterMs, maxDelayMs },
    tracePath: settings.trace,
    keepPackets: settings.keepPackets,
    codecInPackets: settings.codecInPackets,
    planned: isPlanned,
  });
  const interactions = new Map(calls.interactions.map((interaction) => [interaction.id, interaction]));
  const connections = new Set<MediaConnection>();
  const faults: Faults = {};
  const hub = new NotificationHub(clock);
  const log = new RequestLog(clock);
  const tokens = new TokenStore(settings, clock);
  const pacer = new Pacer(clock, () => {
    for (const connection of connections) connection.flush();
  });
  const ledger = (): Ledger => ({
    interactions: Object.fromEntries(calls.interactions.map((interaction) => [interaction.id, interaction.ledger()])),
  });

  const board = new FaultBoard(
    {
      clock,
      tokens,
      hub,
      interactions,
      connections: () => [...connections],
      async restart(downMs) {
        await Promise.all([...connections].map((connection) => connection.quieten()));
        await server.restart(settings.host, port, downMs);
      },
    },
    settings.seed,
  );
  const server: SimulatorServer = new SimulatorServer({
    interactions,
    clock,
    faults,
    announces: settings.announce,
    availabilitySeconds: settings.availabilitySeconds,
    backlogBytes: settings.backlogBytes,
    board,
    hub,
    log,
    tokens,
    queues: settings.queues,
    users: settings.users,
    startedAtMs: clock.wallMs(),
    ledger,
    opened: (connection) => connections.add(connection),
    closed: (connection) => connections.delete(connection),
    started: (interaction) => pacer.add(interaction),
  });
  const port = await server.listen(settings.host, settings.port);
  for (const fault of settings.faultList) board.set(fault);
  const { queues, users, leadSeconds, spreadSeconds, securePause, seed } = settings;
  const seconds = settings.seconds ?? Infinity;
  const plan = { queues, users, leadSeconds, spreadSeconds, securePause, seed, seconds };
  const scheduler = isPlanned ? new CallScheduler(calls.interactions, plan, clock, hub) : undefined;

  const completion = new Completion((calls.durationSeconds + leadSeconds + spreadSeconds) * 1e6, clock.nowUs());
  const { promise: done, resolve: finish } = promiseWithResolver();
  const check = (): void => {
    const started = calls.interactions.filter(({ state }) => state !== 'waiting').length;
    const isToCome = scheduler?.isDone === false ? 1 : 0;
    const live = calls.interactions.filter(({ state }) => state === 'live').length + isToCome;
    if (completion.isDone({ started, live, connections: connections.size }, clock.nowUs())) {
      clearInterval(checks);
      finish();
    }
  };
  // Without an end to the calls there is none to wait for.
  const checks = calls.durationSeconds === Infinity ? undefined : setInterval(check, CHECK_MS);

  return {
    apiUrl: `http://${settings.host}:${port}`,
    mediaUrl: `ws://${settings.host}:${port}${MEDIA_PATH}`,
    interactionIds: [...interactions.keys()],
    faults,
    get requests() {
      return log.requests;
    },
    fault: (fault) => board.set(FAULT.parse(fault)),
    done,
    ledger,
    connections: () => [...connections],
    async close() {
      clearInterval(checks);
      board.clear();
      scheduler?.stop();
      hub.close();
      for (const interaction of calls.interactions) {
        if (interaction.state === 'live') interaction.finish('stopped', clock.nowUs(), clock.wallMs());
      }
      for (const connection of connections) connection.flush();
      pacer.stop();
      await server.close();
      finish();
    },
  };
}

function promiseWithResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
