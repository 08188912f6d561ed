// A real shard on a machine for which there is no native module.
// Loaded by Node as a worker's entry, hence plain JavaScript over the build.
import shard from '../../../dist/src/shard/entry.js';

export default (data) => {
  Object.defineProperty(process, 'platform', { value: 'plan9' });
  return shard(data);
};
