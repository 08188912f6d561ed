import type { Config } from '../config/schema.js';
import { TrunklineError } from '../core/errors.js';
import type { S3ArchiveOptions } from '../index.js';

/**
 * The options of the archive that the settings ask for; undefined for none.
 *
 * @throws TrunklineError CONFIG_INVALID
 */
export function archiveOptions(config: Config): S3ArchiveOptions | undefined {
  const { archiveS3: address, archiveEndpoint: endpoint, archiveRegion: region, archivePathStyle, caFile } = config;
  if (address === undefined) {
    if (endpoint === undefined && !config.archiveDeleteLocal) return undefined;
    throw new TrunklineError('CONFIG_INVALID', 'An archive needs a bucket: give --archive-s3 as well.');
  }
  if (!config.record) {
    throw new TrunklineError('CONFIG_INVALID', '--no-record leaves nothing to upload: leave --archive-s3 out.');
  }
  const { archiveEncryption: encryption, archiveKmsKey: kmsKey, archiveLock: mode, archiveLockDays: days } = config;
  return {
    address,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(archivePathStyle === 'auto' ? {} : { pathStyle: archivePathStyle === 'on' }),
    ...{ name: config.archiveName, deleteLocal: config.archiveDeleteLocal, parallel: config.archiveParallel },
    ...{ maxMegabits: config.archiveMaxMegabits, legalHold: config.archiveLegalHold },
    ...(encryption === 'none' ? {} : { encryption }),
    ...(kmsKey === undefined ? {} : { kmsKey }),
    ...(mode === 'none' ? {} : { lock: { mode, days } }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}
