// A real shard with a weakness: a payload that begins with DE AD does to its thread what the third byte says.
// Loaded by Node as a worker's entry, hence plain JavaScript over the build.

import { ChannelDecoder } from '../../../dist/src/shard/channel-decoders.js';
import shard from '../../../dist/src/shard/entry.js';

const sound = ChannelDecoder.prototype.decode;

// The weakness is in the JavaScript path.
export default (data) => {
  const bytes = new Uint8Array(data.memory);
  ChannelDecoder.prototype.decode = function decode(at, length, pcmAt) {
    if (bytes[at] === 0xde && bytes[at + 1] === 0xad) {
      if (bytes[at + 2] === 0) throw new Error('this record is poison');
      if (bytes[at + 2] === 1) process.exit(1);
      for (;;);
    }
    return sound.call(this, at, length, pcmAt);
  };
  return shard({ ...data, native: 'off' });
};
