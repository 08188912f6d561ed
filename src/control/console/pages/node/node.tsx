import type { NodeInfo } from '../../api/contract.js';
import { nodeState } from '../../api/node-state.js';
import { useStore } from '../../api/store.js';
import { clockTime, count, dateTime, percent, span, words } from '../../parts/format.js';
import { VerdictIcon } from '../../parts/icons.js';
import { Empty, Figures, Panel } from '../../parts/panel.js';
import { callHref } from '../../routes.js';
import { NodeActions } from './node-actions.js';
import { SourcePanel } from './source-panel.js';

export function NodePage() {
  const { info } = useStore(nodeState);
  if (info === undefined) return <Empty>Waiting for the node …</Empty>;
  return (
    <>
      <div class="page-head">
        <h1>Node</h1>
        <NodeActions logLevel={info.logLevel} />
      </div>
      <Panel title="Process">
        <Figures
          figures={[
            { name: 'Version', value: info.version },
            { name: 'Backend', value: info.backend },
            { name: 'Started', value: dateTime(info.startedAt) },
            { name: 'Up', value: span(info.uptimeSeconds) },
            { name: 'Log level', value: info.logLevel },
          ]}
        />
      </Panel>
      <div class="columns">
        <Checks checks={info.checks} />
        <Warnings warnings={info.warnings} />
      </div>
      <Shards shards={info.shards} />
      {info.sources.map((source) => (
        <SourcePanel key={source.name} source={source} />
      ))}
    </>
  );
}

function Checks({ checks }: Pick<NodeInfo, 'checks'>) {
  return (
    <Panel title="Health checks">
      {checks.length === 0 ? (
        <Empty>There are none.</Empty>
      ) : (
        <ul class="check-list">
          {checks.map(({ name, status, reason }) => (
            <li key={name}>
              <VerdictIcon verdict={status} />
              <span class="check-name">{words(name)}</span>
              <span class="muted">{reason ?? (status === 'ok' ? 'Passes' : words(status))}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

const WARNINGS_SHOWN = 50;

function Warnings({ warnings }: Pick<NodeInfo, 'warnings'>) {
  const newest = warnings.toSorted((a, b) => b.at.localeCompare(a.at)).slice(0, WARNINGS_SHOWN);
  return (
    <Panel title="Recent warnings" aside={<span class="muted">{count(warnings.length)}</span>}>
      {newest.length === 0 ? (
        <Empty>There have been none.</Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard.
        <ol class="warnings" tabIndex={0} aria-label="Recent warnings">
          {newest.map(({ at, level, code, message, reason, interactionId }, index) => (
            <li key={`${at} ${index}`}>
              <time dateTime={at} title={dateTime(at)}>
                {clockTime(at)}
              </time>
              <span class={`level ${level === 'warn' ? 'warn' : 'bad'}`}>{level}</span>
              <span class="message">
                {message}
                {reason !== undefined && <span class="muted">: {reason}</span>}
                {code !== undefined && <code>{code}</code>}
                {interactionId !== undefined && (
                  <a class="id" href={callHref(interactionId)} title={interactionId}>
                    {interactionId}
                  </a>
                )}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

const HEARTBEAT_LATE_MS = 1_000;

function Shards({ shards }: Pick<NodeInfo, 'shards'>) {
  return (
    <Panel title="Threads and rings">
      <div class="shards">
        {shards.map(({ name, utilisation, heartbeatAgeMs, restarts, streams, rings }) => (
          <section key={name} class="shard" aria-label={name}>
            <h3>{name}</h3>
            <Gauge label="Utilisation" ratio={utilisation} />
            {rings.map((ring) => (
              <Gauge
                key={ring.name}
                label={words(ring.name)}
                ratio={ring.fill}
                note={ring.refused > 0 ? `${count(ring.refused)} refused` : undefined}
              />
            ))}
            <p class="shard-facts">
              {/* Only a shard has rings, and streams that are bound to it. */}
              {rings.length > 0 && (
                <span>
                  {count(streams)} {streams === 1 ? 'stream' : 'streams'}
                </span>
              )}
              <span class={heartbeatAgeMs > HEARTBEAT_LATE_MS ? 'bad' : ''}>
                heartbeat {count(heartbeatAgeMs)} ms ago
              </span>
              <span class={restarts > 0 ? 'warn' : ''}>
                {count(restarts)} {restarts === 1 ? 'restart' : 'restarts'}
              </span>
            </p>
          </section>
        ))}
      </div>
    </Panel>
  );
}

interface GaugeProps {
  readonly label: string;
  readonly ratio: number;
  readonly note?: string | undefined;
}

function Gauge({ label, ratio, note }: GaugeProps) {
  const tone = ratio >= 0.9 ? 'bad' : ratio >= 0.7 ? 'warn' : '';
  return (
    <div class={`gauge ${tone}`}>
      <span class="gauge-label">{label}</span>
      <span class="gauge-bar" role="img" aria-label={percent(ratio, 0)}>
        <span style={{ transform: `scaleX(${Math.min(1, Math.max(0, ratio)).toFixed(3)})` }} />
      </span>
      <span class="gauge-value">{percent(ratio, 0)}</span>
      {note !== undefined && <span class="gauge-note bad">{note}</span>}
    </div>
  );
}
