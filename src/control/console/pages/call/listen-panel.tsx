import { useState } from 'preact/hooks';
import type { InteractionDetail } from '../../api/contract.js';
import { useStore } from '../../api/store.js';
import type { Listener, PlayoutReport } from '../../audio/listener.js';
import { Action } from '../../parts/action.js';
import { count } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { CHANNEL_NAMES, fractionOf } from '../../parts/meter.js';
import { Panel } from '../../parts/panel.js';

/** Listening to the call while it goes on, each channel with a volume of its own. */
export function ListenPanel({ call, listener }: { call: InteractionDetail; listener: Listener }) {
  const state = useStore(listener.state);
  const channels = call.channels ?? 1;
  const unavailable =
    call.state === 'ended' ? 'The call has ended.' : call.codec === null ? 'No audio has arrived yet.' : undefined;
  const on = state.status === 'connecting' || state.status === 'playing';
  return (
    <Panel title="Listen in" class="listen-panel">
      <div class="listen-head">
        {on ? (
          <button type="button" class="button" onClick={() => listener.stop()}>
            <Icon name="stop" />
            <span>Stop listening</span>
          </button>
        ) : (
          <Action
            icon="listen"
            needs="listener"
            kind="primary"
            unavailable={unavailable}
            run={() => listener.start(call.sampleRate ?? 8_000, channels)}
          >
            Listen
          </Action>
        )}
        <ListenStatus call={call} listener={listener} />
      </div>
      {Array.from({ length: channels }, (_, channel) => (
        <ChannelVolume key={channel} channel={channel} listener={listener} report={state.report} />
      ))}
      <p class="hint">Listening is written to the audit log with your name.</p>
    </Panel>
  );
}

function ListenStatus({ call, listener }: { call: InteractionDetail; listener: Listener }) {
  const { status, message, report, outputMs = 0 } = useStore(listener.state);
  if (status === 'off') return <p class="listen-status muted">Not listening</p>;
  if (status === 'failed') return <p class="listen-status bad">{message}</p>;
  if (status === 'connecting' || report === undefined)
    return <p class="listen-status muted">{message ?? 'Connecting …'}</p>;
  const delayMs = (call.latencyMs ?? 0) + report.bufferedMs + outputMs;
  return (
    <dl class="listen-status" title="Jitter buffer and decoding, the buffer of this page, and the sound card">
      <div>
        <dt>Delay</dt>
        {/* Rounded to what can be told apart: the figure is to be read, not to flicker. */}
        <dd class="listen-delay">{count(Math.round(delayMs / 10) * 10)} ms</dd>
      </div>
      <div>
        <dt>Interruptions</dt>
        <dd>{count(report.underruns)}</dd>
      </div>
    </dl>
  );
}

interface ChannelVolumeProps {
  readonly channel: number;
  readonly listener: Listener;
  readonly report: PlayoutReport | undefined;
}

function ChannelVolume({ channel, listener, report }: ChannelVolumeProps) {
  const [volume, setVolume] = useState(100);
  const [muted, setMuted] = useState(false);
  const name = CHANNEL_NAMES[channel] ?? `Channel ${channel}`;
  const apply = (nextVolume: number, nextMuted: boolean) => {
    setVolume(nextVolume);
    setMuted(nextMuted);
    listener.setVolume(channel, nextMuted ? 0 : nextVolume / 100);
  };
  const level = fractionOf(20 * Math.log10(Math.max(report?.peaks[channel] ?? 0, 1e-6)));
  return (
    <div class="volume">
      <span class="volume-name">
        <span class={`key channel-${channel}`} />
        {name}
      </span>
      <button
        type="button"
        class="icon-button"
        aria-pressed={muted}
        aria-label={`Mute ${name.toLowerCase()}`}
        onClick={() => apply(volume, !muted)}
      >
        <Icon name={muted ? 'muted' : 'sound'} />
      </button>
      <input
        type="range"
        min={0}
        max={150}
        step={5}
        value={volume}
        aria-label={`Volume, ${name.toLowerCase()}`}
        aria-valuetext={`${volume} %`}
        onInput={(event) => apply(Number(event.currentTarget.value), false)}
      />
      <span class="volume-value">{muted ? 'muted' : `${volume} %`}</span>
      <span class={`meter big channel-${channel} speech`} aria-hidden="true">
        <span style={{ transform: `scaleX(${level.toFixed(3)})` }} />
      </span>
    </div>
  );
}
