import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localTarballs, PackedProject } from '../support/package/packed-project.js';
import { ROOT } from '../support/source-tree.js';

/** What an embedder may write, with the strictest settings of the compiler, and without an import below `trunkline`. */
const PROGRAM = `
import { type Logger as Pino, pino } from 'pino';
import {
  type AudioHookKey,
  AudioHookNode,
  audioHook,
  audit,
  CaptureNode,
  createEngine,
  createNode,
  type FrameView,
  genesysSubscription,
  type Logger,
  ManualClock,
  type MediaChunk,
  type NodeStats,
  recorder,
  type Sink,
  type Source,
  type SourceContext,
  type StreamInfo,
  TrunklineError,
} from 'trunkline';

const log: Pino = pino({ level: 'silent' });
const logger: Logger = log;
const keys: readonly AudioHookKey[] = [{ apiKey: 'key', clientSecret: 'c2VjcmV0' }];

class Levels implements Sink {
  readonly name = 'levels';
  readonly #levels = new Map<string, number>();
  frame({ info, meanSquare }: FrameView): void {
    this.#levels.set(info.interactionId, Math.sqrt(meanSquare));
  }
  stats(): { readonly dropped: number; readonly streams: number } {
    return { dropped: 0, streams: this.#levels.size };
  }
}

interface TickEvents {
  tick: [count: number];
}

class Ticker implements Source<TickEvents> {
  readonly name = 'ticker';
  async start(context: SourceContext<TickEvents>): Promise<void> {
    const stream = context.ingest.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    context.emit('tick', stream);
    // @ts-expect-error A source emits the events that it declares.
    context.emit('tock', stream);
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
}

export async function compose(signal: AbortSignal): Promise<NodeStats> {
  const calls = genesysSubscription({ clientId: 'id', clientSecret: 'secret', queues: ['queue'] });
  const hook = audioHook({ port: 0, keys });
  await using node = await createNode({
    sources: [calls, hook, new Ticker()],
    sinks: [recorder({ directory: 'out' }), audit({ directory: 'out' }), new Levels()],
    engine: { shards: 1 },
    logger,
    signal,
  });
  node.on('tick', (count) => count.toFixed());
  node.on('sessionOpened', ({ interactionId }) => interactionId?.length);
  node.on('disconnected', async ({ code }) => code.toFixed());
  node.on('marked', ({ state }) => state);
  // @ts-expect-error No source of this node has such an event.
  node.on('nothing', () => {});
  const info: StreamInfo = await node.waitForStream('call', { signal });
  for await (const chunk of node.chunks({ signal })) {
    const { metadata }: MediaChunk = chunk;
    if (metadata.interactionId !== info.interactionId) break;
  }
  for await (const { pcm } of node.frames({ pcm: 'all', signal })) pcm.at(0);
  await node.untilIdle({ signal });
  node.pause('call');
  return node.stats();
}

export async function presets(signal: AbortSignal): Promise<void> {
  const capture = new CaptureNode({ clientId: 'id', clientSecret: 'secret', interactions: ['call'], logger, signal });
  capture.on('connected', ({ connection }) => connection.toFixed());
  capture.on('mediaChunk', ({ payload }) => payload.length);
  await capture.start({ signal });
  await capture.close();
  const called = new AudioHookNode({ server: { noServer: true, keys }, sinks: [new Levels()] });
  called.on('rejected', ({ reason }) => reason);
  await called.stop();
}

export async function engine(signal: AbortSignal): Promise<void> {
  const clock = new ManualClock();
  await using made = await createEngine({ shards: 1, clock, signal });
  const stream = made.open('call', { codec: 'pcmu' });
  stream.push({ sequenceNumber: 0, timestamp: 0, payload: new Uint8Array(160) });
  clock.advanceUs(20_000);
  try {
    made.open('call', { codec: 'pcmu' });
  } catch (error) {
    if (!(error instanceof TrunklineError) || error.code !== 'STREAM_EXISTS') throw error;
  }
}
`;

const TSCONFIG = {
  compilerOptions: {
    ...{ target: 'ES2023', lib: ['ES2023', 'ESNext.Disposable'], module: 'NodeNext', moduleResolution: 'NodeNext' },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    ...{ noEmit: true, types: ['node'] },
  },
  files: ['main.ts', 'requiring.cts'],
};

/** A CommonJS program: with `require`, with the import syntax, and with a class to extend. */
const REQUIRING = `
import trunkline = require('trunkline');
import { type AudioNode, createEngine, ManualClock, type StreamInfo, TrunklineError } from 'trunkline';

class Refusal extends trunkline.TrunklineError {}
const clock: ManualClock = new ManualClock();

export async function engine(info: StreamInfo, node: AudioNode): Promise<TrunklineError> {
  const made = await createEngine({ shards: 1, clock });
  // @ts-expect-error An engine has no such member: the types are not any.
  made.nothing();
  await made.close();
  node.pause(info.interactionId);
  return new Refusal('STREAM_EXISTS', 'no') ?? new TrunklineError('STREAM_EXISTS', 'no');
}
`;

let project: PackedProject;

beforeAll(async () => {
  project = new PackedProject((await localTarballs()).slice(-1));
  project.write('tsconfig.json', JSON.stringify(TSCONFIG));
  project.write('main.ts', PROGRAM);
  project.write('requiring.cts', REQUIRING);
}, 300_000);

afterAll(() => {
  project?.[Symbol.dispose]();
});

function compile(...options: string[]): { readonly stdout: string; readonly status: number | null } {
  const program = join(ROOT, 'node_modules/.bin/tsc');
  return spawnSync(program, ['-p', '.', ...options], { cwd: project.folder, encoding: 'utf8' });
}

describe('the packed package', () => {
  it('compiles in a strict project outside, with its library checked', () => {
    const { stdout, status } = compile();
    expect(stdout).toBe('');
    expect(status).toBe(0);
  }, 120_000);

  it.each(['Node16', 'Node18'])(
    'compiles with module %s, which knows no require() of an ES module',
    (module) => {
      const { stdout, status } = compile('--module', module, '--moduleResolution', 'Node16');
      expect(stdout).toBe('');
      expect(status).toBe(0);
    },
    120_000,
  );

  it('refuses imports below its name', () => {
    const script = `import('trunkline/dist/src/engine/engine.js').catch(({ code }) => console.log(code))`;
    const { stdout } = project.run(['--input-type=module', '-e', script]);
    expect(stdout.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it('has the declarations, the examples and the page of errors', () => {
    for (const file of ['dist/src/index.d.ts', 'src/examples/tutorial.ts', 'src/core/ERRORS.md']) {
      expect(existsSync(project.path('node_modules/trunkline', file)), file).toBe(true);
    }
  });
});
