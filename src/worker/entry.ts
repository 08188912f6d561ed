import { TrunklineError } from '../core/errors.js';
import { runAgent } from '../ring/agent.js';
import { LAYOUT_VERSION } from '../ring/layout.js';
import type { ShardData } from './shard-data.js';
import { ShardLoop } from './shard-loop.js';

/** Longest sleep of an idle shard. Wake-ups come by notify; this bounds only the heartbeat's silence. */
const IDLE_MS = 100;

/** What Piscina runs: one shard, for as long as the engine lives. */
export default function shard(data: ShardData): void {
  if (data.layoutVersion !== LAYOUT_VERSION) {
    throw new TrunklineError(
      'ENGINE_FAILED',
      `This worker was built for ring layout ${LAYOUT_VERSION} and the engine for ${data.layoutVersion}; build both anew.`,
    );
  }
  runAgent(new ShardLoop(data), data.control, IDLE_MS);
}
