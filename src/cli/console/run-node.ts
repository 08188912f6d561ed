import process from 'node:process';
import { printableConfig } from '../../config/documents.js';
import type { LoadedConfig } from '../../config/load.js';
import { packageVersion } from '../../config/package-version.js';
import type { Config } from '../../config/schema.js';
import { messageOf } from '../../core/errors.js';
import { summaryOf } from '../../node/summary.js';
import { audioHookOptions } from '../audiohook-options.js';
import { hasPrintedJson, print, printJson } from '../process/output.js';
import { ServiceManager } from '../process/service-manager.js';
import type { Interruption } from '../process/signals.js';
import { type ComposedNode, composeNode, drainMs, type SourceName } from './compose-node.js';
import { NodeConsole } from './node-console.js';
import { type CommandSummary, errorObject, fail, reportSummary } from './summary.js';
import { Verdict } from './verdict.js';

export interface RunOptions {
  /** Take another port for the control server when that of the settings is in use; default false: the command fails. */
  readonly anyControlPort?: boolean;
}

/**
 * Runs a node with the sources given until it is done, fails, is interrupted or its time is over, and prints the summary.
 * After a signal the process ends within the drain time and one second.
 *
 * @throws TrunklineError when it cannot start; the object of `--json` has been printed by then.
 */
export async function runNode(
  loaded: LoadedConfig,
  names: readonly SourceName[],
  interruption: Interruption,
  { anyControlPort = false }: RunOptions = {},
): Promise<void> {
  const { config } = loaded;
  const view = new NodeConsole(loaded);
  try {
    const reload = (): Promise<readonly unknown[]> => reloadNode(composed, config, view);
    const composed: ComposedNode = await composeNode(config, names, { logger: view.logger, anyControlPort, reload });
    interruption.onHangup = () => void reload();
    view.watch(composed.node);
    view.logger.info(printableConfig(config), 'settings');
    await runComposed(composed, config, view, interruption);
  } finally {
    view.close();
  }
}

async function runComposed(
  composed: ComposedNode,
  config: Config,
  view: NodeConsole,
  interruption: Interruption,
): Promise<void> {
  const { node, hook } = composed;
  const manager = new ServiceManager();
  const verdict = new Verdict(composed);
  const summary = (): CommandSummary => ({
    ...summaryOf(node.stats(), config.out),
    ...verdict.summary(),
    ...(hook && { sessions: hook.status().counters }),
  });
  let wasInterrupted = false;
  let drainsFirst = false;
  const interrupted = interruption.requested.then((signal) => {
    wasInterrupted = true;
    // A person at the keyboard has calls cut short; a service manager lets them end.
    drainsFirst = signal === 'SIGTERM';
    manager.stopping();
    view.logger.info({ signal }, drainsFirst ? 'draining, then stopping' : 'stopping');
  });
  interruption.onLate = () => {
    if (!hasPrintedJson()) reportSummary(summary(), config);
  };
  try {
    manager.starting();
    const done = node.start().then(() => {
      verdict.hasStarted = true;
      manager.ready(() => isAlive(node));
      logStart(composed, view);
      return node.untilIdle();
    });
    await Promise.race([done, interrupted, verdict.engineFailed, timeOver(config.seconds)]);
    if (drainsFirst) await node.drain(drainMs(config.drainSeconds));
    await node.close();
  } catch (error) {
    if (config.json) printJson({ ...summary(), error: errorObject(error) });
    throw error;
  }
  view.close();
  const failure = verdict.failure(config, wasInterrupted);
  reportSummary({ ...summary(), ...(failure === undefined ? {} : { failure }) }, config);
  if (failure !== undefined) fail(failure);
}

/** Whether another start of the process would not help. */
function isAlive(node: ComposedNode['node']): boolean {
  return !node.health().checks.some(({ affects, status }) => affects === 'live' && status === 'failing');
}

/** Reads keys, tokens and certificates again, and rotates the audit. What cannot be read is logged, and stays as it was. */
/** Returns what failed, which has been logged; what there was stays in use. */
async function reloadNode(
  { node, hook }: ComposedNode,
  config: Config,
  { logger }: NodeConsole,
): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  try {
    if (hook !== undefined) {
      const { keys, tls } = audioHookOptions(config);
      hook.replace({ keys, ...(tls === undefined ? {} : { tls }) });
    }
  } catch (error) {
    failures.push(error);
    logger.error({ err: error }, `The AudioHook server keeps its keys and certificate: ${messageOf(error)}`);
  }
  failures.push(...(await node.reopen()));
  if (failures.length === 0) {
    logger.info('keys, tokens and certificates have been read again, the audit has been rotated');
  } else {
    logger.error(`${failures.length} of keys, tokens, certificates and files could not be read again; see above`);
  }
  return failures;
}

function logStart({ node, hook, control }: ComposedNode, view: NodeConsole): void {
  const { logger } = view;
  const { backend, shards, sources } = node.stats();
  const addresses = hook && { url: hook.url, healthUrl: hook.healthUrl };
  const versions = { version: packageVersion(), node: process.version };
  logger.info({ ...versions, backend, shards, sources: Object.keys(sources), ...addresses }, 'trunkline started');
  if (control !== undefined) {
    logger.info(`console, metrics and API: ${control.url}`);
    view.showAddress(control.url);
  }
  if (addresses !== undefined) print(`${JSON.stringify(addresses)}\n`);
}

function timeOver(seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (seconds !== undefined) setTimeout(resolve, seconds * 1000);
  });
}
