// A real shard with a weakness: a payload that begins with DE AD does to its thread what the third byte says.
// Loaded by Node as a worker's entry, hence plain JavaScript over the build.
import shard from '../../dist/src/worker/entry.js';
import { LaneDecoders } from '../../dist/src/worker/lane-decoders.js';

const sound = LaneDecoders.prototype.decode;

LaneDecoders.prototype.decode = function decode(stream, channel, input, at, length, pcm, pcmAt) {
  if (input[at] === 0xde && input[at + 1] === 0xad) {
    if (input[at + 2] === 0) throw new Error('this record is poison');
    if (input[at + 2] === 1) process.exit(1);
    for (;;);
  }
  return sound.call(this, stream, channel, input, at, length, pcm, pcmAt);
};

// The weakness is in the JavaScript path.
export default (data) => shard({ ...data, native: 'off' });
