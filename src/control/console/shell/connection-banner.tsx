import { useEffect, useState } from 'preact/hooks';
import { connection } from '../api/connection.js';
import { nodeState } from '../api/node-state.js';
import { useStore } from '../api/store.js';
import { clockTime, span } from '../parts/format.js';
import { VerdictIcon } from '../parts/icons.js';

const SHOWN_MS = 15_000;

/** Says when the node does not answer, and afterwards that it does again, and whether it is another process. */
export function ConnectionBanner() {
  const { reachable, lastAnswerMs } = useStore(connection);
  const { restartedAtMs, info, error } = useStore(nodeState);
  const [nowMs, setNowMs] = useState(Date.now());
  const restarted = restartedAtMs !== undefined && nowMs - restartedAtMs < SHOWN_MS;

  useEffect(() => {
    setNowMs(Date.now());
    if (reachable && restartedAtMs === undefined) return;
    const timer = setInterval(() => setNowMs(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [reachable, restartedAtMs]);

  return (
    <div class="banner-place" role="status">
      {!reachable && (
        <p class="banner failing">
          <VerdictIcon verdict="failing" />
          <span>
            <strong>The node does not answer.</strong> Trying again every second.
            {lastAnswerMs > 0 && ` What is shown is ${span(Math.max(0, nowMs - lastAnswerMs) / 1000)} old.`}
          </span>
        </p>
      )}
      {reachable && restarted && (
        <p class="banner ok">
          <VerdictIcon verdict="ok" />
          <span>
            <strong>Connected again.</strong> The node was restarted at {clockTime(info?.startedAt)}.
          </span>
        </p>
      )}
      {reachable && error !== undefined && (
        <p class="banner degraded">
          <VerdictIcon verdict="degraded" />
          <span>{error}</span>
        </p>
      )}
    </div>
  );
}
