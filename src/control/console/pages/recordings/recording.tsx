import { useEffect, useState } from 'preact/hooks';
import { api, withQuery } from '../../api/client.js';
import type { RecordingDetail, RecordingSegment, Waveform } from '../../api/contract.js';
import { usePolled } from '../../api/poll.js';
import { refusalFor, session } from '../../api/session.js';
import { useStore } from '../../api/store.js';
import { bytes, count, dateTime, duration, words } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { CHANNEL_NAMES } from '../../parts/meter.js';
import { Empty, Failure, Figures, Panel } from '../../parts/panel.js';
import { Timeline } from '../../parts/timeline.js';
import { FilesPanel, playedPath } from './audio-files.js';
import { usePlayer } from './player.js';
import { WaveformView } from './waveform.js';

const POINTS = 1_200;
const GROWING_MS = 5_000;

export function RecordingPage({ id }: { id: string }) {
  useStore(session);
  const refusal = refusalFor('listener');
  const [interval, setInterval] = useState(0);
  const { data: recording, error } = usePolled<RecordingDetail>(
    refusal === undefined ? api('recordings', id) : undefined,
    interval,
  );
  // One that is being written gets longer.
  useEffect(() => setInterval(recording?.state === 'recording' ? GROWING_MS : 0), [recording?.state]);
  return (
    <>
      <div class="page-head">
        <a class="back" href="#/recordings" aria-label="Back to the recordings">
          <Icon name="back" />
        </a>
        <h1 class="id" title={id}>
          {recording?.interactionId ?? id}
        </h1>
      </div>
      {refusal !== undefined && <Empty>{refusal}</Empty>}
      {error !== undefined && <Failure error={error} />}
      {recording !== undefined && <RecordingContent recording={recording} />}
    </>
  );
}

function RecordingContent({ recording }: { recording: RecordingDetail }) {
  const { segments = [] } = recording;
  const [segment, setSegment] = useState(1);
  const [channel, setChannel] = useState<number | undefined>(undefined);
  const channels = segments[segment - 1]?.channels ?? recording.channels ?? 1;
  const played = channels === 2 ? channel : undefined;
  return (
    <>
      <Figures
        figures={[
          { name: 'State', value: words(recording.state) },
          { name: 'Length', value: duration(recording.durationSeconds) },
          { name: 'Started', value: dateTime(recording.startedAt) },
          { name: 'Ended', value: dateTime(recording.endedAt) },
          { name: 'End reason', value: words(recording.endReason ?? '–') },
          { name: 'Codec', value: recording.codec ?? '–' },
          { name: 'Size', value: bytes(recording.bytes) },
          { name: 'Packets', value: count(recording.packetsReceived) },
          { name: 'Lost', value: count(recording.packetsLost) },
        ]}
      />
      {segments.length > 1 && <SegmentChoice segments={segments} segment={segment} onChange={setSegment} />}
      {recording.encrypted === true ? (
        <Encrypted />
      ) : (
        <>
          {channels === 2 && <ChannelChoice channel={channel} onChange={setChannel} />}
          <Playback key={`${segment} ${played}`} recording={recording} segment={segment} channel={played} />
        </>
      )}
      <FilesPanel recording={recording} />
    </>
  );
}

interface SegmentChoiceProps {
  readonly segments: readonly RecordingSegment[];
  readonly segment: number;
  onChange(segment: number): void;
}

/** The format of the call changed, so that there are several files. */
function SegmentChoice({ segments, segment, onChange }: SegmentChoiceProps) {
  return (
    <fieldset class="segmented">
      <legend class="visually-hidden">Audio file</legend>
      {segments.map(({ file, startMs }, at) => (
        <label key={file}>
          <input type="radio" name="segment" checked={segment === at + 1} onChange={() => onChange(at + 1)} />
          <span>
            {file}, from {duration(startMs / 1000)}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface ChannelChoiceProps {
  /** Both when undefined. */
  readonly channel: number | undefined;
  onChange(channel: number | undefined): void;
}

function ChannelChoice({ channel, onChange }: ChannelChoiceProps) {
  return (
    <fieldset class="segmented">
      <legend class="visually-hidden">Channel that is played</legend>
      {[undefined, 0, 1].map((one) => (
        <label key={String(one)}>
          <input type="radio" name="channel" checked={channel === one} onChange={() => onChange(one)} />
          <span>{one === undefined ? 'Both channels' : CHANNEL_NAMES[one]}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface PlaybackProps {
  readonly recording: RecordingDetail;
  readonly segment: number;
  /** The one that is played; all when undefined. */
  readonly channel: number | undefined;
}

function Playback({ recording, segment, channel }: PlaybackProps) {
  const { id, spans = [], channels = 1, segments = [] } = recording;
  const waveform = usePolled<Waveform>(
    withQuery(`${api('recordings', id)}/waveform`, { points: POINTS, ...(segment > 1 ? { segment } : {}) }),
    0,
  );
  const player = usePlayer(playedPath(recording, segment, channel));
  const offsetMs = segments[segment - 1]?.startMs ?? 0;
  const lengthMs = (waveform.data?.durationSeconds ?? recording.durationSeconds ?? 0) * 1000;
  const shown = spans
    .filter(({ startMs, endMs }) => startMs < offsetMs + lengthMs && (endMs ?? startMs) > offsetMs)
    .map((span) => ({ ...span, startMs: span.startMs - offsetMs, endMs: (span.endMs ?? span.startMs) - offsetMs }));
  const seek = (ms: number) => void player.seek(ms / 1000);
  return (
    <Panel title="Audio">
      {player.element}
      {waveform.error !== undefined && <Failure error={waveform.error} />}
      <WaveformView
        waveform={waveform.data}
        atMs={player.at * 1000}
        lengthMs={lengthMs}
        channels={channels}
        onSeek={seek}
      />
      <div class="transport">
        <button
          type="button"
          class="button primary round"
          aria-label={player.playing ? 'Pause' : 'Play'}
          onClick={() => void player.toggle()}
        >
          <Icon name={player.playing ? 'pause' : 'play'} />
        </button>
        <span class="transport-time">
          {duration(player.at)} <span class="muted">/ {duration(lengthMs / 1000)}</span>
        </span>
        <input
          type="range"
          min={0}
          max={Math.max(1, Math.round(lengthMs))}
          step={1_000}
          value={Math.round(player.at * 1000)}
          aria-label="Position"
          aria-valuetext={`${duration(player.at)} of ${duration(lengthMs / 1000)}`}
          onInput={(event) => seek(Number(event.currentTarget.value))}
        />
        <label class="speed">
          <span class="visually-hidden">Speed</span>
          <select
            class="input"
            value={player.speed}
            onChange={(event) => player.setSpeed(Number(event.currentTarget.value))}
          >
            {[0.75, 1, 1.25, 1.5, 2].map((speed) => (
              <option key={speed} value={speed}>
                {speed} ×
              </option>
            ))}
          </select>
        </label>
        {player.loading && <span class="muted">Loading …</span>}
      </div>
      {player.error !== undefined && <Failure error={player.error} />}
      <Timeline spans={shown} channels={channels} startMs={0} endMs={lengthMs} atMs={player.at * 1000} onSeek={seek} />
    </Panel>
  );
}

/** Nothing here has the key. */
function Encrypted() {
  return (
    <Panel title="Audio">
      <p>
        This recording is encrypted. Download it, and open it with <code>trunkline open --identity</code> and the key of
        one of its recipients.
      </p>
    </Panel>
  );
}
