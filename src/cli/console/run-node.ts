import { printableConfig } from '../../config/documents.js';
import type { LoadedConfig } from '../../config/load.js';
import type { AudioNode } from '../../node/audio-node.js';
import { hasPrintedJson, printJson } from '../process/output.js';
import type { Interruption } from '../process/signals.js';
import type { Logger } from './logger.js';
import { NodeConsole } from './node-console.js';
import { type ConfiguredNode, errorObject, fail, reportSummary } from './summary.js';

/** What differs between the commands that run a node. */
export interface NodeRun<Node extends AudioNode> {
  /** Takes the place of `untilIdle` in a node that is never done. */
  readonly untilDone?: (node: Node) => Promise<unknown>;
  readonly onStarted?: (node: Node) => void;
  /** Added to the object of `--json`. */
  readonly extra?: (node: Node) => Readonly<Record<string, unknown>>;
  /** Why the run failed although nothing went wrong at the end; looked at unless it was interrupted. */
  readonly failure?: (node: Node) => string | undefined;
}

/**
 * Makes a node and runs it until it is done, fails, is interrupted or its time is over, and prints the summary. After a signal the
 * process ends within the drain time and one second.
 */
export async function runNode<Node extends AudioNode & ConfiguredNode>(
  makeNode: (logger: Logger) => Node,
  loaded: LoadedConfig,
  interruption: Interruption,
  run: NodeRun<Node>,
): Promise<void> {
  const { config } = loaded;
  const view = new NodeConsole(loaded);
  const node = makeNode(view.logger);
  view.watch(node);
  view.logger.debug(printableConfig(config), 'settings');
  const summarise = (more: Readonly<Record<string, unknown>> = {}) => {
    if (!hasPrintedJson()) reportSummary(node, config, { ...run.extra?.(node), ...more });
  };
  let wasInterrupted = false;
  const interrupted = interruption.requested.then((signal) => {
    wasInterrupted = true;
    view.logger.info({ signal }, 'stopping');
  });
  interruption.onLate = summarise;
  let failed = false;
  const engineFailed = new Promise<void>((resolve) => {
    node.once('failed', () => {
      failed = true;
      resolve();
    });
  });
  try {
    const started = node.start().then(() => run.onStarted?.(node));
    const done = started.then(() => run.untilDone?.(node) ?? new Promise(() => {}));
    await Promise.race([done, engineFailed, interrupted, timeOver(config.seconds)]);
    await node.stop();
  } catch (error) {
    if (config.json) printJson({ ...node.summary(), ...run.extra?.(node), error: errorObject(error) });
    throw error;
  } finally {
    view.close();
  }
  summarise();
  if (failed) fail('the engine failed; the log says why');
  else if (!wasInterrupted) {
    const failure = run.failure?.(node);
    if (failure !== undefined) fail(failure);
  }
}

function timeOver(seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (seconds !== undefined) setTimeout(resolve, seconds * 1000);
  });
}
