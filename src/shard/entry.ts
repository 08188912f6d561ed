import { TrunklineError } from '../core/errors.js';
import { type Refusal, runAgent } from '../ring/agent.js';
import { LAYOUT_VERSION } from '../ring/layout.js';
import type { ShardBackend } from './backend.js';
import { JsShard } from './js-backend.js';
import { NativeShard } from './native-backend.js';
import type { ShardData } from './shard-data.js';
import { ShardLoop } from './shard-loop.js';

/** Wake-ups come by notify; the longest sleep bounds only the heartbeat's silence. */
const SLEEP = { idleMs: 100, naps: 2 };

/** What Piscina runs: one shard, for as long as the engine lives. */
export default function shard(data: ShardData): Refusal | undefined {
  let backend: ShardBackend;
  try {
    checkLayout(data);
    backend = createBackend(data);
  } catch (thrown) {
    if (thrown instanceof TrunklineError) return { code: thrown.code, message: thrown.message };
    throw thrown;
  }
  runAgent(new ShardLoop(data, backend), data.control, SLEEP);
  return undefined;
}

function checkLayout(data: ShardData): void {
  if (data.layoutVersion === LAYOUT_VERSION) return;
  throw new TrunklineError(
    'ENGINE_FAILED',
    `This worker was built for ring layout ${LAYOUT_VERSION} and the engine for ${data.layoutVersion}; rebuild both.`,
  );
}

function createBackend(data: ShardData): ShardBackend {
  if (data.native === 'off') return new JsShard(data);
  try {
    return new NativeShard(data);
  } catch (thrown) {
    if (data.native === 'require') throw thrown;
    return new JsShard(data);
  }
}
