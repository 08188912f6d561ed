// A real shard that dies once, at the worst moment: a CLOSE is published, and not yet released.
// Loaded by Node as a worker's entry, hence plain JavaScript over the build.
import { AGENT_CONTROL } from '../../../dist/src/ring/agent.js';
import { KIND, RECORD } from '../../../dist/src/ring/layout.js';
import { RingConsumer } from '../../../dist/src/ring/ring.js';
import shard from '../../../dist/src/shard/entry.js';

export default function fragile(data) {
  const words = new Int32Array(data.memory);
  const deaths = (data.control.offset + AGENT_CONTROL.AT_DEATHS) >> 2;
  const isFirstLife = words[(data.control.offset + AGENT_CONTROL.HEARTBEAT) >> 2] === 0;
  const sound = RingConsumer.prototype.release;
  RingConsumer.prototype.release = function release() {
    if (isFirstLife && words[deaths] === 0 && this.view.getUint8(this.peek() + RECORD.KIND) === KIND.CLOSE) {
      process.exit(1);
    }
    sound.call(this);
  };
  return shard({ ...data, native: 'off' });
}
