import { printableConfig } from '../config/documents.js';
import type { Config } from '../config/schema.js';
import { TrunklineError } from '../core/errors.js';
import type { ControlOptions } from '../index.js';

/** What the control server needs of the command that it belongs to. */
export interface ControlCommand {
  /** Its level is read and changed; pino's can be. */
  readonly logger: { level: string };
  /** Take another port when that of the settings is in use. */
  readonly anyControlPort: boolean;
  /** What is done at SIGHUP. Returns what failed. */
  reload(): Promise<readonly unknown[]>;
}

/**
 * The options of the control server that the settings ask for; undefined for none.
 *
 * @throws TrunklineError CONFIG_INVALID
 */
export function controlOptions(config: Config, command: ControlCommand): ControlOptions | undefined {
  const { controlPort: port, controlHost: host, controlTokens: tokensFile } = config;
  if (port === 0) return undefined;
  const { logger } = command;
  const tls = tlsFiles(config);
  return {
    ...{ port, host, allowedHosts: config.controlAllowedHosts, allowedOrigins: config.controlAllowedOrigins },
    orAnyPort: command.anyControlPort,
    config: () => printableConfig(config),
    logLevel: {
      get: () => logger.level,
      set: (level) => {
        logger.level = level;
      },
    },
    reload: () => command.reload(),
    ...(config.record ? { recordings: config.out } : {}),
    ...(tokensFile === undefined ? {} : { tokensFile }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function tlsFiles({ controlTlsCert: certFile, controlTlsKey: keyFile }: Config): ControlOptions['tls'] {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  throw new TrunklineError('CONFIG_INVALID', '--control-tls-cert and --control-tls-key belong together; give both.');
}
