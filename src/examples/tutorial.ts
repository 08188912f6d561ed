import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { CaptureNode, type FrameView, type NodeSettings, type Sink, systemClock } from '../index.js';

export interface TutorialOptions {
  readonly region: string;
  readonly interactionIds: readonly string[];
  readonly settings: NodeSettings;
  readonly print: (line: string) => void;
  readonly printError: (line: string) => void;
  /** Between two metrics lines; default 5,000. */
  readonly metricsMs?: number;
  readonly signal?: AbortSignal;
}

/** The audit lines of the tutorial: one for every frame, silent or not. audit() writes them to a file, and more. */
function auditLines(region: string, print: (line: string) => void): Sink {
  return {
    name: 'audit-lines',
    frame: ({ info, sequenceNumber, isSilent, lost }: FrameView) => {
      if (lost) return;
      print(
        JSON.stringify({
          timestamp: new Date(systemClock.wallMs()).toISOString(),
          action: 'media_capture',
          interactionId: info.interactionId,
          sequenceNumber,
          signalDetected: !isSilent,
          privacyCompliant: true,
          region,
        }),
      );
    },
  };
}

/** The tutorial's complete working example. Returns the exit code. */
export async function main(options: TutorialOptions): Promise<number> {
  const { region, interactionIds, settings, print, printError, metricsMs = 5_000, signal } = options;
  if (interactionIds.length === 0) {
    printError('TARGET_INTERACTIONS environment variable required');
    return 1;
  }
  const streamer = new CaptureNode({
    ...settings,
    region,
    interactions: interactionIds,
    audit: 'off',
    sinks: [auditLines(region, print)],
  });
  streamer.on('mediaChunk', (chunk) => {
    // Forward to the analytics pipeline.
    print(`[ANALYTICS] ${chunk.metadata.interactionId} chunk received`);
  });
  streamer.on('metadataSync', (meta) => {
    // Sync with the external recording system.
    print(`[SYNC] ${meta.interactionId} timestamp ${meta.timestamp}`);
  });
  streamer.on('error', (error) => printError(`[ERROR] ${error.message}`));
  streamer.on('disconnected', ({ code, reason }) => printError(`[WS] Disconnected: ${code} ${reason}`));

  const metrics = setInterval(() => {
    const { packetsPerSecond, bytesPerSecond, packetLossRate } = streamer.stats().throughput;
    print(
      `[METRICS] PPS: ${packetsPerSecond.toFixed(2)} BPS: ${bytesPerSecond.toFixed(2)} ` +
        `Loss: ${(packetLossRate * 100).toFixed(2)}%`,
    );
  }, metricsMs);
  try {
    await streamer.start(signal === undefined ? {} : { signal });
    await streamer.untilIdle();
    return 0;
  } catch (error) {
    printError(`[SUBSCRIBE] ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    clearInterval(metrics);
    await streamer.close();
  }
}

// node dist/src/examples/tutorial.js, with the variables of the tutorial in the environment.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { GENESYS_REGION, TARGET_INTERACTIONS, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET } = process.env;
  process.exitCode = await main({
    region: GENESYS_REGION ?? 'us-east-1',
    interactionIds: TARGET_INTERACTIONS?.split(',') ?? [],
    settings: { clientId: GENESYS_CLIENT_ID, clientSecret: GENESYS_CLIENT_SECRET },
    print: (line) => process.stdout.write(`${line}\n`),
    printError: (line) => process.stderr.write(`${line}\n`),
  });
}
